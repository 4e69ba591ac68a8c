"What the batch transforms cost, in per cent of a training step: python benchmarks/transforms.py [SECONDS]"
import os
import sys
import time

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # a thread that waits must not count as work

import numpy as np
import torch
from fastai.data.transforms import IntToFloatTensor, Normalize
from fastai.torch_core import TensorImage
from fastai.vision.core import imagenet_stats
from torchvision.models import resnet18

from histo_meta.base import PATCH, usable_cores
from histo_meta.sample import sample_patches
from histo_meta.transforms import ColorJitter, Cutout, ExactDihedral, PatchNormalize, StainJitter

BS = 64  # patches in a mini-batch


def has_bfloat16(device):
    "Does the processor compute in bfloat16 itself?"
    if device.type == 'cuda': return torch.cuda.is_bf16_supported(including_emulation=False)
    return getattr(torch.cpu, '_is_avx512_bf16_supported', lambda: False)()


def make_step(device, bfloat16):
    "A training step of a ResNet-18 with channels last"
    model = resnet18(num_classes=2).to(device, memory_format=torch.channels_last).train()
    opt = torch.optim.AdamW(model.parameters(), 1e-4)
    y = torch.randint(2, (BS,), device=device)
    def step(x):
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad()
    return step


def mirror_and_swap(x):
    "The dihedral symmetries as three `torch.where`, without a table"
    k = torch.randint(8, (len(x), 1, 1, 1), device=x.device)
    x = torch.where(k & 1 > 0, x.flip(-1), x)
    x = torch.where(k & 2 > 0, x.flip(-2), x)
    return torch.where(k & 4 > 0, x.transpose(-1, -2), x)


def make_tasks(pixels):
    "What is timed, by name: the training step first"
    device, bfloat16 = pixels.device, has_bfloat16(pixels.device)
    to_float, cuda = IntToFloatTensor(), device.type == 'cuda'
    normalize, fastai_normalize = (kind.from_stats(*imagenet_stats, cuda=cuda) for kind in (PatchNormalize, Normalize))
    light = to_float(pixels)
    x = normalize(light).as_subclass(torch.Tensor)
    dihedral, stain, color, cutout = ExactDihedral(), StainJitter(), ColorJitter(), Cutout()
    def jitters(light): return cutout(color(stain(light, split_idx=0), split_idx=0), split_idx=0)
    def ours(): normalize(jitters(to_float(dihedral(pixels, split_idx=0))))
    name = 'bfloat16' if bfloat16 else 'float32'
    step = make_step(device, bfloat16)
    return {f'training step, {name}': lambda: step(x),
            'ExactDihedral, bytes': lambda: dihedral(pixels, split_idx=0),
            'ExactDihedral, floats': lambda: dihedral(light, split_idx=0),
            'three torch.where, floats': lambda: mirror_and_swap(light),
            'StainJitter': lambda: stain(light, split_idx=0),
            'ColorJitter': lambda: color(light, split_idx=0),
            'Cutout': lambda: cutout(light, split_idx=0),
            "to float, fastai's Normalize": lambda: fastai_normalize(to_float(pixels)),
            'PatchNormalize, bytes': lambda: normalize(pixels),
            'all four, PatchNormalize': ours}


def seconds(f, device, repeats):
    "Shortest times of several by the clock, and CPU seconds of all threads"
    times = []
    for _ in range(repeats):
        if device.type == 'cuda': torch.cuda.synchronize()
        wall, cpu = time.perf_counter(), time.process_time()
        f()
        if device.type == 'cuda': torch.cuda.synchronize()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return np.min(times, axis=0)


def measure(tasks, device, limit):
    "Seconds of each task in rounds in which they take turns, for `limit` seconds, (rounds, tasks, 2)"
    repeats = [1] + [5]*(len(tasks)-1)
    rounds, end = [], time.perf_counter() + limit
    for f in tasks.values(): f()
    while len(rounds) < 3 or time.perf_counter() < end:
        rounds.append([seconds(f, device, n) for f, n in zip(tasks.values(), repeats)])
    return np.array(rounds)


def report(layout, names, times):
    "One table: milliseconds, and per cent of the step, by the clock and in CPU time"
    wall, cpu = np.median(times, axis=0).T
    best = times[..., 1].min(axis=0)
    print(f'\n{f"{layout}, {len(times)} rounds":30}{"ms":>9}{"CPU ms":>9}{"% of step":>11}{"% CPU":>8}{"% CPU, best":>13}')
    rows = np.array([1e3*wall, 1e3*cpu, 100*wall/wall[0], 100*cpu/cpu[0], 100*best/best[0]])
    rows = np.column_stack([rows, rows[:, -1] - rows[:, -2]])
    for name, (ms, cpu_ms, *percent) in zip([*names, 'all four together'], rows.T):
        print(f'{name:30}{ms:9.2f}{cpu_ms:9.2f}{percent[0]:11.2f}{percent[1]:8.2f}{percent[2]:13.2f}', flush=True)


def main(limit=45):
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    if device.type == 'cpu': torch.set_num_threads(usable_cores())
    card = torch.cuda.get_device_name() if device.type == 'cuda' else f'{torch.get_num_threads()} threads'
    print(f'ResNet-18, {BS} patches of {PATCH}x{PATCH}, {device.type} ({card}), torch {torch.__version__}')
    patches = torch.from_numpy(sample_patches(n=BS, slides=4, seed=0)[0]).to(device)
    channels_last = TensorImage(patches.permute(0, 3, 1, 2))
    for layout, pixels in {'channels last': channels_last, 'planes': channels_last.contiguous()}.items():
        tasks = make_tasks(pixels)
        report(layout, tasks, measure(tasks, device, limit))


if __name__ == '__main__': main(*map(int, sys.argv[1:]))

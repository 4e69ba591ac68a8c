"What batch transforms cost, in % of a training step: python benchmarks/transforms.py [SECONDS]"
import sys
import time

import numpy as np
import pandas as pd
import torch
from bench import BS, DEVICE, markdown, start
from fastai.data.transforms import IntToFloatTensor, Normalize
from fastai.torch_core import TensorImage
from fastai.vision.core import imagenet_stats
from torchvision.models import resnet18
from training import step

from histo_meta.base import PATCH
from histo_meta.machine import find_precision
from histo_meta.sample import sample_patches
from histo_meta.transforms import ColorJitter, Cutout, ExactDihedral, PatchNormalize, StainJitter

NORMALIZE, ALL = 'PatchNormalize, bytes', 'all four, PatchNormalize'  # two of the tasks


def make_step(device, precision):
    "A training step of a ResNet-18 with channels last"
    model = resnet18(num_classes=2).to(device, memory_format=torch.channels_last).train()
    opt = torch.optim.AdamW(model.parameters(), 1e-4)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == 'float16')
    y = torch.randint(2, (BS,), device=device)
    return lambda x: step(model, opt, scaler, x, y, precision)


def mirror_and_swap(x):
    "The dihedral symmetries as three `torch.where`, without a table"
    k = torch.randint(8, (len(x), 1, 1, 1), device=x.device)
    x = torch.where(k & 1 > 0, x.flip(-1), x)
    x = torch.where(k & 2 > 0, x.flip(-2), x)
    return torch.where(k & 4 > 0, x.transpose(-1, -2), x)


def make_tasks(pixels):
    "What is timed, by name: the training step first"
    device, cuda = pixels.device, pixels.device.type == 'cuda'
    precision = find_precision('auto', device)
    to_float = IntToFloatTensor()
    normalize = PatchNormalize.from_stats(*imagenet_stats, cuda=cuda)
    fastai_normalize = Normalize.from_stats(*imagenet_stats, cuda=cuda)
    light = to_float(pixels)
    x = normalize(light).as_subclass(torch.Tensor)
    dihedral, stain, color, cutout = ExactDihedral(), StainJitter(), ColorJitter(), Cutout()
    def jitters(light): return cutout(color(stain(light, split_idx=0), split_idx=0), split_idx=0)
    def ours(): normalize(jitters(to_float(dihedral(pixels, split_idx=0))))
    train = make_step(device, precision)
    return {f'training step, {precision}': lambda: train(x),
            'ExactDihedral, bytes': lambda: dihedral(pixels, split_idx=0),
            'ExactDihedral, floats': lambda: dihedral(light, split_idx=0),
            'three torch.where, floats': lambda: mirror_and_swap(light),
            'StainJitter': lambda: stain(light, split_idx=0),
            'ColorJitter': lambda: color(light, split_idx=0),
            'Cutout': lambda: cutout(light, split_idx=0),
            "to float, fastai's Normalize": lambda: fastai_normalize(to_float(pixels)),
            NORMALIZE: lambda: normalize(pixels),
            ALL: ours}


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
    "Seconds of each task, (rounds, tasks, 2): they take turns, for `limit` seconds"
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
    columns = {'ms': 1e3*wall, 'CPU ms': 1e3*cpu, '% of step': 100*wall/wall[0],
               '% CPU': 100*cpu/cpu[0], '% CPU, best': 100*best/best[0]}
    found = pd.DataFrame(columns, index=list(names))
    found.loc['all four together'] = found.loc[ALL] - found.loc[NORMALIZE]
    rows = [[name, *(f'{value:.2f}' for value in row)] for name, row in found.iterrows()]
    print(f'\n{layout}, {len(times)} rounds:\n')
    print(markdown(['', *columns], rows), flush=True)


def main(limit=45):
    print(start(patches='synthetic patches'))
    print(f'\nResNet-18, {BS} patches of {PATCH}x{PATCH}, on {DEVICE.type}')
    patches = torch.from_numpy(sample_patches(n=BS, slides=4, seed=0)[0]).to(DEVICE)
    channels_last = TensorImage(patches.permute(0, 3, 1, 2))
    layouts = {'channels last': channels_last, 'planes': channels_last.contiguous()}
    for layout, pixels in layouts.items():
        tasks = make_tasks(pixels)
        report(layout, tasks, measure(tasks, DEVICE, limit))


if __name__ == '__main__': main(*map(int, sys.argv[1:]))

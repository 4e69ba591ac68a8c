"""Train for an epoch: python benchmarks/training.py [--arch NAME] [--patches N] [--rounds N]

    --busy          with and without another process that keeps a core busy
    --memory N      peak memory of an epoch on N packed patches, with a small network
"""
import argparse
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
import torchvision
from bench import alone, jpeg_folder, memory_mb, start, table, take_turns
from fastai.callback.core import Callback
from fastai.data.transforms import RandomSplitter, get_image_files, parent_label
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, aug_transforms, imagenet_stats, vision_learner
from torchvision import transforms

from histo_meta.config import build_model
from histo_meta.core import patch_dls, patch_learner, shared_cores
from histo_meta.machine import find_precision
from histo_meta.packed import pack_patches

DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
BS = 64 if DEVICE.type == 'cpu' else 256
EPOCH = 262_144  # patches of PatchCamelyon's training split


class TrainTime(Callback):
    "Seconds and images of the training part of an epoch"
    order = 90
    def before_train(self): self.n, self.start = 0, time.perf_counter()
    def after_batch(self): self.n += len(self.xb[0]) if self.training else 0
    def after_train(self):
        if DEVICE.type == 'cuda': torch.cuda.synchronize()
        self.found = self.n, time.perf_counter() - self.start


def epoch(learn):
    timer = TrainTime()
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3, cbs=timer)
    return timer.found


def stock(folder, arch):
    "fastai from files, as its documentation teaches it"
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      splitter=RandomSplitter(.05), batch_tfms=aug_transforms())
    return vision_learner(block.dataloaders(folder, bs=BS), getattr(torchvision.models, arch), pretrained=False)


def ours(pack, arch, precision):
    return patch_learner(patch_dls(pack, valid_pct=.05, bs=BS), arch, pretrained=False, precision=precision)


def step(model, opt, x, y, precision):
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == 'bfloat16'): out = model(x)
    loss = torch.nn.functional.cross_entropy(out.float(), y)
    loss.backward()
    opt.step()
    opt.zero_grad()


def loop(model, batches, precision='float32', opt=None):
    "A plain PyTorch loop; returns the number of images"
    opt, n = opt or torch.optim.Adam(model.parameters(), 1e-3), 0
    for x, y in batches:
        step(model, opt, x.to(DEVICE), y.to(DEVICE), precision)
        n += len(x)
    if DEVICE.type == 'cuda': torch.cuda.synchronize()
    return n


def plain(root, arch):
    "torchvision's PCAM, PyTorch's DataLoader, a plain loop"
    steps = [transforms.ToTensor(), transforms.Normalize(*imagenet_stats)]
    data = torchvision.datasets.PCAM(root, 'train', transform=transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(data, BS, shuffle=True, drop_last=True, num_workers=2)
    model = build_model(arch).to(DEVICE).train()
    return lambda: loop(model, loader)


def limit(arch, n, precision):
    "The same network and precision on tensors that are on the device already"
    from fastai.optimizer import Adam
    from fastai.vision.learner import params
    model = build_model(arch).to(DEVICE, memory_format=torch.channels_last).train()
    x = torch.randn(BS, 3, 96, 96, device=DEVICE).contiguous(memory_format=torch.channels_last)
    y, opt = torch.randint(2, (BS,), device=DEVICE), Adam(params(model), 1e-3)
    return lambda: loop(model, [(x, y)]*(n//BS), precision, opt)


def compare(arch, n, rounds):
    print(start())
    fast = find_precision('auto', DEVICE)
    with jpeg_folder(n) as folder, tempfile.TemporaryDirectory() as tmp:
        pack = pack_patches(folder, Path(tmp)/'pcam')
        contestants = {'fastai from files': partial(epoch, stock(folder, arch)),
                       "torchvision's PCAM, plain loop": plain(tmp, arch)}
        for precision in dict.fromkeys(['float32', fast]):
            contestants |= {f'ours, {precision}': partial(epoch, ours(pack, arch, precision)),
                            f'limit, {precision}': limit(arch, n, precision)}
        rates = take_turns(contestants, rounds)
        print(f'\n{arch}, {n:,} patches, batches of {BS}:\n')
        print(table(rates, 'fastai from files', f'limit, {fast}'))
        same = rates['ours, float32']/rates['limit, float32']
        print(f'\nours/limit in float32: {same.median():.2f}')
        print(f'seconds for {EPOCH:,} patches, ours, {fast}: {EPOCH/rates[f"ours, {fast}"].median():,.0f}')
        if DEVICE.type == 'cuda': print(f'GPU memory at the peak: {torch.cuda.max_memory_allocated()/2**20:,.0f} MB')


def busy(arch, n, rounds):
    "Our training, alone and next to a process that keeps one core busy"
    print(start())
    with jpeg_folder(n) as folder, tempfile.TemporaryDirectory() as tmp, shared_cores() as cbs:
        learn = ours(pack_patches(folder, Path(tmp)/'pcam'), arch, 'auto')
        learn.add_cbs(cbs)
        def disturbed():
            other = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
            try: return epoch(learn)
            finally: other.kill()
        print(table(take_turns({'alone': lambda: epoch(learn), 'one core busy': disturbed}, rounds), 'alone'))


def empty_pack(folder, n):
    "A pack of `n` patches of noise, of which only a few differ"
    folder = Path(folder)
    block = np.random.default_rng(0).integers(0, 256, (1024, 96, 96, 3), np.uint8)
    with h5py.File(folder/'camelyonpatch_level_2_split_train_x.h5', 'w') as f:
        x = f.create_dataset('x', (n, 96, 96, 3), 'u1')
        for i in range(0, n, 1024):
            block[:, :2, :2] = np.random.default_rng(i).integers(0, 256, (1024, 2, 2, 3), np.uint8)
            x[i:i+1024] = block[:n - i]
    with h5py.File(folder/'camelyonpatch_level_2_split_train_y.h5', 'w') as f:
        f['y'] = (np.arange(n, dtype=np.uint8) % 2).reshape(-1, 1, 1, 1)
    return folder


def memory(folder, n):
    "Peak memory of one epoch above the idle process"
    from histo_meta.data import find_patches
    from histo_meta.splits import HASH_COLUMNS
    start()
    ours_dls = patch_dls(_hashed(find_patches(folder), HASH_COLUMNS), valid_pct=.01, bs=256, size=96)
    learn = patch_learner(ours_dls, 'timm/test_resnet', pretrained=False)
    before, (images, seconds) = memory_mb(), epoch(learn)
    print(f'| {n:,} | {before:,.0f} | {memory_mb("VmHWM") - before:,.0f} | {images/seconds:,.0f} |')


def _hashed(patches, columns):
    "Hashes of their own for all patches, so that the measurement is about training and not about the check"
    from dataclasses import replace
    known = {name: [f'{i:0108x}' for i in range(len(patches.table))] for name in columns}
    return replace(patches, table=patches.table.assign(**known, copy_group=range(len(patches.table))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--arch', default='resnet18')
    parser.add_argument('--patches', type=int, default=640)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--busy', action='store_true')
    parser.add_argument('--memory', type=int, nargs='*')
    parser.add_argument('--folder', help='a pack that exists, for --memory')
    args = parser.parse_args()
    if args.folder: memory(args.folder, args.memory[0])
    elif args.memory is not None:
        print('| patches | MB before | MB at the peak above it | images/s |\n|---:|---:|---:|---:|')
        for n in args.memory or (1_000, 16_384, 262_144):
            with tempfile.TemporaryDirectory() as tmp:
                print(alone(__file__, '--memory', n, '--folder', empty_pack(tmp, n)), end='', flush=True)
    elif args.busy: busy(args.arch, args.patches, args.rounds)
    else: compare(args.arch, args.patches, args.rounds)


if __name__ == '__main__': main()

"""Train for an epoch: python benchmarks/training.py [--arch NAME] [--patches N] [--rounds N]

    --busy          with and without another process that keeps a core busy
"""
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
import torchvision
from bench import BS, DEVICE, TRAINED, arguments
from bench import jpeg_folder, start, table, take_turns
from fastai.callback.core import Callback
from fastai.data.transforms import RandomSplitter, get_image_files, parent_label
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock
from fastai.vision.all import aug_transforms, imagenet_stats, vision_learner
from torchvision import transforms

from histo_meta.config import build_model
from histo_meta.core import patch_dls, patch_learner, shared_cores
from histo_meta.machine import find_precision, usable_cores
from histo_meta.packed import pack_patches

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
    dls, arch = block.dataloaders(folder, bs=BS), getattr(torchvision.models, arch)
    return vision_learner(dls, arch, pretrained=False)


def ours(pack, arch, precision):
    dls = patch_dls(pack, valid_pct=.05, bs=BS)
    return patch_learner(dls, arch, pretrained=False, precision=precision)


def step(model, opt, scaler, x, y, precision):
    "One training step; the scaler keeps small gradients above zero in float16"
    half = precision != 'float32'
    with torch.autocast(DEVICE.type, getattr(torch, precision), enabled=half): out = model(x)
    loss = torch.nn.functional.cross_entropy(out.float(), y)
    scaler.scale(loss).backward()
    scaler.step(opt)
    scaler.update()
    opt.zero_grad()


def loop(model, batches, precision='float32', opt=None):
    "A plain PyTorch loop; returns the number of images"
    opt, n = opt or torch.optim.Adam(model.parameters(), 1e-3), 0
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=precision == 'float16')
    for x, y in batches:
        step(model, opt, scaler, x.to(DEVICE), y.to(DEVICE), precision)
        n += len(x)
    if DEVICE.type == 'cuda': torch.cuda.synchronize()
    return n


def plain(root, arch):
    "torchvision's PCAM, PyTorch's DataLoader, a plain loop"
    steps = [transforms.ToTensor(), transforms.Normalize(*imagenet_stats)]
    data = torchvision.datasets.PCAM(root, 'train', transform=transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(data, BS, shuffle=True, drop_last=True,
                                         num_workers=usable_cores())
    model = build_model(arch).to(DEVICE).train()
    return lambda: loop(model, loader)


def limit(arch, n, precision):
    "The same network and precision on tensors that are on the device already"
    model = build_model(arch).to(DEVICE, memory_format=torch.channels_last).train()
    x = torch.randn(BS, 3, 96, 96, device=DEVICE).contiguous(memory_format=torch.channels_last)
    y = torch.randint(2, (BS,), device=DEVICE)
    opt = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    return lambda: loop(model, [(x, y)]*(n//BS), precision, opt)


def gpu_memory(pack, arch, precision):
    "GPU memory at the peak of an epoch of ours, in MB, while nothing else is on the GPU"
    learn = ours(pack, arch, precision)
    torch.cuda.reset_peak_memory_stats()
    epoch(learn)
    return torch.cuda.max_memory_allocated()/2**20


def make_contestants(folder, root, pack, arch, n, precisions):
    "What is compared, name to function"
    contestants = {'fastai from files': partial(epoch, stock(folder, arch)),
                   "torchvision's PCAM, plain loop": plain(root, arch)}
    for precision in precisions:
        contestants |= {f'ours, {precision}': partial(epoch, ours(pack, arch, precision)),
                        f'limit, {precision}': limit(arch, n, precision)}
    return contestants


def report(rates, fast):
    "The table, and what follows from it"
    print(table(rates, 'fastai from files', f'limit, {fast}'))
    same = rates['ours, float32']/rates['limit, float32']
    print(f'\nours/limit in float32: {same.median():.2f}\n')
    seconds = EPOCH/rates[f'ours, {fast}'].median()
    print(f'seconds for {EPOCH:,} patches, ours, {fast}: {seconds:,.0f}')


def compare(arch, n, rounds):
    print(start())
    fast = find_precision('auto', DEVICE)
    with jpeg_folder(n) as folder, tempfile.TemporaryDirectory() as tmp:
        pack = pack_patches(folder, Path(tmp)/'pcam')
        if DEVICE.type == 'cuda':
            peak = gpu_memory(pack, arch, fast)
            print(f'\nGPU memory at the peak, ours, {fast}: {peak:,.0f} MB')
        precisions = dict.fromkeys(['float32', fast])
        rates = take_turns(make_contestants(folder, tmp, pack, arch, n, precisions), rounds)
        print(f'\n{arch}, {n:,} patches, batches of {BS}:\n')
        report(rates, fast)


def busy(arch, n, rounds):
    "Our training, alone and next to a process that keeps one core busy"
    print(start())
    with jpeg_folder(n) as folder, tempfile.TemporaryDirectory() as tmp, shared_cores() as cbs:
        learn = ours(pack_patches(folder, Path(tmp)/'pcam'), arch, 'auto')
        learn.add_cbs(cbs)
        def disturbed():
            other = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
            try: return epoch(learn)
            finally:
                other.kill()
                other.wait()
        contestants = {'alone': partial(epoch, learn), 'one core busy': disturbed}
        rates = take_turns(contestants, rounds)
        print(f'\n{arch}, {n:,} patches, batches of {BS}:\n')
        print(table(rates, 'alone'))


def main():
    parser = arguments(__doc__, TRAINED)
    parser.add_argument('--busy', action='store_true')
    args = parser.parse_args()
    if args.busy: busy(args.arch, args.patches, args.rounds)
    else: compare(args.arch, args.patches, args.rounds)


if __name__ == '__main__': main()

"""Cost of loading, training and prediction against N: python benchmarks/scaling.py [N ...]

The patches are packed, and the network is small, so that not only the network counts. Each number
comes from a process of its own.
"""
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from bench import alone, markdown, memory_mb, start, timed
from training import epoch

from histo_meta.bundle import Predictor, save_bundle
from histo_meta.core import patch_dls, patch_learner
from histo_meta.data import find_patches
from histo_meta.packed import pack_patches
from histo_meta.sample import make_sample
from histo_meta.splits import HASH_COLUMNS

ARCH = 'timm/test_resnet'
SIZES = 1_000, 16_384, 262_144


def empty_pack(folder, n):
    "A pack of `n` patches of noise, which differ in a few pixels"
    folder = Path(folder)
    block = np.random.default_rng(0).integers(0, 256, (1024, 96, 96, 3), np.uint8)
    with h5py.File(folder/'camelyonpatch_level_2_split_train_x.h5', 'w') as f:
        x = f.create_dataset('x', (n, 96, 96, 3), 'u1')
        for i in range(0, n, 1024):
            rng = np.random.default_rng(i)
            block[:, :2, :2] = rng.integers(0, 256, (1024, 2, 2, 3), np.uint8)
            x[i:i+1024] = block[:n - i]
    with h5py.File(folder/'camelyonpatch_level_2_split_train_y.h5', 'w') as f:
        f['y'] = (np.arange(n, dtype=np.uint8) % 2).reshape(-1, 1, 1, 1)
    return folder


def hashed(folder):
    "Packed patches with a hash of its own for each, so that we do not measure the check"
    patches = find_patches(folder)
    n = len(patches.table)
    known = {name: [f'{i:0108x}' for i in range(n)] for name in HASH_COLUMNS}
    return replace(patches, table=patches.table.assign(**known, copy_group=range(n)))


def load(folder, bundle):
    dls = patch_dls(hashed(folder), valid_pct=.01, bs=256, device='cpu')
    return timed(lambda: sum(len(x) for x, _ in dls.train))


def train(folder, bundle):
    dls = patch_dls(hashed(folder), valid_pct=.01, bs=256)
    return epoch(patch_learner(dls, ARCH, pretrained=False))


def predict(folder, bundle):
    table = find_patches(folder).table
    return timed(lambda: len(Predictor(bundle).predict(table)))


TASKS = {'loading': load, 'training': train, 'prediction': predict}


def measure(task, folder, bundle):
    "Images per second, and the peak of memory above the idle process; the table of patches counts"
    start()
    before = memory_mb()
    images, seconds = TASKS[task](folder, bundle)
    print(f'{images/seconds:,.0f} {memory_mb("VmHWM") - before:,.0f}')


def row(n, bundle):
    "All tasks for `n` patches"
    with tempfile.TemporaryDirectory() as tmp:
        folder = empty_pack(tmp, n)
        found = [alone(__file__, '--task', task, folder, bundle).split() for task in TASKS]
    return [f'{n:,}', *sum(found, [])]


def make_bundle(folder):
    "A bundle of a network that has learned nothing"
    make_sample(folder/'sample', 40, 4)
    dls = patch_dls(pack_patches(folder/'sample', folder/'pack'), bs=8, num_workers=0)
    return save_bundle(patch_learner(dls, ARCH, pretrained=False), folder/'bundle')


def main(*sizes):
    print(start(patches='patches of noise'))
    with tempfile.TemporaryDirectory() as tmp:
        bundle = make_bundle(Path(tmp))
        rows = [row(n, bundle) for n in sizes or SIZES]
    head = [f'{task}, {unit}' for task in TASKS for unit in ('images/s', 'MB')]
    print(f'\n{ARCH}, packed patches; MB at the peak, above the idle process:\n')
    print(markdown(['patches', *head], rows))


if __name__ == '__main__':
    if sys.argv[1:2] == ['--task']: measure(*sys.argv[2:])
    else: main(*map(int, sys.argv[1:]))

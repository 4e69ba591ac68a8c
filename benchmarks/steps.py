"""How fast is training, change by change? python benchmarks/steps.py [--patches N] [--rounds N]

Each row keeps the changes of the rows above it. Every measurement is a process of its own, because
memory settings last as long as the process; the processes take turns.
"""
import tempfile
from pathlib import Path

import pandas as pd
import torch
from bench import BS, DEVICE, TRAINED, alone, arguments, jpeg_folder, machine, table
from fastai.callback.channelslast import ChannelsLast
from training import epoch, stock

from histo_meta.core import patch_dls, patch_learner
from histo_meta.machine import compute_threads, find_precision, keep_memory
from histo_meta.packed import pack_patches

PRECISION = find_precision('auto', DEVICE)
STEPS = ['fastai from files', 'exact symmetries', 'pixels from a pack', 'channels last',
         'memory kept'] + [PRECISION]*(PRECISION != 'float32')


def ours(k, folder, arch):
    "A learner with the first `k` changes"
    dls = patch_dls(folder/'torch/pcam' if k >= 2 else folder/'files', valid_pct=.05, bs=BS)
    precision = PRECISION if k == 5 else 'float32'
    learn = patch_learner(dls, arch, pretrained=False, precision=precision)
    if k < 3: learn.remove_cb(ChannelsLast)
    return learn


def measure(k, folder, arch):
    "Images per second of the second epoch with the first `k` changes"
    if k >= 4: keep_memory()
    torch.set_num_threads(compute_threads())
    learn = ours(k, folder, arch) if k else stock(folder/'files', arch)
    epoch(learn)
    images, seconds = epoch(learn)
    print('images per second:', images/seconds)


def compare(arch, n, rounds):
    print(machine())
    with jpeg_folder(n) as files, tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        (folder/'files').symlink_to(files)
        pack_patches(files, folder/'torch/pcam')
        def found(k):
            printed = alone(__file__, '--arch', arch, '--step', k, '--folder', folder)
            return float(printed.split()[-1])
        turns = [{name: found(k) for k, name in enumerate(STEPS)} for _ in range(rounds)]
        print(f'\n{arch}, {n:,} patches, batches of {BS}:\n')
        print(table(pd.DataFrame(turns), STEPS[0]))


def main():
    parser = arguments(__doc__, TRAINED)
    parser.add_argument('--step', type=int,
                        help='measure only this number of changes, in --folder')
    parser.add_argument('--folder', type=Path)
    args = parser.parse_args()
    if args.step is None: compare(args.arch, args.patches, args.rounds)
    else: measure(args.step, args.folder, args.arch)


if __name__ == '__main__': main()

"""What do checkpoints cost? python benchmarks/checkpoints.py [--arch NAME] [--patches N]

A training of an epoch writes a checkpoint after each mini-batch, so both are measured in one run.
From their times follows the cost of a real training, which writes one every five minutes, one when
the last mini-batch of an epoch is done, and one after its validation.
"""
import tempfile
from pathlib import Path

import numpy as np
from bench import BS, arguments, jpeg_folder, start, timed

from histo_meta.checkpoint import Checkpoints
from histo_meta.core import patch_dls, patch_learner
from histo_meta.recipe import Stopwatch

EVERY = 300  # seconds from one checkpoint to the next
SIZES = 20_000, 262_144  # patches in an epoch


class Timed(Checkpoints):
    "Checkpoints that know how long they take"
    seconds = ()
    def _write(self, next_epoch=False):
        _, seconds = timed(super()._write, next_epoch)
        self.seconds = *self.seconds, seconds


def measure(arch, n):
    "Median seconds of a training step and of a checkpoint, and the size of its file in MB"
    with jpeg_folder(n) as files, tempfile.TemporaryDirectory() as tmp:
        dls = patch_dls(files, valid_pct=.05, bs=BS)
        learn = patch_learner(dls, arch, pretrained=False, cbs=Stopwatch())
        checkpoints = Timed(Path(tmp)/'state.pt', every=0)
        with checkpoints.watch(learn), learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1)
        size = checkpoints.path.stat().st_size/1e6
        return np.median(learn.stopwatch.seconds[1:]), np.median(checkpoints.seconds[1:]), size


def cost(step, checkpoint, n):
    "Checkpoints in per cent of the time of the training steps of an epoch with `n` patches"
    seconds = n/BS*step
    return 100*checkpoint*(2 + seconds/EVERY)/seconds


def main():
    args = arguments(__doc__, BS*16).parse_args()
    print(start())
    step, checkpoint, size = measure(args.arch, args.patches)
    print(f'\n{args.arch}: {step:.2f} s for a step with {BS} patches, {checkpoint:.2f} s for a '
          f'checkpoint of {size:.0f} MB:\n')
    print('| patches in an epoch | checkpoints, % of the training |\n| ---: | ---: |')
    for n in SIZES: print(f'| {n:,} | {cost(step, checkpoint, n):.2f} |')


if __name__ == '__main__': main()

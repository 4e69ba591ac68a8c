"""Whole slides: python benchmarks/slides.py [--side N] [--bundle FOLDER] [--arch NAME] [--write]

First the memory: a slide of 100,000x100,000 pixels, nearly all of it glass, is drawn (its glass is
one tile in the file), masked, tiled and predicted in a process of its own, whose peak must stay
below 2 GB. Then the speed, with contestants that take turns: `predict_grid` against the bare
network on the same windows, and `dense=True` at a stride of 32 against window by window; once more
on a slide with the resolution of a typical scan, to which the limits do not apply. Without
a bundle the network has random weights, which take as long as others. `--write` puts the result
into RESULTS.md. If a limit is broken, the exit code is 1.
"""
import re
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from bench import (alone, arguments, memory_mb, new_bundle, start, table, take_turns,
                   write_section)

from histo_meta.base import MPP
from histo_meta.bundle import Predictor
from histo_meta.heatmap import predict_grid
from histo_meta.sample_slide import make_slide
from histo_meta.slide import Slide
from histo_meta.tile import tile_slides, window_grid
from histo_meta.tissue_mask import tissue_mask

SIDE = 100_000  # pixels along the side of the large slide
STRIDE = 32     # pixels from window to window
SCAN = 3.85     # level-0 pixels per patch pixel of a typical scan, with 0.2525 microns each
MEMORY = 2_000  # MB at the peak, at most
BARE = .9       # of the speed of the bare network, at least, window by window
DENSE = 4       # times as fast as window by window, at least


def step(what, before):
    print(f'| {what} | {memory_mb("VmHWM"):,.0f} | {memory_mb("VmHWM") - before:,.0f} |')


def memory(bundle, side):
    "Peak memory after each step on a large slide, in MB, and above the idle process"
    start()
    predictor, before = Predictor(bundle), memory_mb()
    print('| after | peak, MB | above the idle process |\n| --- | ---: | ---: |')
    with tempfile.TemporaryDirectory() as tmp:
        path = make_slide(Path(tmp)/'slides', 'large', ['macro'], width=side, height=side)
        step('drawing', before)
        with Slide(path) as slide:
            mask = tissue_mask(slide)
            step('the mask', before)
            tile_slides(path, Path(tmp)/'pack')
            step('tiles', before)
            for dense in (False, True):
                grid = predict_grid(predictor, slide, mask, dense=dense)
                step(f'{np.isfinite(grid.probs).sum():,} windows, {dense=}', before)
    print(f'\n{path.name} has {side:,}x{side:,} pixels; '
          f'peak {memory_mb("VmHWM"):,.0f} MB, the limit is {MEMORY:,} MB')


def windows(slide, mask, size):
    "All windows of a slide as the network gets them"
    from histo_meta.heatmap import _blocks, _read_windows
    grid = window_grid(slide, mask, STRIDE)
    parts = [_read_windows(slide, grid, size, block).pixels for block in _blocks(grid)]
    return torch.from_numpy(np.concatenate(parts)).permute(0, 3, 1, 2)


def bare(predictor, x): return len(predictor.probs(predictor.logits(x)))


def on_slide(predictor, slide, mask, dense):
    "Windows that were predicted; each contestant counts those of the stride that was asked for"
    grid = predict_grid(predictor, slide, mask, STRIDE, dense)
    return round(np.isfinite(grid.probs).sum()*(grid.stride/STRIDE)**2)


def speed(bundle, rounds, scale=1.):
    "Windows per second of each contestant"
    predictor = Predictor(bundle)
    with tempfile.TemporaryDirectory() as tmp:
        path = make_slide(Path(tmp), 'slide', ['micro'], width=4_000, height=3_600,
                          scale=scale)
        with Slide(path) as slide:
            mask = tissue_mask(slide)
            x = windows(slide, mask, predictor.config['size'])
            contestants = {'dense': partial(on_slide, predictor, slide, mask, True),
                           'window by window': partial(on_slide, predictor, slide, mask, False),
                           'limit: bare network': partial(bare, predictor, x)}
            return predictor, len(x), take_turns(contestants, rounds)


def broken_limits(text, rates):
    "What is over a limit, from the text about memory and the table of rates"
    peak = re.search(r'peak ([\d,]+) MB', text)
    if peak and int(peak[1].replace(',', '')) > MEMORY: yield f'memory: {peak[0]}'
    one = rates['window by window']
    for name, ratio, least in (('of the bare network', one/rates['limit: bare network'], BARE),
                               ('times as fast with dense', rates['dense']/one, DENSE)):
        if ratio.median() < least: yield f'speed: {ratio.median():.2f} {name}, not {least}'


def main():
    parser = arguments(__doc__, patches=None)
    parser.add_argument('--bundle', help='folder of a bundle; a network that was never trained')
    parser.add_argument('--size', type=int, default=96, help='pixels that the network gets')
    parser.add_argument('--side', type=int, default=SIDE, help='of the large slide; 0: no memory')
    parser.add_argument('--memory', action='store_true', help='only the peak of this process')
    parser.add_argument('--write', action='store_true', help='put the result into RESULTS.md')
    args = parser.parse_args()
    if args.memory: return memory(args.bundle, args.side)
    with tempfile.TemporaryDirectory() as tmp:
        bundle = args.bundle or new_bundle(args.arch, Path(tmp)/'bundle', args.size)
        print(machine := start(patches='synthetic slides'), flush=True)
        peaks = args.side and alone(__file__, '--memory', '--bundle', bundle, '--side', args.side)
        peaks = peaks or 'memory was not measured'
        print(f'\n{peaks}', flush=True)
        predictor, n, rates = speed(bundle, args.rounds)
        _, _, scanned = speed(bundle, args.rounds, SCAN)
    references = 'window by window', 'limit: bare network'
    text = (f'{predictor}, {n:,} windows, stride {STRIDE}; images are windows:\n\n'
            f'{table(rates, *references)}\n\n'
            f'The same at {MPP/SCAN:.4f} microns per pixel, where blocks are resampled:\n\n'
            f'{table(scanned, *references)}')
    print(f'\n{text}')
    if args.write:
        command = ' '.join(['slides.py', *sys.argv[1:]])
        write_section('Whole slides', [command], [f'{machine}\n\n{peaks}\n\n{text}'])
    broken = '; '.join(broken_limits(peaks, rates))
    if broken: sys.exit(f'limits are broken: {broken}')


if __name__ == '__main__': main()

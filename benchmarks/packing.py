"Pack image files: python benchmarks/packing.py [PATCHES ...]"
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from bench import alone, jpeg_folder, memory_mb, one_round, start, table, take_turns
from PIL import Image

from histo_meta.data import find_patches
from histo_meta.machine import usable_cores
from histo_meta.packed import pack_patches

LARGE = 64_000  # patches, from which on each contestant has one turn


def decode(path): return np.asarray(Image.open(path).convert('RGB'))


def limit(paths):
    "Decode every file with as many threads, and write nothing"
    with ThreadPoolExecutor(usable_cores()) as pool: return sum(1 for _ in pool.map(decode, paths))


def one_by_one(paths, file):
    "What you would write first: decode all, save one array"
    np.save(file, np.stack([decode(path) for path in paths]))
    return len(paths)


def pack(patches):
    with tempfile.TemporaryDirectory() as place: pack_patches(patches, Path(place)/'pack')
    return len(patches.table)


def memory(folder):
    "Peak memory of packing a folder above the idle process, in MB"
    start()
    before = memory_mb()
    pack(find_patches(folder))
    return memory_mb('VmHWM') - before


def speed(folder, file):
    "Images per second of each contestant; a large folder takes so long that one round must do"
    patches = find_patches(folder)
    paths = patches.table.path.tolist()
    contestants = {'ours': partial(pack, patches),
                   'a loop and numpy.save': partial(one_by_one, paths, file),
                   'limit: decode only': partial(limit, paths)}
    if len(paths) < LARGE: return take_turns(contestants, 3)
    return pd.DataFrame([one_round(contestants, 'one round')])


def main(*sizes):
    print(start())
    for n in sizes or (1_000, 8_000, LARGE):
        with jpeg_folder(n) as folder, tempfile.TemporaryDirectory() as tmp:
            peak = float(alone(__file__, '--memory', folder))
            print(f'\n{n:,} patches; to pack them takes {peak:,.0f} MB above the idle process:\n')
            rates = speed(folder, f'{tmp}/x.npy')
            print(table(rates, 'a loop and numpy.save', 'limit: decode only'))


if __name__ == '__main__':
    if sys.argv[1:2] == ['--memory']: print(memory(sys.argv[2]))
    else: main(*map(int, sys.argv[1:]))

"Pack image files: python benchmarks/packing.py [PATCHES ...]"
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from bench import jpeg_folder, memory_mb, start, table, take_turns
from PIL import Image

from histo_meta.data import find_patches
from histo_meta.machine import usable_cores
from histo_meta.packed import pack_patches


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


def main(*sizes):
    print(start())
    for n in sizes or (1_000, 8_000):
        with jpeg_folder(n) as folder, tempfile.TemporaryDirectory() as tmp:
            patches, before = find_patches(folder), memory_mb()
            paths = patches.table.path.tolist()
            pack(patches)
            print(f'\n{len(paths):,} patches; {memory_mb("VmHWM") - before:,.0f} MB above the idle process to pack them:\n')
            rates = take_turns({'ours': partial(pack, patches),
                                'a loop and numpy.save': partial(one_by_one, paths, f'{tmp}/x.npy'),
                                'limit: decode only': partial(limit, paths)}, 3)
            print(table(rates, 'a loop and numpy.save', 'limit: decode only'))


if __name__ == '__main__': main(*map(int, sys.argv[1:]))

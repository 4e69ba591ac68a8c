"How long a scan takes, and how much memory: python benchmarks/scan.py [NUMBER OF PATCHES ...]"
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from histo_meta.scan import _blocks, duplicate_groups, find_copies, perceptual_hash, pixel_hash
from histo_meta.scan import scan_patches
from histo_meta.data import patch_images, patch_table
from histo_meta.sample import make_sample

OTHERS = 3000  # patches that are looked up among the known ones


def seconds(f):
    "Seconds by the clock, and CPU seconds"
    wall, cpu = time.perf_counter(), time.process_time()
    f()
    return time.perf_counter() - wall, time.process_time() - cpu


def best(rounds, *functions):
    "Shortest times of each function, in `rounds` rounds in which they take turns"
    return np.min([[seconds(f) for f in functions] for _ in range(rounds)], axis=0)


def make_patches(folder, n, seed=0):
    "Write `n` different TIFF files: pairs of synthetic patches, rolled and blended"
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as tmp:
        tissue = patch_images(patch_table(make_sample(f'{tmp}/s', 200, 10)))
    for i in range(n):
        a, b = tissue[rng.integers(0, len(tissue), 2)]
        a = np.roll(a, rng.integers(0, 96, 2), (0, 1))
        Image.fromarray(a//2 + b//2).save(f'{folder}/{i:07d}.tif')


def decode(table):
    "The least that a check must do: decode every file"
    for path in table.path: np.asarray(Image.open(path).convert('RGB'))


def brute_force(scan, some):
    "Compare the first patches with all others, in all views"
    known = _blocks(scan.perceptual_hash).reshape(-1, 6, 6)
    for block in known[:some]:
        for b in (block, np.fliplr(block)):
            for k in range(4): ((known - np.rot90(b, k))**2).mean((1, 2)).min()


def speckled(n, seed=0):
    "Hashes of `n` copies of one image that differ in a few pixels"
    rng, rows = np.random.default_rng(seed), []
    image = rng.normal(160, 40, (6, 6, 3)).clip(0, 240).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    for _ in range(n):
        a = image.copy()
        a[rng.integers(0, 96, 50), rng.integers(0, 96, 50)] += 15
        rows.append((pixel_hash(a), perceptual_hash(Image.fromarray(a))))
    return pd.DataFrame(rows, columns=['pixel_hash', 'perceptual_hash'])


def memory():
    "Megabytes of the process now, and at its peak"
    now = int(Path('/proc/self/statm').read_text().split()[1])*os.sysconf('SC_PAGESIZE')/2**20
    return now, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**10


def row(name, n, ours, plain=None, note=''):
    wall, cpu = ours
    ratio = '' if plain is None else f'{plain:10.2f} {plain/wall:7.1f}x'
    print(f'{name:38}{n:9,}{wall:9.2f}{cpu:9.2f}{1e6*wall/n:9.0f} {ratio}  {note}', flush=True)


def scan(table, threads, parts):
    "Scan a table as users do, and keep the result in `parts`"
    parts.clear()  # two results at once would count twice
    parts.append(scan_patches(table, threads))


def measure(folder, n):
    "All times for `n` patches, in a process of its own"
    table, parts = patch_table(folder), []
    duplicate_groups(scan_patches(table[:10]))
    idle, rounds = memory()[0], 3 if n <= 20_000 else 1
    plain, one, two = best(rounds, partial(decode, table), partial(scan, table, 1, parts),
                           partial(scan, table, 2, parts))
    row('scan_patches, one thread', n, one, plain[0], 'decode only')
    row('scan_patches, two threads', n, two, plain[0], 'decode only')
    known, after = parts[0], memory()[1]
    others = known.sample(OTHERS, replace=True, random_state=0)
    others = others.assign(pixel_hash='0'*40)  # none is an exact copy
    brute, copies, groups = best(rounds, partial(brute_force, known, 10),
                                 partial(find_copies, others, known),
                                 partial(duplicate_groups, known))
    note = 'every pair; 10 rows measured, scaled'
    row(f'find_copies of {OTHERS:,}', n, copies, brute[0]*OTHERS/10, note)
    row('duplicate_groups', n, groups, brute[0]*n/20, note)
    print(f'peak memory above the idle process: {after - idle:.0f} MB after the scan, '
          f'{memory()[1] - idle:.0f} MB in all', flush=True)


def main(*sizes):
    columns = f'{"patches":>9}{"s":>9}{"CPU s":>9}{"us each":>9} {"plain s":>10} {"ratio":>8}'
    print(f'{"task":38}{columns}', flush=True)
    for n in sizes or (1_000, 20_000, 220_025):
        with tempfile.TemporaryDirectory() as tmp:
            make_patches(tmp, n)
            subprocess.run([sys.executable, __file__, '--folder', tmp, str(n)], check=True)
    for n in (1_000, 20_000):
        took = seconds(partial(duplicate_groups, speckled(n)))
        row('duplicate_groups, copies of one image', n, took)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--folder']: measure(sys.argv[2], int(sys.argv[3]))
    else: main(*map(int, sys.argv[1:]))

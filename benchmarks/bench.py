"What the benchmarks of speed share: the machine in words, contestants that take turns, patches, tables"
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from histo_meta.data import patch_images, patch_table
from histo_meta.machine import keep_memory, usable_cores
from histo_meta.sample import make_sample

FLAGS = ('avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16')


def machine():
    "One line about the machine and the versions"
    info = Path('/proc/cpuinfo')
    text = info.read_text() if info.exists() else ''
    model = re.search('model name\\s*: (.*)', text)
    found = set(' '.join(re.findall('flags\\s*: (.*)', text)[:1]).split())
    flags = ' '.join(flag for flag in FLAGS if flag in found)
    gpu = f', {torch.cuda.get_device_name()}' if torch.cuda.is_available() else ''
    return (f'{model[1] if model else platform.processor()}{gpu}; {usable_cores()} cores, {torch.get_num_threads()} '
            f'threads; {flags}; Python {platform.python_version()}, torch {torch.__version__}')


def rate(contestant):
    "Images per second of a function that returns how many it has worked through, or (images, seconds)"
    start = time.perf_counter()
    done = contestant()
    n, seconds = done if isinstance(done, tuple) else (done, time.perf_counter() - start)
    return n/seconds


def take_turns(contestants, rounds):
    "Images per second of each contestant (name to function) in each round; one round before does not count"
    found = []
    for k in range(rounds + 1):
        found.append({name: rate(f) for name, f in contestants.items()})
        print(f'round {k} of {rounds}:', ', '.join(f'{n} {v:,.0f}' for n, v in found[-1].items()), file=sys.stderr)
    return pd.DataFrame(found[1:])


def table(rates, *references):
    "Median, spread and ratios to some contestants, round by round, as Markdown"
    lines = ['| | images/s | spread |' + ''.join(f' / {name} |' for name in references),
             '|---|---:|---:|' + '---:|'*len(references)]
    for name, values in rates.items():
        ratios = [f' {(values/rates[other]).median():.2f} |' for other in references]
        spread = f'{values.min():,.0f} to {values.max():,.0f}'
        lines.append(f'| {name} | {values.median():,.0f} | {spread} |' + ''.join(ratios))
    return '\n'.join(lines)


def tissue(n, seed=0):
    "Yields `n` different synthetic patches (96, 96, 3) uint8 and their labels, without drawing each of them"
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as tmp: patches = patch_table(make_sample(f'{tmp}/s', 200, 10)); images = patch_images(patches)
    tumor = (patches.label == 'tumor').to_numpy()
    for _ in range(n):
        i = rng.integers(len(images))
        yield np.roll(images[i], rng.integers(0, 96, 2), (0, 1)), tumor[i]


@contextmanager
def jpeg_folder(n):
    "A folder with `n` JPEG files in class folders: real ones below $HISTO_META_DATA, otherwise synthetic ones"
    real = Path(os.environ.get('HISTO_META_DATA', ''))/'pcam/train'
    with tempfile.TemporaryDirectory() as tmp:
        for c in '01': (Path(tmp)/c).mkdir()
        if real.is_dir() and 'HISTO_META_DATA' in os.environ:
            files = [f for c in '01' for f in sorted((real/c).glob('*.jpg'))[:n//2]]
            for f in files: (Path(tmp)/f.parent.name/f.name).write_bytes(f.read_bytes())
        else:
            for i, (pixels, tumor) in enumerate(tissue(n)): Image.fromarray(pixels).save(f'{tmp}/{int(tumor)}/{i:06d}.jpg', quality=75)
        yield Path(tmp)


def memory_mb(key='VmRSS'):
    "Memory of this process: VmRSS now, VmHWM at its peak"
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))/1024


def alone(script, *args, **env):
    "Run a benchmark in a process of its own; what it prints"
    settings = os.environ | {k: str(v) for k, v in env.items()}
    done = subprocess.run([sys.executable, script, *map(str, args)], capture_output=True, text=True, env=settings)
    if done.returncode: raise SystemExit(done.stderr[-2000:])
    return done.stdout


def start(threads=None):
    "Set a process up as the commands do"
    keep_memory()
    torch.set_num_threads(threads or usable_cores())
    return machine()

"What the benchmarks of speed share: the machine, contestants that take turns, patches, tables"
import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from histo_meta.base import InputError
from histo_meta.bundle import write_bundle
from histo_meta.config import BUNDLE_FORMAT, build_model, versions
from histo_meta.data import patch_images, patch_table
from histo_meta.machine import compute_threads, keep_memory, process_settings, usable_cores
from histo_meta.sample import make_sample

FLAGS = ('avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16')
RESULTS = Path(__file__).with_name('RESULTS.md')
INTRO = """# Results of the benchmarks

Ratios are medians over rounds in which the contestants take turns. No speed has been measured on a
GPU yet.
"""
DRAWN = 20_000  # different synthetic patches, at most; real ones are as many
DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
BS = 256 if DEVICE.type == 'cuda' else 64  # patches in a mini-batch
TRAINED = 65_536 if DEVICE.type == 'cuda' else 640  # patches in an epoch
PREDICTED = 65_536 if DEVICE.type == 'cuda' else 1_280


def patches_kind():
    "Which patches `jpeg_folder` takes"
    return f'{"real" if os.environ.get("HISTO_META_DATA") else "synthetic"} patches'


def machine(patches=None):
    "One line about the machine, the versions and the patches"
    info = Path('/proc/cpuinfo')
    text = info.read_text() if info.exists() else ''
    model = re.search('model name\\s*: (.*)', text)
    found = set(' '.join(re.findall('flags\\s*: (.*)', text)[:1]).split())
    flags = ' '.join(flag for flag in FLAGS if flag in found)
    gpu = f', {torch.cuda.get_device_name()}' if torch.cuda.is_available() else ''
    return (f'{model[1] if model else platform.processor()}{gpu}; {usable_cores()} cores, '
            f'{torch.get_num_threads()} threads; {flags}; Python {platform.python_version()}, '
            f'torch {torch.__version__}; {patches or patches_kind()}')


def timed(f, *args):
    "What `f` returns, and the seconds that it takes"
    began = time.perf_counter()
    return f(*args), time.perf_counter() - began


def rate(contestant):
    "Images per second of a function that returns how many it has done, or (images, seconds)"
    done, seconds = timed(contestant)
    n, seconds = done if isinstance(done, tuple) else (done, seconds)
    return n/seconds


def one_round(contestants, title):
    "Images per second of each contestant"
    found = {name: rate(f) for name, f in contestants.items()}
    words = ', '.join(f'{name} {value:,.0f}' for name, value in found.items())
    print(f'{title}: {words}', file=sys.stderr)
    return found


def take_turns(contestants, rounds):
    "Images per second of each contestant (name to function) in each round, after one to warm up"
    one_round(contestants, 'warming up')
    return pd.DataFrame([one_round(contestants, f'round {k + 1}') for k in range(rounds)])


def markdown(head, rows):
    "A table in Markdown: text in the first column, numbers in the others"
    lines = [head, ['---'] + ['---:']*(len(head) - 1), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def table(rates, *references):
    "Median, spread and ratios to some contestants, round by round, as Markdown"
    rows = []
    for name, values in rates.items():
        spread = f'{values.min():,.0f} to {values.max():,.0f}'
        ratios = [f'{(values/rates[other]).median():.2f}' for other in references]
        rows.append([name, f'{values.median():,.0f}', spread, *ratios])
    return markdown(['', 'images/s', 'spread', *(f'/ {name}' for name in references)], rows)


def tissue(n, seed=0):
    "Yields `n` synthetic patches (96, 96, 3) uint8 and their labels: few are drawn, then rolled"
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as tmp:
        patches = patch_table(make_sample(f'{tmp}/s', 200, 10))
        images = patch_images(patches)
    tumor = (patches.label == 'tumor').to_numpy()
    for _ in range(n):
        i = rng.integers(len(images))
        yield np.roll(images[i], rng.integers(0, 96, 2), (0, 1)), tumor[i]


def class_folders(folder):
    for label in '01': (folder/label).mkdir(parents=True)
    return folder


def real_files():
    "Real patches below $HISTO_META_DATA, the classes in turn; none if it is not set"
    data = os.environ.get('HISTO_META_DATA')
    if not data: return []
    folder = Path(data)/'pcam/train'
    classes = [sorted((folder/label).glob('*.jpg')) for label in '01']
    found = [file for pair in zip(*classes) for file in pair]
    if found: return found
    raise InputError(f'HISTO_META_DATA is set, but {folder} has no JPEG files in folders 0 and 1; '
                     'put patches there, or unset it for synthetic ones')


def drawn_files(folder, n):
    "Synthetic patches, as JPEG files in class folders"
    class_folders(folder)
    for i, (pixels, tumor) in enumerate(tissue(n)):
        Image.fromarray(pixels).save(folder/f'{int(tumor)}/{i:06d}.jpg', quality=75)
    return sorted(folder.rglob('*.jpg'), key=lambda file: file.name)


def copy_files(files, folder, n):
    "`n` files under new names; where there are fewer, they are repeated"
    class_folders(folder)
    for i, file in zip(range(n), cycle(files)):
        (folder/file.parent.name/f'{i:06d}.jpg').write_bytes(file.read_bytes())
    return folder


@contextmanager
def jpeg_folder(n):
    "A folder with `n` JPEG files in class folders: real patches if there are any"
    with tempfile.TemporaryDirectory() as tmp:
        files = real_files() or drawn_files(Path(tmp)/'drawn', min(n, DRAWN))
        yield copy_files(files, Path(tmp)/'files', n)


def new_bundle(arch, folder, size, members=1):
    "A bundle with networks that were never trained: they take as long as others"
    config = dict(format=BUNDLE_FORMAT, arch=arch, members=members, vocab=['normal', 'tumor'],
                  size=size, mpp=round(.972*96/size, 6), mean=[.7, .5, .7], std=[.2, .2, .2],
                  enhance=None, temperature=1., threshold=None, versions=versions(),
                  precision=None, compile=None, recipe=None, images=None, split_hash=None,
                  hash=None)
    return write_bundle(build_model(arch, members), folder, config)


def write_section(title, commands, texts):
    "Put a section into RESULTS.md, in the place of an older one, and keep the others"
    _, *parts = RESULTS.read_text().split('\n## ') if RESULTS.exists() else ['']
    sections = dict(part.split('\n', 1) for part in parts)
    today = datetime.date.today()
    sections[title] = '\n\n'.join(f'`python benchmarks/{c}`, {today}\n\n{t.strip()}'
                                  for c, t in zip(commands, texts, strict=True))
    found = [f'## {name}\n\n{body.strip()}\n' for name, body in sections.items()]
    RESULTS.write_text('\n'.join([INTRO, *found]))


def memory_mb(key='VmRSS'):
    "Memory of this process: VmRSS now, VmHWM at its peak"
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))/1024


def settings():
    "Environment variables as the commands set them, but without a fixed number of threads"
    wanted = process_settings()
    wanted.pop('OMP_NUM_THREADS', None)  # with it, a training does not share the cores
    return os.environ | wanted


def alone(script, *args):
    "Run a benchmark in a process of its own; what it prints"
    command = [sys.executable, script, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env=settings())
    if done.returncode < 0: raise SystemExit(f'{script}: killed by signal {-done.returncode}')
    if done.returncode: raise SystemExit(done.stderr.strip()[-2000:] or
                                         f'{script}: exit code {done.returncode}')
    return done.stdout


def start(threads=None, patches=None):
    "Set a process up as the commands do"
    keep_memory()
    torch.set_num_threads(threads or compute_threads())
    return machine(patches)


def arguments(doc, patches, rounds=3, arch='resnet18'):
    "A parser of what the benchmarks have in common; no --arch if `arch` is None"
    parser = argparse.ArgumentParser(description=doc,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    if arch: parser.add_argument('--arch', default=arch)
    parser.add_argument('--patches', type=int, default=patches)
    parser.add_argument('--rounds', type=int, default=rounds)
    return parser

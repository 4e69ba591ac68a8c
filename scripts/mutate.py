"""Change every key of a bundle's config.json and every weight in many ways, compute the hash again, and predict:
each bundle must be refused with an InputError, or give probabilities, in bounded time and memory.

    python scripts/mutate.py [--ways 200] [--weight-ways 20] [--only config|weights] [--seed 0]
"""
import argparse
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from histo_meta.base import InputError
from histo_meta.bundle import Predictor, bundle_hash, save_bundle
from histo_meta.config import CONFIG_RULES
from histo_meta.core import patch_dls, patch_learner
from histo_meta.data import patch_table
from histo_meta.sample import make_sample

MOST_SECONDS, MOST_MB = 20, 2048

NUMBERS = [0, 1, -1, 2, 16, 96, 255, 1024, 1025, 20_000, 2**31, 2**63, 2**70, 10**400, .5, -.5, 1e-300, 1e-9, 1e9,
           1e30, 1e308, float('nan'), float('inf'), float('-inf'), -0.0]
TEXTS = ['', ' ', 'x', 'null', 'NaN', '1', '1.0', 'True', 'None', 'normal', 'tumor', '0'*64, 'f'*64, 'F'*64, '0'*63,
         '\0', '\ud800', 'a\nb', '\x1b[2J', '<script>', '$\\frac{', '{{7*7}}', '%s%n', 'é'*50, 'x'*10**5, '𝟏𝟐', '2.13.0',
         '../..', '/etc/passwd', '/dev/zero', 'C:\\x', 'https://example.org', 'hf-hub:timm/resnet18', 'local-dir:/tmp',
         'timm/hf-hub:timm/resnet18', 'timm/local-dir:/tmp', 'timm/../resnet18', 'timm/resnet18', 'timm/resnet18.bogus',
         'timm/resnet18.a1_in1k', 'timm/', 'resnet34', 'resnet50', 'vit_b_16', 'regnet_y_128gf', 'googlenet', 'maxvit_t',
         'swin_v2_b', 'timm/vit_7b_patch16_dinov3', 'timm/eva02_enormous_patch14_clip_224', 'timm/sequencer2d_l',
         'os.system', '__import__', 'list_models', 'histo_meta bundle 0', 'histo_meta bundle 2',
         'histo_meta bundle 99999999']


def nested(depth):
    value = []
    for _ in range(depth): value = [value]
    return value


OTHERS = [None, True, False, [], {}, [[]], [None], [0], [1, 1, 1], [.5, .5, .5], [0, 0, 0], [1, 1], [1]*4, [1]*10_000,
          ['normal', 'tumor'], ['tumor', 'normal'], {'a': 1}, {'contrast': 1}, {'contrast': 1, 'brightness': 0},
          {'side': 96}, {'': ''}, nested(100), nested(800)]


def junk(rng): return rng.choice(rng.choice([NUMBERS, TEXTS, OTHERS]))


def nudge_number(value, rng):
    return rng.choice([value + 1, value - 1, -value, value*10, value/10, value*1e6, value + .5, str(value), [value],
                       value*rng.uniform(-2, 2)])


def nudge_text(value, rng):
    i = rng.randrange(len(value) + 1)
    letter = chr(rng.randrange(1, 0x2ff))
    return rng.choice([value[:i], value[i:], value[:i] + letter + value[i:], value.upper(), value + ' ', value*2, [value]])


def nudge_list(value, rng):
    i = rng.randrange(len(value))
    return rng.choice([value[:i], value[i:], value + value, value[::-1],
                       value[:i] + [nudge(value[i], rng)] + value[i+1:], value[:i] + [junk(rng)] + value[i+1:]])


def nudge_dict(value, rng):
    key = rng.choice(list(value))
    return rng.choice([{k: v for k, v in value.items() if k != key}, value | {key: nudge(value[key], rng)},
                       value | {key: junk(rng)}, value | {'extra': junk(rng)}, list(value.items()), {key: value[key]}])


def nudge(value, rng):
    "A value like `value`, but not quite"
    if isinstance(value, bool) or value is None: return junk(rng)
    if isinstance(value, (int, float)): return nudge_number(value, rng)
    if isinstance(value, str): return nudge_text(value, rng)
    return nudge_list(value, rng) if isinstance(value, list) else nudge_dict(value, rng)


def config_cases(config, ways, rng):
    "Key, and configs in which it is changed"
    simple = NUMBERS + TEXTS + OTHERS
    for key in CONFIG_RULES:
        values = rng.sample(simple, min(len(simple), ways//2))
        values += [nudge(config[key], rng) for _ in range(ways - len(values) - 1)]
        yield key, {k: v for k, v in config.items() if k != key}
        for value in values: yield key, config | {key: value}


def split_file(raw):
    "Header and data of a safetensors file"
    n = struct.unpack('<Q', raw[:8])[0]
    return json.loads(raw[8:8+n]), raw[8+n:]


def join_file(header, data):
    text = json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + data


def with_values(raw, name, change):
    "The file with `change` applied to the values of one weight"
    header, data = split_file(raw)
    lo, hi = header[name]['data_offsets']
    values = np.frombuffer(data[lo:hi], {'F32': np.float32, 'I64': np.int64}[header[name]['dtype']]).copy()
    with np.errstate(all='ignore'): changed = change(values).astype(values.dtype)
    return join_file(header, data[:lo] + changed.tobytes() + data[hi:])


def with_one(values, value):
    values[len(values)//2] = value
    return values


def value_changes(is_float):
    "Functions from the values of a weight to others"
    big = 3e38 if is_float else 2**62
    return [lambda v: with_one(v, float('nan') if is_float else -1), lambda v: with_one(v, float('inf') if is_float else big),
            lambda v: with_one(v, -big), lambda v: v*0 + big, lambda v: v*0 - big, lambda v: v*0, lambda v: -v,
            lambda v: v*1000, lambda v: v*1e20, lambda v: v*0 + 1e-42]


def entry_changes(entry):
    "What a header could say about a weight instead"
    lo, hi = entry['data_offsets']
    dtypes = [dict(dtype=dtype) for dtype in ('F16', 'I8', 'I32', 'C64', 'BOOL', 'x')]
    shapes = [dict(shape=shape) for shape in (entry['shape'] + [1], entry['shape'][::-1] + [1, 1], [2**40, 2**40], [-1])]
    return dtypes + shapes + [dict(data_offsets=o) for o in ([lo, hi + 8], [hi, lo], [0, hi - lo], [-8, 0])]


def weight_cases(raw, ways, rng):
    "Name, and functions that return the file with that weight changed"
    header, data = split_file(raw)
    for name, entry in header.items():
        others = {k: v for k, v in header.items() if k != name}
        headers = [header | {name: entry | new} for new in entry_changes(entry)]
        headers += [others, others | {name + '.x\n': entry}, others | {name: {}}]
        changes = headers + value_changes(entry['dtype'] == 'F32')
        for change in rng.sample(changes, min(ways, len(changes))):
            yield name, partial(with_values, raw, name, change) if callable(change) else partial(join_file, change, data)


def outcome(folder, table):
    "What becomes of a bundle: refused, predicts, or what is wrong"
    try: p = Predictor(folder, 'cpu').predict(table)
    except InputError as e:
        short = str(e).isprintable() and len(str(e)) < 1000
        return 'refused' if short else f'message of {len(str(e))} characters: {e!r:.200}'
    except BaseException as e: return f'{type(e).__name__}: {e!s:.300}'
    return 'predicts' if ((p >= 0) & (p <= 1)).all() else f'not a probability: {p}'


def in_child(write_files, folder, table):
    "Outcome, seconds, and peak memory in MB of a forked child that writes the files and predicts"
    read, write = os.pipe()
    start = perf_counter()
    if not (pid := os.fork()):
        try:
            signal.alarm(3*MOST_SECONDS)
            write_files()
            os.write(write, outcome(folder, table).encode(errors='replace')[:4000])
        finally: os._exit(0)
    os.close(write)
    with os.fdopen(read, 'rb') as f: result = f.read().decode()
    _, status, usage = os.wait4(pid, 0)
    return result or f'died with status {status}', perf_counter() - start, usage.ru_maxrss/1024


def good_bundle(tmp):
    table = patch_table(make_sample(tmp/'sample', n=40, slides=4))
    learn = patch_learner(patch_dls(table, size=48, bs=16, num_workers=0), 'resnet18', pretrained=False)
    return save_bundle(learn, tmp/'bundle'), table[:2]


def write_config(folder, config, sign=True):
    if sign: config = config | dict(hash=bundle_hash(config, folder/'model.safetensors'))
    (folder/'config.json').write_text(json.dumps(config))


def write_both(folder, content, config):
    (folder/'model.safetensors').write_bytes(content())
    write_config(folder, config)


def full_config(bundle):
    "The config of a bundle, with a value for each key that may be null"
    images = dict(side=96, mean=[200., 150., 180.], std=[30., 40., 20.])
    more = dict(enhance=dict(contrast=1.2, brightness=.1), images=images, split_hash='0'*64)
    return json.loads((bundle/'config.json').read_text()) | more


def run_all(args, tmp):
    "Each case, as (what was changed, outcome, seconds, MB)"
    rng = random.Random(args.seed)
    bundle, table = good_bundle(tmp)
    config = full_config(bundle)
    if args.only != 'weights':
        for key, changed in config_cases(config, args.ways, rng):
            yield key, *in_child(partial(write_config, bundle, changed, key != 'hash'), bundle, table)
    if args.only != 'config':
        raw = (bundle/'model.safetensors').read_bytes()
        for name, content in weight_cases(raw, args.weight_ways, rng):
            write_files = partial(write_both, bundle, content, config)
            yield 'weights.' + name.split('.')[-1], *in_child(write_files, bundle, table)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--ways', type=int, default=200, help='changes of each key of config.json')
    parser.add_argument('--weight-ways', type=int, default=20, help='changes of each weight')
    parser.add_argument('--only', choices=['config', 'weights'], help='only these')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    tmp, rows, wrong = Path(tempfile.mkdtemp()), defaultdict(list), 0
    try:
        for name, result, seconds, mb in run_all(args, tmp):
            rows[name].append((result, seconds, mb))
            if result in ('refused', 'predicts') and seconds <= MOST_SECONDS and mb <= MOST_MB: continue
            wrong += 1
            print(f'WRONG {name}: {result}; {seconds:.1f} s, {mb:.0f} MB', flush=True)
    finally: shutil.rmtree(tmp)
    print(f'{"changed":28} {"cases":>6} {"refused":>8} {"predicts":>9} {"most s":>7} {"most MB":>8}')
    for name, cases in rows.items():
        results, seconds, mbs = zip(*cases)
        counts = f'{len(cases):6} {results.count("refused"):8} {results.count("predicts"):9}'
        print(f'{name:28} {counts} {max(seconds):7.1f} {max(mbs):8.0f}')
    print(f'{sum(map(len, rows.values())):,} cases, {wrong} wrong')
    sys.exit(bool(wrong))


if __name__ == '__main__': main()

"""Feed mutated files to every reader, and expect nothing but an `InputError`

    python scripts/fuzz.py --seconds 600            every reader
    python scripts/fuzz.py --seconds 60 csv idx     two of them

Each reader runs in a process of its own under Atheris, with at most 2 GB of memory and 20 seconds for one file.
Files that fail are kept below build/fuzz/NAME.
"""
import argparse
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT/'build'/'fuzz'
LIMITS = ['-rss_limit_mb=2048', '-timeout=20', '-max_len=200000', '-print_final_stats=1', '-verbosity=0']


def image_seeds():
    "A small patch in every format that is read"
    import numpy as np
    from PIL import Image
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for kind in ('TIFF', 'PNG', 'JPEG', 'BMP', 'WEBP'):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind)
        yield file.getvalue()
    deep = io.BytesIO()
    Image.fromarray(pixels[..., 0].astype(np.uint16)*256).save(deep, 'TIFF')
    yield deep.getvalue()


def h5_seeds():
    "Two patches, stored in one piece and in compressed chunks"
    import h5py
    import numpy as np
    x = np.zeros((2, 16, 16, 3), np.uint8)
    for options in ({}, dict(chunks=(1, 16, 16, 3), compression='gzip')):
        file = io.BytesIO()
        with h5py.File(file, 'w') as f: f.create_dataset('x', data=x, **options)
        yield file.getvalue()


def idx_seeds():
    labels = b'\0\0\x08\1\0\0\0\3\0\1\2'
    images = b'\0\0\x08\3\0\0\0\1\0\0\0\2\0\0\0\2' + bytes(4)
    return [labels, images, gzip.compress(labels), gzip.compress(images)]


def npz_seeds():
    from histo_meta.mnist import Network
    from histo_meta.mnist_run import save_weights
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder)/'weights.npz'
        save_weights(Network((4, 3, 2)), file)
        return [file.read_bytes()]


def csv_seeds():
    return [b'id,label\na,0\nb,1\n', b'Id;Label\r\na.tif;0.0\r\nb.tif;Tumor\r\n', b'\tid\twsi\n0\ta\ts1\n',
            'id,label\na,0\n'.encode('utf-16'), b'\xef\xbb\xbf"id", "label"\n"a", 1\n']


def small_weights():
    "model.safetensors of a small network"
    from safetensors.torch import save

    from histo_meta.config import build_model
    return save(build_model('timm/test_resnet').state_dict())


def bundle_seeds():
    "config.json of a small bundle, and the header of its weights"
    config = dict(format='histo_meta bundle 1', arch='timm/test_resnet', vocab=['normal', 'tumor'], size=96, mpp=.972,
                  mean=[.5]*3, std=[.5]*3, enhance=None, temperature=1., versions={}, images=None, hash='0'*64,
                  split_hash=None)
    weights = small_weights()
    end = 8 + int.from_bytes(weights[:8], 'little')
    return [json.dumps(config).encode() + b'\0' + weights[:end]]


def bundle_reader():
    "A function that writes a bundle with zeros for weights and the right hash, and loads it"
    from histo_meta.bundle import bundle_hash, load_bundle
    from histo_meta.files import write_json
    length = len(small_weights())
    def read(path):
        config, _, header = path.read_bytes().partition(b'\0')
        file, weights = path.parent/'config.json', path.parent/'model.safetensors'
        weights.write_bytes(header)
        os.truncate(weights, length)
        file.write_bytes(config)
        try:
            content = json.loads(config)
            write_json(file, content | dict(hash=bundle_hash(content, weights)))
        except (ValueError, TypeError, AttributeError, RecursionError): pass
        return load_bundle(path.parent)
    return read


def reader(name):
    "A function from the path of a file to whatever its reader returns"
    from histo_meta import data, files, mnist_data, mnist_run, readers
    if name == 'bundle': return bundle_reader()
    def read_h5(path): return [readers.h5_image(path, row) for row in range(2)]
    return dict(image=readers.read_image, h5=read_h5, idx=mnist_data.read_idx, npz=mnist_run.load_weights,
                csv=lambda path: readers.read_rows(path, ['id']), labels=data.read_labels,
                json=files.read_json)[name]


SEEDS = dict(image=image_seeds, h5=h5_seeds, idx=idx_seeds, npz=npz_seeds, csv=csv_seeds, labels=csv_seeds,
             json=lambda: [b'{"a": [1, 2.5, null, "b"]}'], bundle=bundle_seeds)


def fuzz_one(name, seconds):
    "Fuzz one reader in this process; Atheris ends it"
    import atheris
    with atheris.instrument_imports(include=['histo_meta'], enable_loader_override=False):
        from histo_meta.base import InputError
        read = reader(name)
    file = Path(os.environ['FUZZ_FOLDER'])/f'file.{name}'
    def test_one(content):
        file.write_bytes(content)
        try: read(file)
        except InputError: pass
    corpus = WORK/name/'corpus'
    corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(SEEDS[name]()): (corpus/f'seed{i}').write_bytes(seed)
    prefix = f'-artifact_prefix={WORK/name}/'
    atheris.Setup([sys.argv[0], str(corpus), f'-max_total_time={seconds}', prefix, *LIMITS], test_one)
    atheris.Fuzz()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', default=list(SEEDS), help=', '.join(SEEDS))
    parser.add_argument('--seconds', type=int, default=60, help='for each reader')
    parser.add_argument('--here', action='store_true', help='fuzz one reader in this process')
    args = parser.parse_args()
    if unknown := set(args.names) - set(SEEDS): parser.error(f'no reader {min(unknown)!r}')
    if args.here: return fuzz_one(args.names[0], args.seconds)
    failed = []
    for name in args.names:
        command = [sys.executable, __file__, name, '--here', '--seconds', str(args.seconds)]
        with tempfile.TemporaryDirectory() as folder:  # Atheris ends the other process at once
            env = os.environ | dict(FUZZ_FOLDER=folder)
            done = subprocess.run(command, capture_output=True, text=True, env=env)
        stats = dict(re.findall(r'stat::(\w+): +(\d+)', done.stderr))
        files, memory = (int(stats.get(k, 0)) for k in ('number_of_executed_units', 'peak_rss_mb'))
        print(f'{name}: {"failed" if done.returncode else "passed"}, {files:,} files, {memory:,} MB at most', flush=True)
        if not done.returncode: continue
        failed.append(name)
        print(done.stderr[-3000:], flush=True)
    if failed: sys.exit(f'failed: {", ".join(failed)}; the files are below {WORK}')


if __name__ == '__main__': main()

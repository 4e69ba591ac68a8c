"""Does --minutes keep its promise? python benchmarks/minutes.py [MINUTES ...] [--write]

Trains with histo_train on the real patches in $HISTO_META_DATA/pcam/train, and takes the time from
the start of the command to the report. With --write, the table goes into RESULTS.md.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import markdown, start, timed, write_section

from histo_meta.run import Run

HEAD = ['minutes', 'minutes taken', 'ratio', 'networks', 'pixels', 'epochs each']


def train(minutes, folder):
    "A row: what was promised, what it took, and what was trained"
    command = [Path(sys.executable).with_name('histo_train'),
               Path(os.environ['HISTO_META_DATA'])/'pcam/train', '--out', folder]
    _, seconds = timed(lambda: subprocess.run([*command, '--minutes', str(minutes)], check=True))
    config, taken = Run(folder).config, seconds/60
    return [f'{minutes:g}', f'{taken:.2f}', f'{taken/minutes:.2f}', str(config['members']),
            str(config['size']), str(config['recipe']['epochs'])]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('minutes', nargs='*', type=float, default=[2, 5, 15])
    parser.add_argument('--write', action='store_true', help='write the table into RESULTS.md')
    args = parser.parse_args()
    if 'HISTO_META_DATA' not in os.environ: parser.error('set HISTO_META_DATA to real patches')
    machine = start(patches='20,000 real patches')
    with tempfile.TemporaryDirectory() as tmp:
        rows = [train(minutes, Path(tmp)/f'{k}') for k, minutes in enumerate(args.minutes)]
    text = f'{machine}\n\n{markdown(HEAD, rows)}'
    print(text)
    if args.write: write_section('The time that a training takes', ['minutes.py'], [text])


if __name__ == '__main__': main()

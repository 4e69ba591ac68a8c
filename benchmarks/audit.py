"""How long an audit takes, and how much memory: python benchmarks/audit.py [NUMBER OF PATCHES ...] [--write]

Each size has a process of its own. Among the patches are copies, some with another label, so that every check has
something to find. 220,025 patches take 6 GB of disk and half an hour.
"""
import argparse
import shutil
import tempfile
import time
from pathlib import Path

from bench import alone, machine, markdown, memory_mb, write_section
from scan import make_patches

from histo_meta.audit import write_audit
from histo_meta.data import patch_table


def make_folder(folder, n):
    "Class folders with `n` patches; one of a hundred is a copy, and some copies have another label"
    for name in ('all', 'normal', 'tumor'): (folder/name).mkdir(parents=True)
    copies = n//100
    make_patches(folder/'all', n - copies)
    for i, path in enumerate(sorted((folder/'all').iterdir())):
        label = ('normal', 'tumor')[i % 5 == 0]
        if i < copies: shutil.copy(path, folder/('normal', 'tumor')[i % 10 == 0]/f'copy_{path.name}')
        path.rename(folder/label/path.name)
    (folder/'all').rmdir()


def measure(folder, out):
    "Seconds by the clock and of the processor, memory in MB above that of the table, and size of the page in MB"
    patch_table(folder)
    before, clock, cpu = memory_mb(), time.perf_counter(), time.process_time()
    found, _ = write_audit(folder, out)
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    print(clock, cpu, memory_mb('VmHWM') - before, out.stat().st_size/1e6, len(found.found), len(found.patches))


def row(n):
    with tempfile.TemporaryDirectory() as tmp:
        make_folder(Path(tmp)/'data', n)
        clock, cpu, memory, page, kinds, concerned = map(float, alone(__file__, '--folder', tmp).split())
    return [f'{n:,}', f'{clock:.0f}', f'{cpu:.0f}', f'{1e6*clock/n:.0f}', f'{memory:.0f}', f'{page:.1f}',
            f'{kinds:.0f}', f'{concerned:,.0f}']


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sizes', type=int, nargs='*', help='numbers of patches; 20000 and 220025 by default')
    parser.add_argument('--write', action='store_true', help='put the result into RESULTS.md')
    parser.add_argument('--folder', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder: return measure(args.folder/'data', args.folder/'audit.html')
    head = ['patches', 'seconds', 'seconds of the processor', 'microseconds each', 'memory, MB', 'page, MB',
            'findings', 'patches concerned']
    table = markdown(head, [row(n) for n in args.sizes or (20_000, 220_025)])
    text = f"{machine('synthetic patches')}\n\n{table}"
    print(text)
    if args.write: write_section('Audit', ['audit.py'], [text])


if __name__ == '__main__': main()

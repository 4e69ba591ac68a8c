"Run notebooks from a clean shell and store their outputs, each with a hash of its source: python scripts/refresh.py [--flags 'slow real'] [NB ...]"
import argparse, os, subprocess, sys, warnings
from pathlib import Path

from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from fastcore.xtras import working_directory
from nbdev.config import get_config
from nbdev.doclinks import nbglob
from nbdev.process import NBProcessor

from pages import code_hash


def skips(skip_flags):
    "A test of a cell: is it one that nbdev_test leaves out?"
    def skip(cell):
        directives = getattr(cell, 'directives_', None) or {}
        no_eval = directives.get('eval:', [''])[0].lower() == 'false'
        return cell.cell_type != 'code' or no_eval or bool(skip_flags & directives.keys())
    return skip


def stamp(cell):
    "Keep with an output which source it came from, so that an older output can be found"
    cell.metadata.pop('source_hash', None)
    if cell.outputs: cell.metadata['source_hash'] = code_hash(cell)


def refresh(path, skip_flags):
    "Run the notebook at `path` and store its outputs; a failing cell stops it and leaves the file as it was"
    path, skip = path.resolve(), skips(skip_flags)
    processed = NBProcessor(path, process=True).nb  # knows each cell's directives, but has lost their lines
    skipped = [skip(cell) for cell in processed.cells]
    nb, shell = read_nb(path), CaptureShell(path)
    with working_directory(path.parent):
        shell.run_all(nb, exc_stop=True, preproc=lambda cell: skipped[cell.idx_])
    for cell, left_out in zip(nb.cells, skipped):
        if not left_out: stamp(cell)
    write_nb(nb, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--flags', default='', help='also run cells with these flags, separated by spaces')
    parser.add_argument('notebooks', nargs='*', type=Path, help='all of them by default')
    args = parser.parse_args()
    cfg = get_config()
    sys.path.insert(0, str(cfg.config_path))
    os.environ['IN_TEST'] = '1'
    warnings.simplefilter('ignore', FutureWarning)  # other libraries', about each other
    skip_flags = set(cfg.tst_flags.split()) - set(args.flags.split())
    paths = [Path(p) for p in args.notebooks or sorted(nbglob())]
    if len(paths) > 1:  # a process each: settings of one page must not reach the next
        for path in paths: subprocess.run([sys.executable, __file__, '--flags', args.flags, str(path)], check=True)
        return
    for path in paths:
        print(path)
        # a tutorial shows what its slow cells trained; tests run a small twin in their place
        refresh(path, skip_flags - {'slow'} if 'tutorials' in path.resolve().parts else skip_flags)


if __name__ == '__main__': main()

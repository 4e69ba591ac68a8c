"Run a notebook with IPython alone, without cells that have a FLAG: run_notebook.py NB FLAG ..."
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType

from IPython.core.interactiveshell import InteractiveShell


def tests(path, flags):
    "Source of each cell that nbdev_test would run"
    left_out = re.compile(rf'^#\| ?(eval: *false|{"|".join(flags)})\b', re.M)
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'code' and not left_out.search(source): yield source


def main():
    path, flags = Path(sys.argv[1]).resolve(), sys.argv[2:]
    os.environ['IN_TEST'] = '1'
    os.environ['MPLBACKEND'] = 'module://matplotlib_inline.backend_inline'  # closes figures
    for name in ('nbdev', 'nbdev.showdoc'): sys.modules[name] = ModuleType(name)  # only for docs
    os.chdir(path.parent)
    shell = InteractiveShell.instance(colors='nocolor')
    for source in tests(path, flags):
        if not shell.run_cell(source).success: sys.exit(f'this cell failed:\n{source}')


if __name__ == '__main__': main()

"Check that notebooks, package, README and docs are in step; --pythons asks pip whether newer Pythons can install"
import ast
import base64
import json
import re
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS, LIB = ROOT/'nbs', ROOT/'histo_meta'
LIGHT = ['import histo_meta', 'import histo_meta.interpret', 'import histo_meta.mnist']
problems = []


def say(problem): problems.append(problem)


def run(*args):
    "Run a command; what it printed, if it failed"
    done = subprocess.run(args, cwd=ROOT, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() if done.returncode else ''


def python(code): return run(sys.executable, '-c', code)


def contents(): return {p: p.read_bytes() for d in (NBS, LIB) for p in d.rglob('*') if p.suffix in ('.ipynb', '.py')}


def notebooks(): return [p for p in sorted(NBS.rglob('*.ipynb')) if '.ipynb_checkpoints' not in p.parts]


def cells(path): return json.loads(path.read_text(encoding='utf-8'))['cells']


def check_in_step():
    "Clean and export change nothing; README equals the index"
    before = contents()
    for command in ('nbdev_clean', 'nbdev_export'):
        if error := run(command): say(f'{command} failed: {error}')
    after = contents()
    for path in sorted(p for p in before | after if before.get(p) != after.get(p)):
        say(f'{path.relative_to(ROOT)} changes when the notebooks are cleaned and exported: run make refresh')
    if error := run(sys.executable, 'scripts/readme.py', '--check'): say(error)


def exports():
    "Module name to the notebooks that export it"
    found = {}
    for path in notebooks():
        for cell in cells(path):
            m = re.match(r'#\| ?default_exp (\S+)', ''.join(cell['source']))
            if m: found.setdefault(m[1], []).append(path)
    return found


def check_modules(found):
    "One notebook for each module, one module for each notebook"
    for name, paths in found.items():
        if len(paths) > 1: say(f'module {name} is exported by {", ".join(p.name for p in paths)}')
    for path in LIB.glob('*.py'):
        if path.stem not in found and path.stem not in ('__init__', '_modidx'): say(f'{path.name} has no notebook')


def check_layers(found):
    "A module imports only modules whose notebooks have lower numbers"
    number = {name: paths[0].name for name, paths in found.items()}
    for name in found:
        for node in ast.walk(ast.parse((LIB/f'{name}.py').read_text(encoding='utf-8'))):
            module = getattr(node, 'module', None) or ''
            inside = getattr(node, 'level', 0) == 1 or module.startswith('histo_meta.')
            names = [module.removeprefix('histo_meta.')] if module else [a.name for a in getattr(node, 'names', ())]
            for other in names if inside and isinstance(node, ast.ImportFrom) else ():
                if other and number.get(other, '') >= number[name]: say(f'{name} imports {other}, which comes after it')


def check_outputs():
    "Stored outputs are small, without tracebacks and without paths of one machine"
    for path in notebooks():
        for cell in cells(path):
            for output in cell.get('outputs', []):
                if output['output_type'] == 'error': say(f'{path.name} holds a traceback')
                data = output.get('data', {})
                text = json.dumps([output.get('text'), *(data.get(f'text/{k}') for k in ('plain', 'html', 'markdown'))])
                if re.search(r'(?<![\w.])/(tmp|home|root|work|opt|Users)/', text):
                    say(f'{path.name} holds an absolute path')
                for kind in ('image/png', 'image/jpeg'):
                    size = len(base64.b64decode(data.get(kind, '')))
                    if size > 100_000: say(f'{path.name} holds an image of {size//1000} KB')


def check_lines(width=120):
    "No line of an exported cell is too long; ruff would also see the lists `__all__`, which nbdev writes"
    for path in notebooks():
        for cell in cells(path):
            lines = ''.join(cell['source']).splitlines()
            if cell['cell_type'] != 'code' or not re.match(r'#\| ?export', lines[0] if lines else ''): continue
            for line in lines:
                if len(line) > width: say(f'{path.name} holds a line of {len(line)} columns: {line.strip()[:60]}…')


def check_imports(found):
    "Every module imports by itself, and what promises to be light does without torch"
    for name in found:
        if error := python(f'import histo_meta.{name}'): say(f'import histo_meta.{name} failed: {error}')
    for code in LIGHT:
        error = python(f'{code}\nimport sys\nassert "torch" not in sys.modules')
        if error: say(f'not light: {code!r}: {error}')
    shown = subprocess.run([sys.executable, '-X', 'importtime', Path(sys.executable).parent/'histo_train', '--help'],
                           capture_output=True, text=True)
    if shown.returncode or re.search(r'\| +torch$', shown.stderr, re.M): say('histo_train --help fails or imports torch')


def check_docs():
    "The notebooks can be processed for the site"
    if error := python('from nbdev.serve import proc_nbs; proc_nbs(force=True, n_workers=0)'): say(f'docs: {error}')


def check_pythons(versions=('3.11', '3.12', '3.13', '3.14')):
    "pip finds builds of all requirements for every supported Python"
    parser = ConfigParser(delimiters=['='])
    parser.read(ROOT/'settings.ini', encoding='utf-8')
    wanted = parser['DEFAULT']['requirements'].split()
    for version in versions:
        with tempfile.TemporaryDirectory() as tmp:
            error = run(sys.executable, '-m', 'pip', 'install', '--quiet', '--dry-run', '--target', tmp,
                        '--only-binary=:all:', '--python-version', version, *wanted)
        if error: say(f'Python {version}: {error.splitlines()[-1]}')
        else: print(f'Python {version}: can be installed')


def main():
    if '--pythons' in sys.argv: check_pythons()
    else:
        found = exports()
        check_in_step()
        check_modules(found)
        check_layers(found)
        check_outputs()
        check_lines()
        error = run('ruff', 'check', '--quiet', '--output-format=concise', 'histo_meta', 'scripts', 'setup.py')
        if error: say(error)
        check_imports(found)
        check_docs()
    print(*problems, sep='\n', end='\n' if problems else '')
    if problems: sys.exit(f'{len(problems)} problems')
    print('All in step.')


if __name__ == '__main__': main()

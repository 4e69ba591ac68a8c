"Check that notebooks, package, README and docs are in step; --pythons asks pip whether newer Pythons can install"
import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

import pages
from reading import ROOT, notebooks

NBS, LIB = ROOT/'nbs', ROOT/'histo_meta'
LIGHT = ['import histo_meta', 'import histo_meta.interpret', 'import histo_meta.mnist']
problems = []


def say(problem): problems.append(problem)


def run(*args):
    "Run a command; what it printed, if it failed"
    done = subprocess.run(args, cwd=ROOT, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() if done.returncode else ''


def python(code): return run(sys.executable, '-c', code)


def python_value(code):
    "What Python prints for `code`; nothing if it fails, which another check reports"
    return subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True).stdout


def contents(): return {p: p.read_bytes() for d in (NBS, LIB) for p in d.rglob('*') if p.suffix in ('.ipynb', '.py')}


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
    for path in notebooks(ROOT):
        for cell in cells(path):
            m = re.match(r'#\| ?default_exp (\S+)', ''.join(cell['source']))
            if m: found.setdefault(m[1], []).append(path)
    return found


def check_modules(found):
    "One notebook for each module, one module for each notebook; all.py alone is written by hand"
    for name, paths in found.items():
        if len(paths) > 1: say(f'module {name} is exported by {", ".join(p.name for p in paths)}')
    for path in LIB.glob('*.py'):
        if path.stem not in found and path.stem not in ('__init__', '_modidx', 'all'): say(f'{path.name} has no notebook')


def check_names(found):
    "No public name has two owners, so that star imports of several modules agree; the MNIST family is imported by itself"
    owner = {}
    for name in found:
        if name.startswith('mnist'): continue
        names = python_value(f'import histo_meta.{name} as m; print(*m.__all__)').split()
        for public in names:
            if public in owner: say(f'{public} is a public name of both {owner[public]} and {name}')
            owner[public] = name


def relative_imports(path):
    "Modules of the package that a module imports"
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if not isinstance(node, ast.ImportFrom): continue
        module = node.module or ''
        if node.level == 1 or module.startswith('histo_meta'):
            name = module.removeprefix('histo_meta').lstrip('.')
            yield from [name] if name else [a.name for a in node.names]


def check_layers(found):
    "A module imports only modules whose notebooks have lower numbers, or the same number: 50a, 50b and 50 are a family"
    number = {name: int(paths[0].name[:2]) for name, paths in found.items()}
    for name in found:
        for other in relative_imports(LIB/f'{name}.py'):
            if number.get(other, -1) > number[name]: say(f'{name} imports {other}, which comes after it')


def settings():
    parser = ConfigParser(delimiters=['='])
    parser.read(ROOT/'settings.ini', encoding='utf-8')
    return parser['DEFAULT']


def commands(): return [line.split('=')[0] for line in settings()['console_scripts'].split()]


def check_sidebar():
    "Every notebook has its place in the sidebar"
    sidebar = (ROOT/'_quarto.yml').read_text(encoding='utf-8')
    for path in notebooks(ROOT):
        if path.relative_to(NBS).as_posix() not in sidebar: say(f'{path.name} is not in the sidebar of _quarto.yml')


def check_citation():
    "The citation is about this version"
    version = re.search(r'^version: (.+)$', (ROOT/'CITATION.cff').read_text(encoding='utf-8'), re.M)[1]
    if version != settings()['version']: say(f'CITATION.cff is about version {version}; settings.ini has {settings()["version"]}')


def check_imports(found):
    "Every module imports by itself, and what promises to be light does without torch"
    for name in found:
        if error := python(f'import histo_meta.{name}'): say(f'import histo_meta.{name} failed: {error}')
    for code in LIGHT:
        error = python(f'{code}\nimport sys\nassert "torch" not in sys.modules')
        if error: say(f'not light: {code!r}: {error}')
    for command in commands():
        shown = subprocess.run([sys.executable, '-X', 'importtime', Path(sys.executable).parent/command, '--help'],
                               capture_output=True, text=True)
        if shown.returncode or re.search(r'\| +torch$', shown.stderr, re.M): say(f'{command} --help fails or imports torch')


def check_docs():
    "The notebooks can be processed for the site, and no page holds a traceback or a link inside a signature"
    shutil.rmtree(ROOT/'_proc', ignore_errors=True)
    if error := python('from nbdev.serve import proc_nbs; proc_nbs(force=True, n_workers=0)'): say(f'docs: {error}')
    for path in sorted((ROOT/'_proc').rglob('*.ipynb')):
        for cell in cells(path):
            if 'Traceback (most recent' in json.dumps(cell, ensure_ascii=False): say(f'docs: {path.name} would publish a traceback')
            for problem in signature_problems(cell): say(f'docs: {path.name} {problem}')


def signature_problems(cell):
    "Signatures without parameters, or with links that a code block shows as they are"
    for output in cell.get('outputs', []):
        text = ''.join(output.get('data', {}).get('text/markdown', ''))
        for block in re.findall(r'```python.*?```', text, re.S):
            if re.search(r'def \w+\(\s*\*args, \*\*kwargs\s*\):', block): yield f'shows {block.split()[2]} without its signature'
            if re.search(r'\[`[^`]+`\]\(', block): yield 'has a link inside a signature'
    source = ''.join(cell['source']) if cell['cell_type'] == 'markdown' else ''
    if re.search(r'\[[^\]]*\[`', source): yield 'has a link inside a link'


def check_pythons(versions=('3.11', '3.12', '3.13', '3.14')):
    "pip finds builds of all requirements for every supported Python"
    wanted = settings()['requirements'].split()
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
        check_names(found)
        check_sidebar()
        check_citation()
        for check in pages.CHECKS: check(say)
        error = run('ruff', 'check', '--quiet', '--output-format=concise', 'histo_meta', 'scripts', 'benchmarks', 'setup.py')
        if error: say(error)
        check_imports(found)
        check_docs()
    print(*problems, sep='\n', end='\n' if problems else '')
    if problems: sys.exit(f'{len(problems)} problems')
    print('All in step.')


if __name__ == '__main__': main()

"""Build the package, install it with the newest versions of what it requires, and run it there

    python scripts/compat.py                      the main job and all notebooks
    python scripts/compat.py 20_data.ipynb        the main job and one of them
    python scripts/compat.py --no-audit           where advisories cannot be looked up
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

from check import commands, settings
from reading import ROOT, notebooks

SHOWN = ('fastai', 'fastcore', 'torch', 'torchvision', 'timm', 'numpy', 'pandas', 'pillow',
         'scikit-learn', 'matplotlib')
IN_SDIST = {'setup.py', 'pyproject.toml', 'settings.ini', 'MANIFEST.in', 'README.md', 'LICENSE',
            'CHANGELOG.md', 'CONTRIBUTING.md'}
FOR_DEVELOPERS = {'dev', 'fuzz', 'docs', 'web'}  # extras that only a checkout needs
OWN_NAMES = {'histo_meta', 'histo-meta'}  # nobody else has advisories of it
EXPLAINED = {}  # findings of pip-audit that cannot harm our users, such as a CVE, and why


def run(*args, **kwargs):
    "Run a command; if it fails, everything ends"
    command = [str(a) for a in args]
    done = subprocess.run(command, text=True, **kwargs)
    if done.returncode: sys.exit(f'exit code {done.returncode} from {" ".join(command)}')
    return done


def install(programs, *packages):
    run(programs/'python', '-m', 'pip', 'install', '--quiet', '--upgrade', *packages)
    run(programs/'python', '-m', 'pip', 'check')


def new_venv(folder, *packages):
    "An environment with nothing but `packages` and what they require; the folder with its programs"
    venv.create(folder, with_pip=True, upgrade_deps=True)
    programs = folder/('Scripts' if os.name == 'nt' else 'bin')
    install(programs, *packages)
    return programs


def build(programs, dist):
    "Build both distributions, the wheel from the sdist; the path of each"
    run(programs/'python', '-m', 'build', '--outdir', dist, ROOT, stdout=subprocess.DEVNULL)
    run(programs/'python', '-m', 'twine', 'check', '--strict', *dist.iterdir())
    return next(dist.glob('*.whl')), next(dist.glob('*.tar.gz'))


def check_contents(wheel, sdist):
    "The wheel holds every module, the sdist also everything that a build reads"
    modules = {f'histo_meta/{path.name}' for path in (ROOT/'histo_meta').glob('*.py')}
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    in_sdist = {name.partition('/')[2] for name in tarfile.open(sdist).getnames()}
    missing = [f'{name} in {wheel.name}' for name in sorted(modules - in_wheel)]
    missing += [f'{name} in {sdist.name}' for name in sorted((modules | IN_SDIST) - in_sdist)]
    if missing: sys.exit(f'missing: {", ".join(missing)}')
    print(f'{wheel.name} and {sdist.name}: complete, with {len(modules)} modules')


def show_versions(programs):
    code = 'import sys\nfrom importlib.metadata import version\nprint("Python", sys.version)\n'
    code += f'print(*(f"{{name}} {{version(name)}}" for name in {SHOWN}), sep=", ")'
    run(programs/'python', '-c', code)


def audit(tools, programs):
    "Print the weaknesses that are known of the installed packages; is each of them explained?"
    code = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    folder = run(programs/'python', '-c', code, stdout=subprocess.PIPE).stdout.strip()
    command = [tools/'python', '-m', 'pip_audit', '--format', 'json', '--path', folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if not done.stdout: sys.exit(f'pip-audit: {done.stderr[-1000:]}')
    packages = json.loads(done.stdout)['dependencies']
    known = [p for p in packages if 'vulns' in p]
    unknown = {p['name'] for p in packages} - {p['name'] for p in known} - OWN_NAMES
    if unknown:
        sys.exit(f'pip-audit could not look up {len(unknown)} of {len(packages)} packages, such as '
                 f'{min(unknown)}; check the connection, or leave the audit out with --no-audit')
    findings = [(p['name'], p['version'], v['id']) for p in known for v in p['vulns']]
    for *package, finding in findings:
        print(*package, finding, EXPLAINED.get(finding, 'not explained'))
    return all(finding in EXPLAINED for *_, finding in findings)


def run_job(programs, folder, epochs):
    "Train, evaluate and predict in a new folder; the AUC of the model on fresh patches"
    folder.mkdir()
    def command(name, *args): run(programs/name, *args, cwd=folder)
    command('python', '-c', 'from histo_meta.all import *')
    for name in commands(): run(programs/name, '--help', stdout=subprocess.DEVNULL)
    command('histo_sample', 'sample', '--n', 600)
    command('histo_train', 'sample', '--out', 'run', '--valid', .2, '--bs', 16, '--epochs', epochs)
    command('histo_sample', 'fresh', '--n', 300, '--seed', 5)
    command('histo_evaluate', 'run', 'fresh', '--tta', '--out', 'evaluation')
    command('histo_predict', 'run', 'sample/test', '--out', 'predictions.csv')
    return json.loads((folder/'evaluation/metrics.json').read_text())['auc']['value']


def serve_page(programs, folder):
    "Start the web page of the run in a folder, and ask for it"
    server = subprocess.Popen([programs/'histo_app', 'run'], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        with urlopen(server.stdout.readline().split()[1]) as page: text = page.read().decode()
    finally: server.terminate()
    if server.wait(60) or 'metastases in lymph nodes' not in text: sys.exit('the web page of the run does not work')
    print('the web page of the run: served')


def test_notebooks(programs, paths):
    "Run each notebook in a process of its own, two at a time; names of those that failed"
    path = f'{programs}{os.pathsep}{os.environ["PATH"]}'
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'PATH': path}
    command = [programs/'python', '-P', ROOT/'scripts/run_notebook.py']
    flags = settings()['tst_flags'].split()
    def passes(path):
        test = [*command, path, *flags]
        done = subprocess.run(test, env=environment, capture_output=True, text=True)
        print(f'{path.name}: {"failed" if done.returncode else "passed"}')
        if done.returncode: print(done.stdout[-3000:], done.stderr[-3000:], sep='\n')
        return done.returncode == 0
    with ThreadPoolExecutor(2) as pool: passed = list(pool.map(passes, paths))
    return [path.name for path, ok in zip(paths, passed) if not ok]


def extras():
    "What users can install in addition; the rest is for developers"
    keys = [key for key in settings() if key.endswith('_requirements')]
    return sorted({key.removesuffix('_requirements') for key in keys} - FOR_DEVELOPERS)


def main():
    os.environ.pop('PYTHONPATH', None)  # nothing but what is installed
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebooks', nargs='*', help='names of files; all of them by default')
    parser.add_argument('--no-audit', action='store_true', help='do not look up advisories')
    args = parser.parse_args()
    unknown = set(args.notebooks) - {path.name for path in notebooks(ROOT)}
    if unknown: parser.error(f'no notebook {min(unknown)}; give names such as 20_data.ipynb')
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        tools = new_venv(tmp/'tools', 'build', 'twine', 'pip-audit')
        wheel, sdist = build(tools, tmp/'dist')
        check_contents(wheel, sdist)
        programs = new_venv(tmp/'run', wheel)
        show_versions(programs)
        run_job(programs, tmp/'plain', epochs=1)
        install(programs, f'{wheel}[{",".join(extras())}]')
        explained = args.no_audit or audit(tools, programs)
        install(programs, 'ipython', 'hypothesis')   # for the tests
        auc = run_job(programs, tmp/'extras', epochs=3)
        if auc < .75: sys.exit(f'the main job ended with an AUC of {auc:.2f}; expected is 0.75')
        serve_page(programs, tmp/'extras')
        copy = tmp/'checkout'   # without the package
        for name in ('nbs', 'benchmarks'): shutil.copytree(ROOT/name, copy/name, symlinks=True)
        paths = [path for path in notebooks(copy)
                 if not args.notebooks or path.name in args.notebooks]
        failed = test_notebooks(programs, paths)
    print(f'{len(paths) - len(failed)} passed, {len(failed)} failed'
          f'{"; advisories were not looked up"*args.no_audit}')
    if failed: sys.exit(f'failed: {", ".join(failed)}')
    if not explained: sys.exit('pip-audit: a finding is not explained, see above')


if __name__ == '__main__': main()

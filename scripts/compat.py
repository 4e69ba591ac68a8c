"Build the package, install it with the newest versions of what it requires, and run its main job and its tests there: python compat.py [NB ...]"
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

from check import commands, settings
from reading import ROOT, notebooks

SHOWN = ('fastai', 'fastcore', 'torch', 'torchvision', 'timm', 'numpy', 'pandas', 'pillow', 'scikit-learn', 'matplotlib')
IN_SDIST = {'setup.py', 'pyproject.toml', 'settings.ini', 'MANIFEST.in', 'README.md', 'LICENSE', 'CHANGELOG.md', 'CONTRIBUTING.md'}
FOR_DEVELOPERS = {'dev', 'fuzz', 'docs'}  # extras that only a checkout needs
EXPLAINED = {}  # a finding of pip-audit that cannot harm our users, and why


def run(*args, **kwargs):
    "Run a command; one that fails ends everything, with what it printed"
    done = subprocess.run([str(a) for a in args], text=True, **kwargs)
    if done.returncode: sys.exit(f'failed, with exit code {done.returncode}: {" ".join(map(str, args))}')
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
    code = f'from importlib.metadata import version\nprint(*(f"{{n}} {{version(n)}}" for n in {SHOWN}), sep=", ")'
    run(programs/'python', '-VV')
    run(programs/'python', '-c', code)


def audit(tools, programs):
    "Weaknesses that are known of the installed packages; those that are not explained end the run"
    code = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    folder = run(programs/'python', '-c', code, stdout=subprocess.PIPE).stdout.strip()
    done = subprocess.run([tools/'python', '-m', 'pip_audit', '--format', 'json', '--path', folder],
                          capture_output=True, text=True)
    if not done.stdout: sys.exit(f'pip-audit failed: {done.stderr[-1000:]}')
    packages = json.loads(done.stdout)['dependencies']
    known = [p for p in packages if 'vulns' in p]
    found = {f'{p["name"]} {p["version"]}: {v["id"]}': v['id'] for p in known for v in p['vulns']}
    print(f'pip-audit: {len(known)} of {len(packages)} packages are on the list that it reached, {len(found)} findings')
    for finding, name in found.items(): print(finding, EXPLAINED.get(name, 'unexplained'), sep=', ')
    return set(found.values()) <= EXPLAINED.keys()


def run_job(programs, folder, epochs):
    "Train, evaluate and predict in a new folder; the AUC of the model"
    folder.mkdir()
    def command(name, *args): run(programs/name, *args, cwd=folder)
    command('python', '-c', 'from histo_meta.all import *')
    for name in commands(): run(programs/name, '--help', stdout=subprocess.DEVNULL)
    command('histo_sample', 'sample', '--n', 600)
    command('histo_train', 'sample', '--out', 'run', '--valid', .2, '--bs', 16, '--epochs', epochs)
    command('histo_evaluate', 'run', 'sample', '--tta', '--out', 'evaluation')
    command('histo_predict', 'run', 'sample/test', '--out', 'predictions.csv')
    return json.loads((folder/'evaluation/metrics.json').read_text())['auc']['value']


def test_notebooks(programs, paths):
    "Run each notebook in a process of its own, two at a time; names of those that failed"
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}'}
    command = [programs/'python', '-P', ROOT/'scripts/run_notebook.py']
    def fails(path):
        done = subprocess.run([*command, path, *settings()['tst_flags'].split()], env=environment,
                              capture_output=True, text=True)
        print(f'{path.name}: {"failed" if done.returncode else "passed"}')
        if done.returncode: print(done.stdout[-3000:], done.stderr[-3000:], sep='\n')
        return done.returncode != 0
    with ThreadPoolExecutor(2) as pool: failed = list(pool.map(fails, paths))
    return [path.name for path, bad in zip(paths, failed) if bad]


def main():
    os.environ.pop('PYTHONPATH', None)  # nothing but what is installed
    extras = {key.removesuffix('_requirements') for key in settings() if key.endswith('_requirements')}
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        tools = new_venv(tmp/'tools', 'build', 'twine', 'pip-audit')
        wheel, sdist = build(tools, tmp/'dist')
        check_contents(wheel, sdist)
        programs = new_venv(tmp/'run', wheel)
        show_versions(programs)
        safe = audit(tools, programs)
        run_job(programs, tmp/'plain', epochs=1)
        install(programs, f'{wheel}[{",".join(sorted(extras - FOR_DEVELOPERS))}]', 'ipython', 'hypothesis')
        auc = run_job(programs, tmp/'extras', epochs=3)
        if auc < .75: sys.exit(f'the main job ended with an AUC of {auc:.2f}; 0.75 is the least')
        copy = shutil.copytree(ROOT/'nbs', tmp/'checkout/nbs', symlinks=True).parent
        paths = [p for p in notebooks(copy) if p.name in sys.argv[1:] or not sys.argv[1:]]
        failed = test_notebooks(programs, paths)
    print(f'{len(paths) - len(failed)} passed, {len(failed)} failed')
    if failed: sys.exit(f'failed: {", ".join(failed)}')
    if not safe: sys.exit('pip-audit: unexplained findings, see above')


if __name__ == '__main__': main()

"Package metadata comes from settings.ini, the one place where it is written."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=['='])
parser.read(here/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']


def lines(key): return cfg.get(key, '').split('\n')[1:] if '\n' in cfg.get(key, '') else cfg.get(key, '').split()


extras = {key.removesuffix('_requirements'): lines(key) for key in cfg if key.endswith('_requirements')}

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'],
    author=cfg['author'], url=cfg['git_url'], license='MIT',
    long_description=(here/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    packages=find_packages(include=[cfg['lib_path'], cfg['lib_path']+'.*']), include_package_data=True,
    python_requires='>='+cfg['min_python'], install_requires=lines('requirements'), extras_require=extras,
    entry_points={'console_scripts': lines('console_scripts'),
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_path']}._modidx:d"]},
    classifiers=['Intended Audience :: Science/Research', 'Programming Language :: Python :: 3',
                 'Topic :: Scientific/Engineering :: Medical Science Apps.'],
)

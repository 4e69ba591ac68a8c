"Write README.md from nbs/index.ipynb; with --check only report whether they are in step"
import json
import re
import sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def repository():
    "Address of the files on the main branch, as settings.ini names it"
    parser = ConfigParser(delimiters=['='])
    parser.read(ROOT/'settings.ini', encoding='utf-8')
    cfg = parser['DEFAULT']
    return f"{cfg['git_url']}/blob/{cfg['branch']}/"


def from_root(text):
    "Links of a page in nbs as links from the top of the repository"
    text = re.sub(r'\]\((?!\w+:|#)([^)]+)\)', r'](nbs/\1)', text)
    return text.replace(f']({repository()}', '](')


def cell_text(cell):
    "Markdown with links from the top, code in a fence; cells that begin with `#|` are for nbdev alone"
    source = ''.join(cell['source'])
    if cell['cell_type'] == 'markdown': return from_root(source)
    return '' if source.startswith('#|') else f'```python\n{source}\n```'


def readme():
    cells = json.loads((ROOT/'nbs/index.ipynb').read_text(encoding='utf-8'))['cells']
    return '\n\n'.join(text for text in map(cell_text, cells) if text) + '\n'


if __name__ == '__main__':
    path = ROOT/'README.md'
    if '--check' not in sys.argv: path.write_text(readme(), encoding='utf-8')
    elif path.read_text(encoding='utf-8') != readme(): sys.exit('README.md differs from index.ipynb: run make refresh')

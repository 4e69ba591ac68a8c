"Write README.md from nbs/index.ipynb; with --check only say whether they are in step"
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def cell_text(cell):
    "Markdown as it is, code in a fence; cells that begin with `#|` are for nbdev alone"
    source = ''.join(cell['source'])
    if cell['cell_type'] == 'markdown': return source
    return '' if source.startswith('#|') else f'```python\n{source}\n```'


def readme():
    cells = json.loads((ROOT/'nbs/index.ipynb').read_text(encoding='utf-8'))['cells']
    return '\n\n'.join(text for text in map(cell_text, cells) if text) + '\n'


if __name__ == '__main__':
    path = ROOT/'README.md'
    if '--check' not in sys.argv: path.write_text(readme(), encoding='utf-8')
    elif path.read_text(encoding='utf-8') != readme(): sys.exit('README.md differs from index.ipynb: run make refresh')

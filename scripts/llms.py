"Print llms.txt, the list of all pages for language models (https://llmstxt.org), from the sidebar and the first cell of each page"
from pathlib import Path

import yaml

from check import settings
from pages import cells
from reading import ROOT, source

NOTE = '''Things to remember when you write code with it:

- A probability is always that of tumor; the classes are `['normal', 'tumor']`. The label of a patch is about its centre of 32x32 pixels.
- A patch table, from `histo_meta.data.patch_table`, goes into everything: training, prediction, evaluation.
- `train_learner` splits at random unless told otherwise, which is optimistic; `split='slide'` holds out whole slides.
- Models are shared as bundles, without pickle. `histo_meta.bundle.Predictor` is the only thing that predicts.
- Every command has its function: `histo_train` is `histo_meta.run.train_run`, `histo_evaluate` is `evaluate_run`.
- It is for research only, not for diagnosis.'''


def page_line(path, host):
    "Title, address and description of a page"
    title, *rest = [line for line in source(cells(ROOT/'nbs'/path)[0]).splitlines() if line.strip()]
    about = ' '.join(line.removeprefix('>').strip() for line in rest if line.startswith('>'))
    return f"- [{title.removeprefix('#').strip()}]({host}/{Path(path).with_suffix('.html')}): {about}"


def lines(contents, host, names=()):
    "The sections of a sidebar, one below the other"
    pages = [item for item in contents if isinstance(item, str)]
    if pages: yield '\n'.join([f"## {': '.join(names)}\n", *(page_line(path, host) for path in pages)])
    for item in contents:
        if isinstance(item, dict): yield from lines(item['contents'], host, (*names, item['section']))


def main():
    cfg = settings()
    host = cfg['doc_host'] + cfg['doc_baseurl']
    site = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))['website']
    api = f"## API\n\n- [API list]({host}/apilist.txt): every module with its public functions and classes, and what they do"
    print(f"# {cfg['title']}\n\n> {cfg['description']}", NOTE, *lines(site['sidebar']['contents'], host), api, sep='\n\n')


if __name__ == '__main__': main()

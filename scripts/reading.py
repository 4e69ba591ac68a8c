"Measure how the notebooks read: python scripts/reading.py [FOLDER ...]; each folder is a checkout with notebooks below nbs"
import ast
import json
import re
import sys
from pathlib import Path
from statistics import mean, median

ROOT = Path(__file__).resolve().parent.parent
FIELD_WORDS = ['backprop', 'activation function', 'nonlinear', 'mini-batch', 'overfit', r'generali[sz]', 'data augmentation',
               'misclassif', 'false negative', 'ground truth', 'transfer learning', 'confidence interval',
               r'test-time|\bTTA\b', 'dihedral', r'leak(s|age)?\b', 'stratif', r'vectori[sz]', 'hyperparameter', 'baseline',
               'computational graph', 'ClassificationInterpretation', 'plot_top_losses', 'aug_transforms', 'load_learner',
               'Colab']
HEADLESS = re.compile(r"(?:^[ >*#|\d.-]*|(?<=[.!:;] ))(?:What|Who|Whoever|Whatever)\s[^.?!|\n]*[.!:](?=\s|$)", re.M)
PICTURES = ('image/png', 'image/jpeg', 'image/svg+xml')


def notebooks(folder):
    paths = sorted((Path(folder)/'nbs').rglob('*.ipynb'))
    return [p for p in paths if not any(part.startswith(('.', '_')) for part in p.relative_to(folder).parts)]


def cells(path): return json.loads(path.read_text(encoding='utf-8'))['cells']


def source(cell): return ''.join(cell['source'])


def is_exported(cell):
    return cell['cell_type'] == 'code' and bool(re.search(r'^#\| ?exports?i?\b', source(cell), re.M))


def prose(cell):
    "Markdown without code blocks, formulas and link targets; headings and tables stay"
    text = re.sub(r'```.*?```', ' ', source(cell), flags=re.S)
    text = re.sub(r'\$\$.*?\$\$|\$[^$\n]+\$', ' ', text, flags=re.S)
    return re.sub(r'\]\([^)]*\)', ']', text)


def functions(code):
    try: tree = ast.parse(re.sub(r'^%.*$', '', code, flags=re.M))
    except SyntaxError: return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)): yield node


def body_lines(node, code):
    "The lines of a function's body, without its docstring"
    body = node.body[1:] if ast.get_docstring(node) else node.body
    if not body: return []
    lines = code.splitlines()[body[0].lineno-1:body[-1].end_lineno]
    return [line for line in lines if line.strip()]


def all_lines(code): return len([line for line in code.splitlines() if line.strip() and not line.startswith('#|')])


def cell_lines(code):
    "Lines of a cell without signatures that have one documented parameter per line"
    signatures = [max(node.body[0].lineno - node.lineno - 1, 0) for node in functions(code)]
    return all_lines(code) - sum(signatures)


def has_text(cell):
    "Has a picture an alt text or a caption?"
    return bool(re.search(r'^#\| ?(fig-alt|fig-cap):\s*\S', source(cell), flags=re.M))


def measure(folder):
    "Name to value, for all notebooks of a checkout"
    everything = [cell for path in notebooks(folder) for cell in cells(path)]
    exported = [source(c) for c in everything if is_exported(c)]
    bodies = [body_lines(f, code) for code in exported for f in functions(code)]
    longer = [len(line.rstrip()) for body in bodies if len(body) >= 3 for line in body]
    text = '\n\n'.join(prose(c) for c in everything if c['cell_type'] == 'markdown')
    words = len(re.findall(r"[A-Za-z][\w'’-]*", text))
    code_cells = sum(c['cell_type'] == 'code' for c in everything)
    pictures = [c for c in everything for o in c.get('outputs', []) if set(o.get('data', {})) & set(PICTURES)]
    whole = '\n'.join(source(c) for c in everything)

    def rate(pattern, flags=re.I): return 1000*len(re.findall(pattern, text, flags))/max(words, 1)
    return {
        'exported cells': len(exported),
        'exported cell, median lines': median(map(all_lines, exported)),
        'exported cells over 25 lines, with signatures': sum(all_lines(code) > 25 for code in exported),
        'exported cells over 25 lines': sum(cell_lines(code) > 25 for code in exported),
        'function bodies': len(bodies),
        'function bodies over 12 lines': sum(len(b) > 12 for b in bodies),
        'characters per body line (bodies of 3+ lines)': mean(longer),
        'markdown words per code cell': words/code_cells,
        '"we/us/our/let\'s" per 1,000 words': rate(r"\b(we|us|our|let['’]s)\b"),
        '"you/your" per 1,000 words': rate(r'\b(you|your|yours)\b'),
        '"for example/such as/e.g." per 1,000 words': rate(r'for example|such as|e\.g\.'),
        'headless What/Who sentences': len(HEADLESS.findall(text)),
        'pictures': len(pictures),
        'pictures without caption or alt text': sum(not has_text(c) for c in pictures),
        "words of the field's list that are absent": sum(not re.search(w, whole, re.I) for w in FIELD_WORDS)}


def main():
    folders = sys.argv[1:] or [ROOT]
    columns = [measure(folder) for folder in folders]
    print('| |' + '|'.join(f' {Path(f).resolve().name} ' for f in folders) + '|')
    print('|---|' + '---:|'*len(folders))
    for name in columns[0]:
        values = [c[name] for c in columns]
        print(f'| {name} | ' + ' | '.join(f'{v:.1f}' if isinstance(v, float) else f'{v:,}' for v in values) + ' |')


if __name__ == '__main__': main()

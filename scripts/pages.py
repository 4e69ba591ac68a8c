"Checks of the pages as a reader meets them: words, sizes, visible imports, links, outputs, pictures"
import ast
import base64
import builtins
import hashlib
import importlib
import json
import re
import sys

from reading import HEADLESS, PICTURES, ROOT, cell_lines, has_text, is_exported, notebooks, prose, source

BANNED = {
    r'\banew\b': 'again', r'\bmend(s|ed|ing)?\b': 'fix', r'\bat hand\b': 'available', r'\bcan be had\b': 'is available',
    r'\b(stand|stood)s? (on|in|beside|there|under|between|here)\b': 'is', r'\blies? (on|in|below|there|under|between|with)\b': 'is',
    r'\bbeside\b': 'next to', r'\bmade tissue\b': 'synthetic tissue', r'\d %': 'no space before %',
    r'\bwrong calls?\b': 'errors', r'\b(is|are|be|gets?|was|were) told\b': 'say who says it', r'\bfor the like\b': 'similar'}
DIRECTIVES = re.compile(r'^#\| ?.*$', re.M)
LINK = re.compile(r'(?<!!)\[([^\]]*)\]\(([^)\s]+)\)')
IMAGE = re.compile(r'!\[[^\]]*\]\(([^)\s:]+)\)')
TEXT_KEYS = ('text/plain', 'text/html', 'text/markdown')
DOCUMENTS = ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'benchmarks/README.md', 'data/README.md')


def cells(path): return json.loads(path.read_text(encoding='utf-8'))['cells']


def directives(cell): return set(re.findall(r'^#\| ?([\w-]+)', source(cell), re.M))


def code_hash(cell):
    "Hash of a cell's code; directives such as a caption do not count"
    return hashlib.sha1(DIRECTIVES.sub('', source(cell)).strip().encode()).hexdigest()[:12]


def name(path, i): return f'{path.relative_to(ROOT/"nbs")} [{i}]'


# Words

def code_words(code):
    "Docstrings, comments and messages of an exported cell"
    comments = re.findall(r'#(?!\|)(.*)$', code, re.M)
    try: strings = [n.value for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    except SyntaxError: strings = []
    return '\n'.join(comments + [s for s in strings if not s.isupper()])  # names such as SIGTERM are no words


def word_problems(where, text):
    for pattern, better in BANNED.items():
        for m in re.finditer(pattern, text, re.I):
            around = text[max(m.start()-25, 0):m.end()+25].replace('\n', ' ')
            yield f'{where}: "{m[0]}" ({better}): …{around}…'
    for found in HEADLESS.findall(text): yield f'{where}: headless sentence: {found.strip()[:60]}'
    for found in re.findall(r'^[A-Z_]{6,}$|\bTODO\b', text, re.M): yield f'{where}: a placeholder: {found}'


def check_words(say):
    "Banned phrases, and sentences that begin with a headless What or Who"
    for path in notebooks(ROOT):
        for i, cell in enumerate(cells(path)):
            markdown = cell['cell_type'] == 'markdown'
            text = prose(cell) if markdown else code_words(source(cell)) if is_exported(cell) else ''
            for problem in word_problems(name(path, i), text): say(problem)
    for document in DOCUMENTS:
        text = re.sub(r'```.*?```', '', (ROOT/document).read_text(encoding='utf-8'), flags=re.S)
        for problem in word_problems(document, text): say(problem)


# Sizes

def check_sizes(say, columns=100, lines=25):
    "Code cells are narrow, exported ones short"
    for path in notebooks(ROOT):
        for i, cell in enumerate(cells(path)):
            if cell['cell_type'] != 'code': continue
            for line in DIRECTIVES.sub('', source(cell)).splitlines():
                if len(line) > columns: say(f'{name(path, i)}: a line of {len(line)} columns: {line.strip()[:50]}…')
            if is_exported(cell) and cell_lines(source(cell)) > lines:
                say(f'{name(path, i)}: an exported cell of {cell_lines(source(cell))} lines; {lines} are the limit')


# Imports

def public_names(module):
    try: found = importlib.import_module(module)
    except Exception: return set()  # check.py reports modules that do not import
    return set(getattr(found, '__all__', None) or [n for n in vars(found) if n[0] != '_'])


def imported(node):
    "Names that an import statement brings"
    if isinstance(node, ast.ImportFrom) and node.names[0].name == '*': return public_names(node.module)
    return {(a.asname or a.name.split('.')[0]) for a in node.names}


def bound(tree):
    "Names that code binds: by import, and in any other way"
    imports, others = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)): imports |= imported(node)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)): others.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store): others.add(node.id)
        elif isinstance(node, ast.arg): others.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name: others.add(node.name)
    return imports, others


def used(tree): return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def check_imports(say):
    "A visible cell uses only names that the cells a reader sees have brought"
    for path in notebooks(ROOT):
        seen = set(dir(builtins)) | {'get_ipython', 'display'}
        for i, cell in enumerate(cells(path)):
            if cell['cell_type'] != 'code' or directives(cell) & {'hide', 'echo'}: continue  # a reader sees no code
            try: tree = ast.parse(re.sub(r'^[%!].*$', '', source(cell), flags=re.M))
            except SyntaxError: continue
            imports, others = bound(tree)
            shown = not is_exported(cell) or 'exports' in directives(cell)  # the site shows no cell of `#| export`
            seen |= imports | others if shown else others
            missing = sorted(used(tree) - seen)
            if missing and not is_exported(cell): say(f'{name(path, i)}: {", ".join(missing)} not imported in a visible cell')


def check_import_cells(say):
    "Imports have cells of their own: nbdev runs every cell with an import when it builds the site"
    for path in notebooks(ROOT):
        for i, cell in enumerate(cells(path)):
            if cell['cell_type'] != 'code' or is_exported(cell): continue
            try: tree = ast.parse(re.sub(r'^[%!].*$', '', source(cell), flags=re.M))
            except SyntaxError: continue
            imports = any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in ast.walk(tree))
            others = [n for n in tree.body if not isinstance(n, (ast.Import, ast.ImportFrom))]
            if imports and others: say(f'{name(path, i)}: imports and other code in one cell')


# Links

def link_problem(folder, target):
    "Why a link would be dead somewhere: on the site, on GitHub or in Jupyter"
    if re.match(r'\w+:', target) or target.startswith('#'): return ''
    file, _, anchor = target.partition('#')
    if not (folder/file).exists(): return 'does not exist'
    if anchor and file.endswith('.ipynb'): return 'has an anchor, which Jupyter and the site spell in different ways'
    if (ROOT/'nbs') in folder.parents or folder == ROOT/'nbs':
        if not file.endswith('.ipynb'): return 'is no page; name a notebook, or a full address'
    return ''


def check_links(say):
    for path in notebooks(ROOT):
        for i, cell in enumerate(cells(path)):
            if cell['cell_type'] != 'markdown': continue
            for file in IMAGE.findall(source(cell)):
                if not (path.parent/file).exists(): say(f'{name(path, i)}: picture {file} does not exist')
            for text, target in LINK.findall(re.sub(r'```.*?```', '', source(cell), flags=re.S)):
                if problem := link_problem(path.parent, target): say(f'{name(path, i)}: link {target} {problem}')
                if '`' in text: say(f'{name(path, i)}: backticks inside the link text {text}: nbdev would link it twice')
    for document in DOCUMENTS:
        for _, target in LINK.findall((ROOT/document).read_text(encoding='utf-8')):
            if problem := link_problem((ROOT/document).parent, target): say(f'{document}: link {target} {problem}')


def check_lists(say):
    "The list at the top of each group names every page of the group"
    for top in ('tutorials/index.ipynb', 'howto/index.ipynb', 'explains/index.ipynb', 'reference.ipynb'):
        path = ROOT/'nbs'/top
        listed = {(path.parent/target).resolve() for cell in cells(path) for _, target in LINK.findall(source(cell))}
        for page in sorted(path.parent.glob('*.ipynb')):
            if page.name in ('index.ipynb', 'reference.ipynb') or page.resolve() in listed: continue
            say(f'{top}: the page {page.name} is missing')


# Outputs

def output_text(output):
    data = output.get('data', {})
    return json.dumps([output.get('text'), *(data.get(k) for k in TEXT_KEYS)], ensure_ascii=False)


def image_bytes(kind, data):
    text = ''.join(data)
    return len(text.encode()) if kind.endswith('xml') else len(base64.b64decode(text))


def output_problems(output, largest=150_000):
    if output['output_type'] == 'error': yield 'a traceback'
    text = output_text(output)
    if re.search(r'(?<![\w.])/(tmp|home|root|opt|mnt|Users|[a-z]+/shared)/', text): yield 'an absolute path'
    if re.search(r'█|\d+\.\d+% \[', text): yield 'a progress bar'
    if re.search(r'<[\w.]+ object at 0x|<Axes: ', text): yield 'a stray repr'
    if 'Traceback (most recent' in text: yield 'a traceback'
    if re.search(r'np\.(float\d+|int\d+|True_|False_|str_)', text): yield 'a raw NumPy value'
    if re.search(r'\w+Warning:', text): yield 'a warning'
    for kind in PICTURES:
        size = image_bytes(kind, output.get('data', {}).get(kind, ''))
        if size > largest: yield f'an image of {size//1000} KB'


def expects_output(cell):
    "Does the code print, or end with a value?"
    code = source(cell)
    if re.search(r'^#\| ?fig-', code, re.M): return True
    try: tree = ast.parse(re.sub(r'^[%!].*$', '', code, flags=re.M)).body
    except SyntaxError: return False
    if not tree: return False
    outside = [n for n in tree if not isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    calls = [n for part in outside for n in ast.walk(part) if isinstance(n, ast.Call)]
    printing = any(getattr(n.func, 'id', '') in ('print', 'sh') and not n.keywords for n in calls)
    values = (ast.Name, ast.Attribute, ast.Tuple, ast.List, ast.Dict, ast.BinOp, ast.JoinedStr, ast.Subscript)
    return printing or isinstance(tree[-1], ast.Expr) and isinstance(tree[-1].value, values)


def check_outputs(say):
    "Outputs are those of the source, small, clean, and there; pictures have a text for those who cannot see them"
    for path in notebooks(ROOT):
        for i, cell in enumerate(cells(path)):
            if cell['cell_type'] != 'code': continue
            for output in cell['outputs']:
                for problem in output_problems(output): say(f'{name(path, i)} holds {problem}')
                if set(output.get('data', {})) & set(PICTURES) and not has_text(cell):
                    say(f'{name(path, i)}: a picture without fig-alt or fig-cap')
            stamp = cell['metadata'].get('source_hash')
            if cell['outputs'] and stamp != code_hash(cell): say(f'{name(path, i)}: the output is older than its source')
            if not cell['outputs'] and not directives(cell) & {'hide', 'cuda', 'eval'} and not is_exported(cell):
                if expects_output(cell): say(f'{name(path, i)}: the output is missing')


CHECKS = (check_words, check_sizes, check_imports, check_import_cells, check_links, check_lists, check_outputs)


if __name__ == '__main__':
    problems = []
    for check in CHECKS: check(problems.append)
    print(*problems, sep='\n')
    sys.exit(f'{len(problems)} problems' if problems else 0)

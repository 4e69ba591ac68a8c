"How the site shows a public name; settings.ini names this renderer for nbdev's show_doc"
import inspect
import re
from pathlib import Path

from nbdev.showdoc import BasicMarkdownRenderer

LIB = Path(__file__).resolve().parent.parent/'histo_meta'


def own_init(cls): return '__init__' in vars(cls) and not issubclass(cls, tuple)


def class_lines(name):
    "The exported lines of a class; while the site is built, the class itself comes from a cell and has no file"
    for path in sorted(LIB.glob('*.py')):
        found = re.search(rf'^class {name}\b.*?(?=^\S|\Z)', path.read_text(encoding='utf-8'), re.M | re.S)
        if found: return found[0].splitlines()
    return []


def class_signature(cls):
    "The head of a class without an `__init__` of its own, with its documented fields"
    fields = [line for line in class_lines(cls.__name__) if re.match(r'    \w+:\S', line)]
    bases = [b.__name__ for b in cls.__bases__ if b is not object]
    if issubclass(cls, tuple): bases = ['NamedTuple']
    return '\n'.join([f'class {cls.__name__}' + (f'({", ".join(bases)})' if bases else ''), *fields])


class Renderer(BasicMarkdownRenderer):
    "Signatures as plain text: nbdev links names in backticks, also inside a code block"
    def _repr_markdown_(self):
        text, sig = super()._repr_markdown_(), str(self.dm)
        if not inspect.isclass(self.sym) or own_init(self.sym): return text.replace(sig, sig.replace('`', ''))
        text = text.replace(sig, class_signature(self.sym).replace('`', ''))
        doc = inspect.cleandoc(vars(self.sym).get('__doc__') or '')
        return text if self.docs or not doc else f'{text}\n\n*{doc}*'

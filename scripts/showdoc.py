"How the site shows a public name; settings.ini names this renderer for nbdev's show_doc"
import inspect
import re

from nbdev.showdoc import BasicMarkdownRenderer


def own_init(cls): return '__init__' in vars(cls) and not issubclass(cls, tuple)


def class_signature(cls):
    "The head of a class without an `__init__` of its own, with its documented fields"
    lines = inspect.getsource(cls).splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(r'\s*class ', line))
    fields = [line for line in lines[start+1:] if re.match(r'    \w+:\S', line)]
    bases = ', '.join(b.__name__ for b in inspect.getmro(cls)[1:2] if b is not object)
    if issubclass(cls, tuple): bases = 'NamedTuple'
    return '\n'.join([f'class {cls.__name__}' + (f'({bases})' if bases else ''), *fields])


class Renderer(BasicMarkdownRenderer):
    "Signatures as plain text: nbdev links names in backticks, also inside a code block"
    def _repr_markdown_(self):
        text = super()._repr_markdown_()
        sig = str(self.dm)
        if inspect.isclass(self.sym) and not own_init(self.sym):
            text = text.replace(sig, class_signature(self.sym))
            sig = class_signature(self.sym)
            doc = inspect.cleandoc(vars(self.sym).get('__doc__') or '')
            if doc and not self.docs: text += f'\n\n*{doc}*'
        return text.replace(sig, sig.replace('`', ''))

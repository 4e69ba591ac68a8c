"""Every public name of histo_meta, but those of the MNIST family: `from histo_meta.all import *`"""
from .base import *
from .stain import *
from .tissue import *
from .sample import *
from .data import *
from .transforms import *
from .core import *
from .bundle import *
from .intervals import *
from .metrics import *
from .plots import *
from .interpret import *
from .attribution import *
from .uncertainty import *
from .report import *
from .run import *
from .cli import *

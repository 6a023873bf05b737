"""Modules, their functional forms and their initialisers, with PyTorch's names, arguments and defaults."""

from optc.nn import functional, init, modules, parameter, utils
from optc.nn.modules import *
from optc.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "functional",
    "init",
    "modules",
    "parameter",
    "utils",
]
__all__ += modules.__all__

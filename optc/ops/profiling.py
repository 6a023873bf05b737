"""Marks that programs make for a profiler. There is none: they come to nothing."""

from __future__ import annotations

import numpy as np

from optc.ir.types import NATIVE_CLASSES
from optc.ops.abstract import UNKNOWN
from optc.ops.packed_parameters import native_object
from optc.ops.python_values import declare_host

_RECORD = f"{NATIVE_CLASSES}profiler._RecordFunction"
_REASON = "it gives an object of a class written in C++"

declare_host(
    f"profiler::_record_function_enter_new(str name, str? args=None) -> {_RECORD}",
    lambda name, args: native_object(_RECORD, ()),
    _REASON,
    rule=lambda name, args: UNKNOWN,
)
declare_host(
    "profiler::_record_function_enter(str name, str? args=None) -> Tensor",
    lambda name, args: np.zeros(1, np.float32),
    _REASON,
    rule=lambda name, args: UNKNOWN,
)
for _schema in (f"_record_function_exit._RecordFunction({_RECORD} _0)", "_record_function_exit(Tensor _0)"):
    declare_host(f"profiler::{_schema} -> ()", lambda record: None, _REASON, rule=lambda record: None)

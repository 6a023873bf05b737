"""Views whose result is a tensor of its own: `aten::expand_copy` and its kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optc.ops.composite import declare_composite


def _copying(view: str) -> Callable[..., Any]:
    return lambda b, *arguments: b("aten::clone", b(view, *arguments))


for _name, _arguments, _view in (
    ("alias_copy", "", "alias"),
    ("detach_copy", "", "detach"),
    ("t_copy", "", "t"),
    ("transpose_copy.int", ", int dim0, int dim1", "transpose.int"),
    ("permute_copy", ", int[] dims", "permute"),
    ("view_copy", ", SymInt[] size", "reshape"),
    ("view_copy.dtype", ", ScalarType dtype", "view.dtype"),
    ("_reshape_copy", ", SymInt[] size", "reshape"),
    ("expand_copy", ", SymInt[] size, *, bool implicit=False", "expand"),
    ("unsqueeze_copy", ", int dim", "unsqueeze"),
    ("squeeze_copy", "", "squeeze"),
    ("squeeze_copy.dim", ", int dim", "squeeze.dim"),
    ("squeeze_copy.dims", ", int[] dim", "squeeze.dims"),
    ("select_copy.int", ", int dim, SymInt index", "select.int"),
    ("slice_copy.Tensor", ", int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1", "slice.Tensor"),
    ("narrow_copy", ", int dim, SymInt start, SymInt length", "narrow"),
    ("diagonal_copy", ", int offset=0, int dim1=0, int dim2=1", "diagonal"),
    ("unfold_copy", ", int dimension, int size, int step", "unfold"),
    ("as_strided_copy", ", SymInt[] size, SymInt[] stride, SymInt? storage_offset=None", "as_strided"),
):
    declare_composite(f"aten::{_name}(Tensor self{_arguments}) -> Tensor", _copying(f"aten::{_view}"))

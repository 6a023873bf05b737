"""Subscripts: items of containers, slices, and the mix of ints, slices, None, `...`, masks and indices of tensors."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from optc.errors import ScriptError, SourceRange
from optc.ir import dtypes
from optc.ir.graph import Value
from optc.ir.types import (
    NONE,
    TENSOR,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
)
from optc.jit.frontend.base import EmitterBase
from optc.jit.frontend.callables import SliceValue
from optc.jit.frontend.constants import is_known, known
from optc.jit.frontend.modules import ModuleValue
from optc.jit.frontend.simple import SimpleValue
from optc.jit.frontend.type_rules import convertible_to_list, subtype
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import NamedValue


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


class _Slice:
    """Start, end and step of a slice; None where the program says nothing."""

    def __init__(self, start: Value | None, end: Value | None, step: Value | None) -> None:
        self.start = start
        self.end = end
        self.step = step


class Indexing(EmitterBase):
    """The part of the emitter for `value[...]`."""

    def emit_subscript(self, node: ast.Subscript, hint: Type | None = None) -> SugaredValue:
        """`value[index]`, `value[a:b]`, `value[i, j]`."""
        base = self.emit_sugared(node.value)
        source, base_source = self.range(node), self.range(node.value)
        indices = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(indices) != 1:
            return SimpleValue(self._index_tensor(source, base.as_value(self.writer, base_source), indices))
        index = indices[0]
        if isinstance(index, ast.Slice):
            return self._sliced(base, index, source, base_source)
        return self._item(base, index, source, base_source, hint)

    def _sliced(
        self, base: SugaredValue, index: ast.Slice, source: SourceRange, base_source: SourceRange
    ) -> SugaredValue:
        if isinstance(base, ModuleValue):
            modules = base.as_tuple_value(self.writer, base_source).as_value(self.writer, base_source)
            return SimpleValue(self._slice_tuple(base_source, modules, self._slice_values(index)))
        value = base.as_value(self.writer, base_source)
        dim = self.writer.constant(0, source) if isinstance(value.type, TensorType) else None
        return SimpleValue(self._slice(source, value, dim, self._slice_values(index)))

    def _item(
        self, base: SugaredValue, index: ast.expr, source: SourceRange, base_source: SourceRange, hint: Type | None
    ) -> SugaredValue:
        value = base.as_value(self.writer, base_source)
        if isinstance(value.type, TensorType):
            return SimpleValue(self._index_tensor(source, value, [index]))
        emitted = self.emit_sugared(index)
        if isinstance(emitted, SliceValue):
            return SimpleValue(self._slice(source, value, None, _Slice(emitted.start, emitted.stop, emitted.step)))
        place = emitted.as_value(self.writer, base_source)
        if isinstance(value.type, TupleType):
            return SimpleValue(self._tuple_item(source, value, value.type, place))
        return base.item(self.writer, source, place, hint)

    def _tuple_item(self, source: SourceRange, value: Value, type_: TupleType, index: Value) -> Value:
        elements = type_.elements
        if not isinstance(index.type, IntType):
            raise ScriptError("tuple index must be an integer", source)
        if not is_known(index):
            if not elements or not convertible_to_list(type_, ListType(elements[0])):
                raise ScriptError(
                    f"Cannot index into a {type_.annotation} with a non-integer literal because we cannot resolve "
                    "the output type",
                    source,
                )
            return self.writer.tuple_index(value, index, elements[0])
        place = index.constant
        adjusted = place + len(elements) if place < 0 else place
        if not 0 <= adjusted < len(elements):
            raise ScriptError(f"Tuple index out of range. Tuple is length {len(elements)} and index is {place}", source)
        return self.writer.tuple_index(value, index, elements[adjusted])

    def _slice_values(self, node: ast.Slice) -> _Slice:
        start = self.emit(node.lower) if node.lower is not None else None
        end = self.emit(node.upper) if node.upper is not None else None
        return _Slice(start, end, self.emit(node.step) if node.step is not None else None)

    def _slice(self, source: SourceRange, value: Value, dim: Value | None, slice_: _Slice) -> Value:
        if isinstance(value.type, TupleType):
            return self._slice_tuple(source, value, slice_)
        step = slice_.step if slice_.step is not None else self.writer.constant(1, source)
        args = [NamedValue(value, "self"), *([NamedValue(dim)] if dim is not None else [])]
        for bound, name in ((slice_.start, "start"), (slice_.end, "end"), (step, "step")):
            args.append(NamedValue(bound, name))
        return self.writer.builtin("aten::slice", args, source=source)

    def _slice_tuple(self, source: SourceRange, value: Value, slice_: _Slice) -> Value:
        type_ = value.type
        assert isinstance(type_, TupleType)
        bounds: list[int | None] = []
        for bound in (slice_.start, slice_.end, slice_.step):
            number = known(bound, int) if bound is not None else None
            if bound is not None and number is None:
                raise ScriptError("tuple slice indices must be integer constants", source)
            bounds.append(number)
        chosen = range(len(type_.elements))[slice(*bounds)]
        parts = [
            self.writer.tuple_index(value, self.writer.constant(place, source), type_.elements[place])
            for place in chosen
        ]
        return self.writer.make_tuple(parts)

    def _index_tensor(self, source: SourceRange, value: Value, indices: Sequence[ast.expr]) -> Value:
        if not isinstance(value.type, TensorType):
            raise ScriptError(
                "Unsupported operation: attempted to use multidimensional indexing on a non-tensor type", source
            )
        sliced, tensor_indices = self.slice_tensor(source, value, indices)
        if not tensor_indices:
            return sliced
        return self.index_with_tensors(source, sliced, tensor_indices)

    def index_with_tensors(self, source: SourceRange, value: Value, indices: Sequence[Value]) -> Value:
        """`aten::index` with one tensor or None per dimension."""
        listed = self.writer.make_list(OptionalType(TENSOR), indices)
        return self.writer.builtin("aten::index", [value, listed], source=source)

    def slice_tensor(self, source: SourceRange, value: Value, indices: Sequence[ast.expr]) -> tuple[Value, list[Value]]:
        """Apply ints, slices and None; the tensor indices that remain come back, None where a dimension has none.

        Dimensions count from the left up to an ellipsis and from the right behind it.
        """
        emitted, dims = self._place_indices(source, indices)
        tensor_indices: dict[int, Value] = {}
        for node, index, dim in zip(indices, emitted, dims):
            if isinstance(node, ast.Slice):
                value = self._slice(source, value, self.writer.constant(dim, source), self._slice_values(node))
            elif isinstance(index, SliceValue):
                bounds = _Slice(index.start, index.stop, index.step)
                value = self._slice(source, value, self.writer.constant(dim, source), bounds)
            elif isinstance(index, Value):
                value = self._apply_index(source, value, dim, index, tensor_indices)
        if not tensor_indices:
            return value, []
        last = max(tensor_indices)
        complete = [
            tensor_indices[dim] if dim in tensor_indices else self.writer.constant(None, source)
            for dim in range(last + 1)
        ]
        return value, complete

    def _apply_index(
        self, source: SourceRange, value: Value, dim: int, index: Value, tensor_indices: dict[int, Value]
    ) -> Value:
        if index.type is NONE:
            return self.writer.builtin("aten::unsqueeze", [value, self.writer.constant(dim, source)], source=source)
        if isinstance(index.type, IntType):
            place = self.writer.constant(dim, source)
            return self.writer.builtin("aten::select", [value, place, index], source=source)
        tensor_indices[dim] = index
        return value

    def _place_indices(
        self, source: SourceRange, indices: Sequence[ast.expr]
    ) -> tuple[list[Value | SliceValue | None], list[int]]:
        emitted: list[Value | SliceValue | None] = [None] * len(indices)
        dims = [0] * len(indices)
        ellipses = [place for place, node in enumerate(indices) if _is_ellipsis(node)]
        if len(ellipses) > 1:
            raise ScriptError("An index can only have a single ellipsis ('...')", source)
        middle = ellipses[0] if ellipses else len(indices)
        dim = 0
        for place in range(middle):
            dims[place] = dim
            emitted[place], step = self._tensor_index(source, indices[place])
            dim += step
        dim = -1
        for place in range(len(indices) - 1, middle, -1):
            dims[place] = dim
            emitted[place], step = self._tensor_index(source, indices[place])
            found = emitted[place]
            if isinstance(found, Value) and found.type is NONE:
                continue
            if isinstance(found, Value) and not isinstance(found.type, IntType):
                raise ScriptError("Ellipses followed by tensor indexing is currently not supported", source)
            dim -= 1
        return emitted, dims

    def _tensor_index(self, source: SourceRange, node: ast.expr) -> tuple[Value | SliceValue | None, int]:
        """The emitted index and by how many dimensions the next one moves to the right."""
        if isinstance(node, ast.Slice):
            return None, 1
        emitted = self.emit_sugared(node)
        if isinstance(emitted, SliceValue):
            return emitted, 1
        index = emitted.as_value(self.writer, self.range(node))
        if isinstance(index.type, ListType):
            dtype = NamedValue(None, "dtype", source, dtypes.INT64.code)
            index = self.writer.builtin("aten::tensor", [index], [dtype])
        if isinstance(index.type, IntType):
            return index, 0
        if not subtype(index.type, OptionalType(TENSOR)):
            raise ScriptError(
                f"Unsupported operation: indexing tensor with unsupported index type '{index.type.annotation}'. "
                "Only ints, slices, lists and tensors are supported",
                source,
            )
        return index, 1

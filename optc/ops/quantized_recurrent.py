"""Recurrent layers and cells whose weights are quantised; inputs and states are float32, quantised for each product.

The biases that take part are those packed with the weights; those that stand beside them are only handed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import fresh
from optc.ir.types import TensorType
from optc.ops.abstract import UNKNOWN, UndecidedShape
from optc.ops.packed_parameters import CELL, LINEAR, PackedCell, PackedLinear, cell_of, linear_of, native_object
from optc.ops.quantization import declare_quantized
from optc.ops.quantized_layers import dynamic_linear, half_linear
from optc.ops.quantized_parts import RULES
from optc.ops.quantized_products import build_dynamic_linear, build_half_linear
from optc.ops.recurrent import GRU, LSTM, RELU, TANH, Cell, build_steps
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


def _affine(x: Array, layer: PackedLinear, cell: PackedCell) -> Array:
    return dynamic_linear(x, layer, cell.reduce_range) if cell.is_dynamic else half_linear(x, layer)


def _step(cell: Cell, packed: PackedCell, from_input: Array, states: tuple[Array, ...]) -> tuple[Array, ...]:
    from_hidden = _affine(states[0], packed.hidden, packed)
    with np.errstate(all="ignore"):
        found = cell.step(from_input.astype(np.float64), from_hidden.astype(np.float64), states)
    return tuple(np.asarray(state).astype(np.float32) for state in found)


def _direction(
    cell: Cell, packed: PackedCell, x: Array, sizes: Sequence[int], states: tuple[Array, ...], backwards: bool
) -> tuple[Array, tuple[Array, ...]]:
    """All steps over rows that lie one below the other, `sizes[t]` of them at step t; the first sequences are the
    longest, and one that has ended keeps its state. The inputs of all steps are quantised with one range."""
    from_input = _affine(x, packed.input, packed)
    starts = np.cumsum([0, *sizes])
    shown = np.empty((len(x), states[0].shape[-1]), np.float32)
    current = [state.copy() for state in states]
    for time in reversed(range(len(sizes))) if backwards else range(len(sizes)):
        count, rows = sizes[time], slice(starts[time], starts[time + 1])
        advanced = _step(cell, packed, from_input[rows], tuple(state[:count] for state in current))
        for state, new in zip(current, advanced):
            state[:count] = new
        shown[rows] = advanced[0]
    return shown, tuple(current)


def _layers(
    cell: Cell, x: Array, sizes: Sequence[int], states: Sequence[Array], parameters: Sequence[Any], layers: int,
    bidirectional: bool,
) -> tuple[Array, ...]:  # fmt: skip
    directions = 2 if bidirectional else 1
    if any(len(state) != layers * directions for state in states) or len(parameters) != layers * directions:
        raise RuntimeError("Expected more hidden states in stacked_rnn")
    finals: list[tuple[Array, ...]] = []
    for layer in range(layers):
        shown: list[Array] = []
        for turn in range(directions):
            place = layer * directions + turn
            start = tuple(state[place] for state in states)
            output, final = _direction(cell, cell_of(parameters[place]), x, sizes, start, turn == 1)
            shown.append(output)
            finals.append(final)
        x = np.concatenate(shown, -1)
    return (x, *(np.stack(state) for state in zip(*finals)))


def _build_affine(b: Any, x: Any, layer: PackedLinear, cell: PackedCell) -> Any:
    return build_dynamic_linear(b, x, layer, cell.reduce_range) if cell.is_dynamic else build_half_linear(b, x, layer)


def _build_direction(
    b: Any, cell: Cell, packed: PackedCell, x: Any, states: tuple[Any, ...], backwards: bool
) -> tuple[Any, tuple[Any, ...]]:
    def advance(row: Any, inner: tuple[Any, ...]) -> tuple[Any, ...]:
        return cell.build(b, row, _build_affine(b, inner[0], packed.hidden, packed), inner)

    return build_steps(b, _build_affine(b, x, packed.input, packed), states, advance, backwards)


def _build_layers(
    b: Any, cell: Cell, x: Any, states: Sequence[Any], parameters: Sequence[Any], layers: int, bidirectional: bool
) -> tuple[Any, ...]:
    """`_layers` as operators, over steps of equally many rows. x: (steps, batch, inputs)."""
    finals: list[tuple[Any, ...]] = []
    directions = 2 if bidirectional else 1
    if len(parameters) != layers * directions or any(b.shape(state)[0] != layers * directions for state in states):
        raise UndecidedShape("every layer and direction has a state")
    for layer in range(layers):
        shown: list[Any] = []
        for turn in range(directions):
            place = layer * directions + turn
            start = tuple(b("aten::select.int", state, 0, place) for state in states)
            output, final = _build_direction(b, cell, cell_of(parameters[place]), x, start, turn == 1)
            shown.append(output)
            finals.append(final)
        x = shown[0] if len(shown) == 1 else b("aten::cat", shown, -1)
    return (x, *(b("aten::stack", list(final), 0) for final in zip(*finals)))


def _declare_layers(cell: Cell) -> None:
    pair = cell.states == 2
    hidden, returns = ("Tensor[] hx", "(Tensor, Tensor, Tensor)") if pair else ("Tensor hx", "(Tensor, Tensor)")
    flags = "bool has_biases, int num_layers, float dropout, bool train, bool bidirectional"
    more = ", *, ScalarType? dtype=None, bool use_dynamic=False" if pair else ""

    def states_of(hx: Any) -> list[Any]:
        return list(hx) if pair else [hx]

    def run_whole(
        x: Array, hx: Any, parameters: Any, biases: bool, layers: int, dropout: float, train: bool,
        bidirectional: bool, batch_first: bool, *rest: Any,
    ) -> tuple[Array, ...]:  # fmt: skip
        moved = x.swapaxes(0, 1) if batch_first else x
        steps, batch = moved.shape[:2]
        rows = np.ascontiguousarray(moved).reshape(steps * batch, -1)
        found, *finals = _layers(cell, rows, [batch] * steps, states_of(hx), parameters, layers, bidirectional)
        shown = found.reshape(steps, batch, -1)
        return (np.ascontiguousarray(shown.swapaxes(0, 1)) if batch_first else shown, *finals)

    def run_packed(
        data: Array, sizes: Array, hx: Any, parameters: Any, biases: bool, layers: int, dropout: float, train: bool,
        bidirectional: bool, *rest: Any,
    ) -> tuple[Array, ...]:  # fmt: skip
        return _layers(cell, data, sizes.tolist(), states_of(hx), parameters, layers, bidirectional)

    def build_whole(
        b: Any, x: Any, hx: Any, parameters: Any, biases: bool, layers: int, dropout: float, train: bool,
        bidirectional: bool, batch_first: bool, *rest: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        moved = b("aten::transpose.int", x, 0, 1) if batch_first else x
        shown, *finals = _build_layers(b, cell, moved, states_of(hx), parameters, layers, bidirectional)
        return (b("aten::transpose.int", shown, 0, 1) if batch_first else shown, *finals)

    def infer(x: TensorType, *rest: Any) -> Any:
        states = states_of(rest[0] if len(known_shape(x)) == 3 else rest[1])
        kept = [TensorType(dtypes.FLOAT32, known_shape(state)) for state in states]
        return (TensorType(dtypes.FLOAT32, (*known_shape(x)[:-1], fresh())), *kept)

    declare_quantized(
        f"aten::quantized_{cell.name}.input(Tensor input, {hidden}, {CELL}[] params, {flags}, bool batch_first{more}) "
        f"-> {returns}",
        infer,
        run_whole,
    )
    RULES[f"aten::quantized_{cell.name}.input"] = build_whole
    declare_quantized(
        f"aten::quantized_{cell.name}.data(Tensor data, Tensor batch_sizes, {hidden}, {CELL}[] params, {flags}{more}) "
        f"-> {returns}",
        infer,
        run_packed,
    )


for _cell in (LSTM, GRU):
    _declare_layers(_cell)

# Cells ---------------------------------------------------------------------------------------------------------------


def _declare_cell(cell: Cell) -> None:
    pair = cell.states == 2
    hidden, returns = ("Tensor[] hx", "(Tensor, Tensor)") if pair else ("Tensor hx", "Tensor")
    biases = "Tensor bias_ih, Tensor bias_hh" if pair else "Tensor b_ih, Tensor b_hh"

    def infer(x: TensorType, hx: Any, *rest: Any) -> Any:
        if not pair:
            return TensorType(dtypes.FLOAT32, known_shape(hx))
        return tuple(TensorType(dtypes.FLOAT32, known_shape(state)) for state in hx)

    def run(x: Array, hx: Any, inputs: Any, hidden_layer: Any, *biases: Any) -> Any:
        packed = PackedCell(linear_of(inputs), linear_of(hidden_layer), True, True)
        from_input = _affine(x, packed.input, packed)
        states = _step(cell, packed, from_input, tuple(hx) if pair else (hx,))
        return states if pair else states[0]

    def build(b: Any, x: Any, hx: Any, inputs: Any, hidden_layer: Any, *biases: Any) -> Any:
        packed = PackedCell(linear_of(inputs), linear_of(hidden_layer), True, True)
        states = tuple(hx) if pair else (hx,)
        from_hidden = _build_affine(b, states[0], packed.hidden, packed)
        found = cell.build(b, _build_affine(b, x, packed.input, packed), from_hidden, states)
        return found if pair else found[0]

    RULES[f"quantized::quantized_{cell.name}_cell_dynamic"] = build
    declare_quantized(
        f"quantized::quantized_{cell.name}_cell_dynamic(Tensor input, {hidden}, {LINEAR} w_ih, {LINEAR} w_hh, {biases}) "
        f"-> {returns}",
        infer,
        run,
    )


for _cell in (LSTM, GRU, TANH, RELU):
    _declare_cell(_cell)

declare_quantized(
    f"quantized::make_quantized_cell_params_dynamic({LINEAR} w_ih, {LINEAR} w_hh, Tensor bias_ih, Tensor bias_hh, bool "
    f"reduce_range=False) -> {CELL}",
    lambda *arguments: UNKNOWN,
    lambda inputs, hidden, input_bias, hidden_bias, reduce_range: native_object(
        CELL, ("quantized_dynamic", [input_bias, hidden_bias], [], [int(reduce_range)], [inputs, hidden])
    ),
)
declare_quantized(
    f"quantized::make_quantized_cell_params_fp16({LINEAR} w_ih, {LINEAR} w_hh) -> {CELL}",
    lambda inputs, hidden: UNKNOWN,
    lambda inputs, hidden: native_object(CELL, ("quantized_fp16", [], [], [], [inputs, hidden])),
)

"""Recurrent cells and the layers made of them: plain (tanh, relu), LSTM and GRU.

A cell is two functions: `step` over numpy arrays, in double, for the references, and `build` over a `Builder`, for
native code. The rows of a weight matrix hold the gates one after the other: i, f, g, o for LSTM; r, z, n for GRU.
A layer's decomposition multiplies the inputs of all steps at once and runs the rest in a loop over time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir.dims import Dim
from optc.ir.dtypes import DType
from optc.ir.graph import Node, Value
from optc.ir.types import BOOL, IntType, TensorType
from optc.ops import packed
from optc.ops.abstract import ShapeError, UndecidedShape, Unknown, normalize_dim
from optc.ops.dropping import dropped, dropped_array, drops, is_constant
from optc.ops.elementwise import array_type
from optc.ops.promotion import operand_type
from optc.ops.registry import define, operator_of
from optc.ops.shapes import Shape, format_shape, known_shape, require_same

Array = np.ndarray[Any, Any]
States = tuple[Any, ...]
"""(h,), or (h, c) for LSTM."""


@dataclass(frozen=True)
class Cell:
    """`step(from_input, from_hidden, states)` and `build(b, from_input, from_hidden, states)` give the new states.

    `from_input` is W_ih x + b_ih and `from_hidden` W_hh h + b_hh, both with `gates` times hidden_size columns.
    """

    name: str
    gates: int
    states: int
    step: Callable[[Array, Array, States], States]
    build: Callable[[Any, Any, Any, States], States]


@dataclass(frozen=True)
class Weights:
    """The parameters of one layer and direction: arrays, values or types; biases and projection may be None."""

    input: Any
    hidden: Any
    input_bias: Any = None
    hidden_bias: Any = None
    projection: Any = None


# Cells ---------------------------------------------------------------------------------------------------------------


def _sigmoid(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _lstm_step(from_input: Array, from_hidden: Array, states: States) -> States:
    gates = np.split(from_input + from_hidden, 4, axis=-1)
    c = _sigmoid(gates[1]) * states[1] + _sigmoid(gates[0]) * np.tanh(gates[2])
    return _sigmoid(gates[3]) * np.tanh(c), c


def _gru_step(from_input: Array, from_hidden: Array, states: States) -> States:
    mine, other = np.split(from_input, 3, axis=-1), np.split(from_hidden, 3, axis=-1)
    reset, kept = _sigmoid(mine[0] + other[0]), _sigmoid(mine[1] + other[1])
    proposed = np.tanh(mine[2] + reset * other[2])
    return ((1 - kept) * proposed + kept * states[0],)


def _gates(b: Any, x: Any, count: int) -> list[Any]:
    """The columns of x in `count` equal parts."""
    width = b.shape(x)[1] // count
    return [b("aten::slice.Tensor", x, 1, place * width, (place + 1) * width, 1) for place in range(count)]


def _build_lstm(b: Any, from_input: Any, from_hidden: Any, states: States) -> States:
    parts = _gates(b, b("aten::add.Tensor", from_input, from_hidden), 4)
    taken, kept, proposed, shown = (
        b("aten::tanh" if place == 2 else "aten::sigmoid", part) for place, part in enumerate(parts)
    )
    c = b("aten::add.Tensor", b("aten::mul.Tensor", kept, states[1]), b("aten::mul.Tensor", taken, proposed))
    return b("aten::mul.Tensor", shown, b("aten::tanh", c)), c


def _build_gru(b: Any, from_input: Any, from_hidden: Any, states: States) -> States:
    mine, other = _gates(b, from_input, 3), _gates(b, from_hidden, 3)
    reset = b("aten::sigmoid", b("aten::add.Tensor", mine[0], other[0]))
    kept = b("aten::sigmoid", b("aten::add.Tensor", mine[1], other[1]))
    proposed = b("aten::tanh", b("aten::add.Tensor", mine[2], b("aten::mul.Tensor", reset, other[2])))
    difference = b("aten::sub.Tensor", states[0], proposed)
    return (b("aten::add.Tensor", b("aten::mul.Tensor", difference, kept), proposed),)


def _plain_cell(name: str, activation: Callable[[Array], Array]) -> Cell:
    return Cell(
        f"rnn_{name}",
        1,
        1,
        lambda from_input, from_hidden, states: (activation(from_input + from_hidden),),
        lambda b, from_input, from_hidden, states: (
            b(f"aten::{name}", b("aten::add.Tensor", from_input, from_hidden)),
        ),
    )


TANH = _plain_cell("tanh", np.tanh)
RELU = _plain_cell("relu", lambda x: np.maximum(x, 0))
LSTM = Cell("lstm", 4, 2, _lstm_step, _build_lstm)
GRU = Cell("gru", 3, 1, _gru_step, _build_gru)


def _affine(x: Array, weight: Array, bias: Array | None) -> Array:
    result = x @ weight.astype(np.float64).T
    return result if bias is None else result + bias.astype(np.float64)


def _advance(cell: Cell, from_input: Array, weights: Weights, states: States) -> States:
    """One step in double."""
    with np.errstate(all="ignore"):
        h, *rest = cell.step(from_input, _affine(states[0], weights.hidden, weights.hidden_bias), states)
    return (h if weights.projection is None else _affine(h, weights.projection, None), *rest)


def _build_step(b: Any, cell: Cell, from_input: Any, weights: Weights, states: States) -> States:
    from_hidden = b("aten::linear", states[0], weights.hidden, weights.hidden_bias)
    h, *rest = cell.build(b, from_input, from_hidden, states)
    return (h if weights.projection is None else b("aten::linear", h, weights.projection), *rest)


# One step ------------------------------------------------------------------------------------------------------------


def _extent(shape: Shape, dim: int) -> Dim:
    return shape[normalize_dim(dim, len(shape))]


def _check_cell(x: TensorType, states: Sequence[TensorType], weights: Weights) -> None:
    shape, hidden_size = known_shape(x), _extent(known_shape(weights.hidden), 1)
    input_size, expected = _extent(shape, 1), _extent(known_shape(weights.input), 1)
    require_same(input_size, expected, f"input has inconsistent input_size: got {input_size} expected {expected}")
    for state in states:
        hidden = known_shape(state)
        rows, size = _extent(hidden, 0), _extent(hidden, 1)
        require_same(rows, shape[0], f"Input batch size {shape[0]} doesn't match hidden0 batch size {rows}")
        require_same(size, hidden_size, f"hidden0 has inconsistent hidden_size: got {size}, expected {hidden_size}")


def _pair(name: str, hx: Any) -> Sequence[Any]:
    if len(hx) != 2:
        raise RuntimeError(f"{name} expects two hidden states")
    return tuple(hx)


def _declare_cell(cell: Cell, schema: str) -> None:
    pair = cell.states == 2

    def states_of(hx: Any) -> Sequence[Any]:
        return _pair(f"{cell.name}_cell", hx) if pair else (hx,)

    def infer(x: TensorType, hx: Any, *parameters: Any) -> Any:
        states = states_of(hx)
        _check_cell(x, states, Weights(*parameters))
        results = tuple(TensorType(operand_type(x), known_shape(state)) for state in states)
        return results if pair else results[0]

    def reference(x: Array, hx: Any, *parameters: Any) -> Any:
        states, weights = states_of(hx), Weights(*parameters)
        types = Weights(*(None if item is None else array_type(item) for item in parameters))
        _check_cell(array_type(x), [array_type(state) for state in states], types)
        from_input = _affine(x.astype(np.float64), weights.input, weights.input_bias)
        advanced = _advance(cell, from_input, weights, tuple(state.astype(np.float64) for state in states))
        results = tuple(state.astype(x.dtype) for state in advanced)
        return results if pair else results[0]

    def decompose(b: Any, x: Any, hx: Any, *parameters: Any) -> Any:
        weights = Weights(*parameters)
        from_input = b("aten::linear", x, weights.input, weights.input_bias)
        states = tuple(b.value(state) for state in states_of(hx))
        results = _build_step(b, cell, from_input, weights, states)
        return results if pair else results[0]

    define(schema, infer=infer, reference=reference, decompose=decompose)


_CELL_PARAMETERS = "Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None"
_declare_cell(LSTM, f"aten::lstm_cell(Tensor input, Tensor[] hx, {_CELL_PARAMETERS}) -> (Tensor, Tensor)")
for _cell in (GRU, TANH, RELU):
    _declare_cell(_cell, f"aten::{_cell.name}_cell(Tensor input, Tensor hx, {_CELL_PARAMETERS}) -> Tensor")


# Layers --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layers:
    """What the flags and parameters of a layer operator say. `weights` has layers * directions entries."""

    weights: list[Weights]
    layers: int
    directions: int
    batch_first: bool
    dropout: float = 0.0
    """Of what goes from one layer to the next."""


def _layers(
    cell: Cell,
    states: Sequence[Any],
    parameters: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> Layers:
    """Sort the parameters. Raises RuntimeError for a wrong number, UndecidedShape where only a run tells of dropout."""
    if num_layers > 1 and any(isinstance(item, Unknown | Value) for item in (train, dropout)):
        raise UndecidedShape("whether layers drop what they give is needed before the program runs")
    dropped_share = dropout if train and num_layers > 1 else 0.0
    directions = 2 if bidirectional else 1
    projects = len(states) == 2 and _last_extent(states[0]) != _last_extent(states[1])
    size = (4 if has_biases else 2) + projects
    if len(parameters) != size * num_layers * directions:
        raise RuntimeError("got an incorrect number of RNN parameters")
    groups = [parameters[start : start + size] for start in range(0, len(parameters), size)]
    return Layers(
        [_weights(group, has_biases, projects) for group in groups], num_layers, directions, batch_first, dropped_share
    )


def _last_extent(tensor: Any) -> Any:
    return known_shape(tensor)[-1] if isinstance(tensor, TensorType) else tensor.shape[-1]


def _weights(group: Sequence[Any], has_biases: bool, projects: bool) -> Weights:
    input_bias, hidden_bias = group[2:4] if has_biases else (None, None)
    return Weights(group[0], group[1], input_bias, hidden_bias, group[-1] if projects else None)


def _check_layers(shape: Shape, states: Sequence[TensorType], layers: Layers) -> None:
    """`shape` is that of the input with time first. Raises ShapeError or RuntimeError with torch's text."""
    expected = known_shape(layers.weights[0].input)[1]
    require_same(
        shape[-1],
        expected,
        f"input.size(-1) must be equal to input_size. Expected {expected}, got {shape[-1]}",
    )
    for state in states:
        hidden = known_shape(state)
        if len(hidden) != len(shape):
            raise ShapeError(f"hidden states must have {len(shape)} dimensions, not {len(hidden)}")
        wanted = (layers.layers * layers.directions, *shape[1:-1])
        for mine, other in zip(hidden[:-1], wanted):
            require_same(mine, other, f"Expected hidden size {format_shape((*wanted, hidden[-1]))}, "
                         f"got {format_shape(hidden)}")  # fmt: skip


def _time_first(layers: Layers, shape: Shape) -> Shape:
    return (shape[1], shape[0], *shape[2:]) if layers.batch_first else shape


def _run_direction(cell: Cell, x: Array, states: States, weights: Weights, backwards: bool) -> tuple[Array, States]:
    """All steps of one layer in one direction, over (time, batch, features) in double."""
    from_input = _affine(x, weights.input, weights.input_bias)
    shown: list[Any] = [None] * len(x)
    for time in reversed(range(len(x))) if backwards else range(len(x)):
        states = _advance(cell, from_input[time], weights, states)
        shown[time] = states[0]
    return np.stack(shown), states


Direction = Callable[[Any, States, Weights, bool], tuple[Any, States]]


def _run_layers(
    x: Any,
    states: Sequence[Any],
    layers: Layers,
    direction: Direction,
    select: Callable[[Any, int], Any],
    join: Callable[[list[Any]], Any],
    drop: Callable[[Any], Any],
) -> tuple[Any, list[States]]:
    """Layer after layer, the outputs of both directions side by side; the last states in the order of `states`."""
    finals: list[States] = []
    for layer in range(layers.layers):
        shown: list[Any] = []
        for turn in range(layers.directions):
            place = layer * layers.directions + turn
            start = tuple(select(state, place) for state in states)
            output, final = direction(x, start, layers.weights[place], turn == 1)
            shown.append(output)
            finals.append(final)
        x = shown[0] if len(shown) == 1 else join(shown)
        if layers.dropout and layer < layers.layers - 1:
            x = drop(x)
    return x, finals


def _draws(node: Node) -> bool:
    operator = operator_of(node)
    assert operator is not None
    positions = operator.schema.positions
    trains = not is_constant(node.inputs[positions["train"]], False)
    return trains and drops(node, positions["dropout"]) and not is_constant(node.inputs[positions["num_layers"]], 1)


_FLAGS = "bool has_biases, int num_layers, float dropout, bool train, bool bidirectional"


def _states_of(cell: Cell, hx: Any) -> Sequence[Any]:
    return _pair(cell.name, hx) if cell.states == 2 else (hx,)


def _hidden_argument(cell: Cell) -> str:
    return "Tensor[] hx" if cell.states == 2 else "Tensor hx"


def _returned(cell: Cell) -> str:
    return f"({', '.join(['Tensor'] * (1 + cell.states))})"


def _stacked(finals: list[States], dtype: Any) -> tuple[Array, ...]:
    """The last states of all layers and directions, state by state."""
    return tuple(np.stack(list(final)).astype(dtype) for final in zip(*finals))


def _declare_layers(cell: Cell) -> None:
    def infer(x: TensorType, hx: Any, parameters: Any, *options: Any) -> Any:
        states = _states_of(cell, hx)
        layers = _layers(cell, states, list(parameters), *options)
        shape = _time_first(layers, known_shape(x))
        _check_layers(shape, states, layers)
        shown = (*shape[:-1], known_shape(states[0])[-1] * layers.directions)
        dtype = operand_type(x)
        return (
            TensorType(dtype, _time_first(layers, shown)),
            *(TensorType(dtype, known_shape(state)) for state in states),
        )

    def reference(x: Array, hx: Any, parameters: list[Array], *options: Any) -> Any:
        states = [np.asarray(state) for state in _states_of(cell, hx)]
        layers = _layers(cell, states, parameters, *options)
        infer(array_type(x), [*map(array_type, states)] if cell.states == 2 else array_type(states[0]),
              [*map(array_type, parameters)], *options)  # fmt: skip
        moved = x.swapaxes(0, 1) if layers.batch_first else x
        output, finals = _run_layers(
            _checked_time(moved).astype(np.float64), states, layers,
            lambda x, start, weights, backwards: _run_direction(cell, x, start, weights, backwards),
            lambda state, place: state[place].astype(np.float64),
            lambda shown: np.concatenate(shown, -1),
            lambda shown: dropped_array(shown, layers.dropout),
        )  # fmt: skip
        output = output.swapaxes(0, 1) if layers.batch_first else output
        return np.ascontiguousarray(output).astype(x.dtype), *_stacked(finals, x.dtype)

    def decompose(b: Any, x: Any, hx: Any, parameters: Any, *options: Any) -> Any:
        states = [b.value(state) for state in _states_of(cell, hx)]
        layers = _layers(cell, [b.type(state) for state in states], [b.value(item) for item in parameters], *options)
        output, finals = _run_layers(
            b("aten::transpose.int", x, 0, 1) if layers.batch_first else x, states, layers,
            lambda x, start, weights, backwards: _build_direction(b, cell, x, start, weights, backwards),
            lambda state, place: b("aten::select.int", state, 0, place),
            lambda shown: b("aten::cat", shown, -1),
            lambda shown: dropped(b, shown, layers.dropout),
        )  # fmt: skip
        output = b("aten::transpose.int", output, 0, 1) if layers.batch_first else output
        return (output, *(b("aten::stack", list(final), 0) for final in zip(*finals)))

    define(
        f"aten::{cell.name}.input(Tensor input, {_hidden_argument(cell)}, Tensor[] params, {_FLAGS}, "
        f"bool batch_first) -> {_returned(cell)}",
        infer=infer,
        reference=reference,
        decompose=decompose,
        draws_when=_draws,
    )


def _declare_packed_layers(cell: Cell) -> None:
    def infer(x: TensorType, sizes: TensorType, hx: Any, parameters: Any, *options: Any) -> Any:
        states = _states_of(cell, hx)
        layers = _layers(cell, states, list(parameters), *options)
        dtype = operand_type(x)
        shown = (known_shape(x)[0], known_shape(states[0])[-1] * layers.directions)
        return (TensorType(dtype, shown), *(TensorType(dtype, known_shape(state)) for state in states))

    def reference(x: Array, sizes: Array, hx: Any, parameters: list[Array], *options: Any) -> Any:
        states = [np.asarray(state) for state in _states_of(cell, hx)]
        layers = _layers(cell, states, parameters, *options)
        steps = [int(size) for size in sizes]
        output, finals = _run_layers(
            x.astype(np.float64), states, layers,
            lambda x, start, weights, backwards: _run_packed(cell, x, steps, start, weights, backwards),
            lambda state, place: state[place].astype(np.float64),
            lambda shown: np.concatenate(shown, -1),
            lambda shown: dropped_array(shown, layers.dropout),
        )  # fmt: skip
        return output.astype(x.dtype), *_stacked(finals, x.dtype)

    def decompose(b: Any, x: Any, sizes: Any, hx: Any, parameters: Any, *options: Any) -> Any:
        """All sequences take part in all steps; those that have ended keep their states."""
        states = [b.value(state) for state in _states_of(cell, hx)]
        layers = _layers(cell, [b.type(state) for state in states], [b.value(item) for item in parameters], *options)
        if layers.dropout:
            raise UndecidedShape("rows that are drawn for are those of the sequences alone")
        batch = b.shape(states[0])[1]
        present = packed.is_present(b, sizes, batch)
        output, finals = _run_layers(
            packed.padded_rows(b, x, sizes, batch), states, layers,
            lambda x, start, weights, backwards: _build_direction(b, cell, x, start, weights, backwards, present),
            lambda state, place: b("aten::select.int", state, 0, place),
            lambda shown: b("aten::cat", shown, -1),
            lambda shown: shown,
        )  # fmt: skip
        rows = packed.packed_rows(b, output, sizes, b.shape(x)[0])
        return (rows, *(b("aten::stack", list(final), 0) for final in zip(*finals)))

    define(
        f"aten::{cell.name}.data(Tensor data, Tensor batch_sizes, {_hidden_argument(cell)}, Tensor[] params, {_FLAGS}) "
        f"-> {_returned(cell)}",
        infer=infer,
        reference=reference,
        decompose=decompose,
        draws_when=_draws,
    )


def _checked_time(x: Array) -> Array:
    if not len(x):
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    return x


def _run_packed(
    cell: Cell, x: Array, sizes: Sequence[int], states: States, weights: Weights, backwards: bool
) -> tuple[Array, States]:
    """Step `t` concerns the first `sizes[t]` sequences, which are sorted by length; rows of steps lie one below the
    other. A sequence that has ended keeps its state; backwards, it starts at its own last step."""
    from_input = _affine(x, weights.input, weights.input_bias)
    starts = np.cumsum([0, *sizes])
    shown = np.empty((len(x), states[0].shape[-1]))
    current = [state.copy() for state in states]
    for time in reversed(range(len(sizes))) if backwards else range(len(sizes)):
        count, rows = sizes[time], slice(starts[time], starts[time + 1])
        advanced = _advance(cell, from_input[rows], weights, tuple(state[:count] for state in current))
        for state, new in zip(current, advanced):
            state[:count] = new
        shown[rows] = advanced[0]
    return shown, tuple(current)


def _build_direction(
    b: Any, cell: Cell, x: Any, states: States, weights: Weights, backwards: bool, present: Any = None
) -> tuple[Any, States]:
    """One layer in one direction; `present` as in `build_steps`."""
    from_input = b("aten::linear", x, weights.input, weights.input_bias)
    advance = lambda row, inner: _build_step(b, cell, row, weights, inner)
    return build_steps(b, from_input, states, advance, backwards, present)


def build_steps(
    b: Any, from_input: Any, states: States, advance: Callable[[Any, States], States], backwards: bool, present: Any = None
) -> tuple[Any, States]:  # fmt: skip
    """A loop that carries the rows of the output and the states, which `advance` makes of a step's part of `from_input`
    and of the states before.

    `present`, where given, is true at (time, sequence) where the states of a sequence change.
    """
    steps = b.shape(from_input)[0]
    rows = b("aten::full", [steps, *b.shape(states[0])], 0, dtype=_dtype(b, states[0]).code)
    graph = b.graph
    always = graph.insert_constant(True, BOOL)
    carried = [rows, *states]
    loop = graph.insert("prim::Loop", [b.value(steps), always, *carried], [value.type for value in carried])
    body = loop.add_block()
    time = body.add_input(IntType())
    rows, *inner = (body.add_input(value.type) for value in carried)
    with graph.inserting(body):
        place = b("aten::sub.int", b.value(steps - 1), time) if backwards else time
        new = advance(b("aten::select.int", from_input, 0, place), tuple(inner))
        if present is not None:
            here = b("aten::unsqueeze", b("aten::select.int", present, 0, place), 1)
            new = tuple(b("aten::where.self", here, *pair) for pair in zip(new, inner))
        written = b("aten::select_scatter", rows, new[0], 0, place)
    for value in (always, written, *new):
        body.add_output(value)
    return loop.outputs[0], tuple(loop.outputs[1:])


def _dtype(b: Any, x: Any) -> DType:
    return operand_type(b.type(x))


for _cell in (LSTM, GRU, TANH, RELU):
    _declare_layers(_cell)
    _declare_packed_layers(_cell)

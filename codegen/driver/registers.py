"""Operations on tensors held in registers: no memory between operators, rows packed into lanes.

Everything that only moves elements (transposes, slices, broadcasts, concatenation) is one primitive, `gather`: a list
that says for each element of the result where it comes from, turned into constant shuffles.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate
from itertools import product as cartesian

from optc.codegen.kernels import vector_math
from optc.codegen.kernels.expression import ExpressionEmitter, from_memory, memory_type, register_type, to_memory
from optc.codegen.kernels.native import RegisterTensor, register_lanes
from optc.codegen.llvm import Builder, Value
from optc.codegen.machine.host import Target
from optc.ir.dtypes import DType
from optc.ops.scalar import Expr, function, variable


class RegisterEmitter:
    """Emits register operations at the builder's position.

    `constants` builds code that runs once, before everything else; shuffles of values that are known there (weights)
    are written there too, so that loops do not repeat them.
    """

    def __init__(self, b: Builder, constants: Builder, target: Target) -> None:
        self.b = b
        self.constants = constants
        self.target = target
        self.early: set[str] = set()
        self._gathered: dict[tuple[object, ...], RegisterTensor] = {}

    def load(self, pointer: Value, dtype: DType, shape: tuple[int, ...], strides: Sequence[int]) -> RegisterTensor:
        """Read a tensor with known strides from memory."""
        return self._load(self.b, pointer, dtype, shape, strides)

    def load_constant(
        self, pointer: Value, dtype: DType, shape: tuple[int, ...], strides: Sequence[int]
    ) -> RegisterTensor:
        """Read a tensor that never changes, once for the whole run; `pointer` is known early."""
        loaded = self._load(self.constants, pointer, dtype, shape, strides)
        self.early.update(vector.name for vector in loaded.vectors)
        return loaded

    def _load(
        self, b: Builder, pointer: Value, dtype: DType, shape: tuple[int, ...], strides: Sequence[int]
    ) -> RegisterTensor:
        offsets = element_offsets(shape, strides)
        lanes = register_lanes(len(offsets))
        if lanes == 0:
            value = b.load(memory_type(dtype), b.gep(memory_type(dtype), pointer, offsets[0]))
            return RegisterTensor(dtype, shape, 0, (from_memory(b, value, dtype),))
        chunks = [offsets[start : start + lanes] for start in range(0, len(offsets), lanes)]
        return RegisterTensor(dtype, shape, lanes, tuple(_load_lanes(b, pointer, dtype, lanes, c) for c in chunks))

    def store(self, tensor: RegisterTensor, pointer: Value, strides: Sequence[int] | None = None) -> None:
        """Write a tensor to memory, contiguous unless `strides` say otherwise."""
        offsets = element_offsets(tensor.shape, strides or row_major(tensor.shape))
        element = memory_type(tensor.dtype)
        if tensor.lanes == 0:
            self.b.store(to_memory(self.b, tensor.vectors[0], tensor.dtype), self.b.gep(element, pointer, offsets[0]))
            return
        for number, vector in enumerate(tensor.vectors):
            part = offsets[number * tensor.lanes : (number + 1) * tensor.lanes]
            _store_lanes(self.b, to_memory(self.b, vector, tensor.dtype), pointer, element, part)

    def splat(self, value: Value, dtype: DType, shape: tuple[int, ...]) -> RegisterTensor:
        """Every element is `value`."""
        count = _count(shape)
        lanes = register_lanes(count)
        vectors = -(-count // lanes) if lanes else 1
        return RegisterTensor(dtype, shape, lanes, (self.b.splat(value, lanes),) * vectors)

    def constant(self, number: float, dtype: DType, shape: tuple[int, ...]) -> RegisterTensor:
        """Every element is the number."""
        return self.splat(self.b.constant(register_type(dtype), number), dtype, shape)

    def count_up(self, dtype: DType, shape: tuple[int, ...]) -> RegisterTensor:
        """0, 1, 2 ... row-major."""
        count = _count(shape)
        lanes = register_lanes(count)
        if lanes == 0:
            return self.constant(0, dtype, shape)
        vectors = tuple(
            self.b.constant(register_type(dtype, lanes), range(start, start + lanes))
            for start in range(0, count, lanes)
        )
        return RegisterTensor(dtype, shape, lanes, vectors)

    def gather(self, tensor: RegisterTensor, indices: Sequence[int], shape: tuple[int, ...]) -> RegisterTensor:
        """Element i of the result is element `indices[i]` of the source (both row-major)."""
        if list(indices) == list(range(tensor.count)):
            return RegisterTensor(tensor.dtype, shape, tensor.lanes, tensor.vectors)
        names = tuple(vector.name for vector in tensor.vectors)
        early = self.early.issuperset(names)
        if not early:
            return self._gather(self.b, tensor, indices, shape)
        key = (names, tuple(indices), shape)
        if key not in self._gathered:
            self._gathered[key] = self._gather(self.constants, tensor, indices, shape)
            self.early.update(vector.name for vector in self._gathered[key].vectors)
        return self._gathered[key]

    @staticmethod
    def _gather(b: Builder, tensor: RegisterTensor, indices: Sequence[int], shape: tuple[int, ...]) -> RegisterTensor:
        lanes = register_lanes(len(indices))
        if lanes == 0:
            return RegisterTensor(tensor.dtype, shape, 0, (_pick(b, tensor, indices[0]),))
        if tensor.lanes == 0:
            splat = b.splat(tensor.vectors[0], lanes)
            return RegisterTensor(tensor.dtype, shape, lanes, (splat,) * -(-len(indices) // lanes))
        parts = (indices[start : start + lanes] for start in range(0, len(indices), lanes))
        return RegisterTensor(tensor.dtype, shape, lanes, tuple(_shuffle(b, tensor, part, lanes) for part in parts))

    def concatenate(self, tensors: Sequence[RegisterTensor], indices: Sequence[int], shape: tuple[int, ...]
                    ) -> RegisterTensor:  # fmt: skip
        """Like `gather` from all the tensors laid end to end."""
        starts = [0]
        for tensor in tensors:
            starts.append(starts[-1] + tensor.count)
        lanes = register_lanes(len(indices))
        if lanes and all(tensor.lanes == lanes for tensor in tensors):
            return self._concatenate_alike(tensors, starts, indices, shape)
        result: RegisterTensor | None = None
        for tensor, start, stop in zip(tensors, starts, starts[1:]):
            mine = [index - start if start <= index < stop else 0 for index in indices]
            inside = [start <= index < stop for index in indices]
            if not any(inside):
                continue
            moved = self._gather(self.b, tensor, mine, shape)
            result = moved if result is None else self._blend(inside, moved, result, lanes)
        if result is None:
            raise ValueError("nothing to concatenate")
        return result

    def _concatenate_alike(
        self, tensors: Sequence[RegisterTensor], starts: Sequence[int], indices: Sequence[int], shape: tuple[int, ...]
    ) -> RegisterTensor:
        """Of vectors of one width, which are the vectors of one tensor, with gaps where one of them is not full."""
        lanes = tensors[0].lanes
        first_lanes = [0, *accumulate(lanes * len(tensor.vectors) for tensor in tensors)]
        owners = [bisect_right(starts, index) - 1 for index in indices]
        places = [first_lanes[owner] + index - starts[owner] for owner, index in zip(owners, indices)]
        vectors = tuple(vector for tensor in tensors for vector in tensor.vectors)
        whole = RegisterTensor(tensors[0].dtype, (lanes * len(vectors),), lanes, vectors)
        return self._gather(self.b, whole, places, shape)

    def _blend(self, inside: Sequence[bool], new: RegisterTensor, old: RegisterTensor, lanes: int) -> RegisterTensor:
        vectors = []
        for number, (first, second) in enumerate(zip(new.vectors, old.vectors)):
            mask = list(inside[number * lanes : (number + 1) * lanes])
            mask += [False] * (lanes - len(mask))
            picks = [lane if chosen else lanes + lane for lane, chosen in enumerate(mask)]
            vectors.append(self.b.shuffle(first, second, picks))
        return RegisterTensor(new.dtype, new.shape, lanes, tuple(vectors))

    def broadcast(self, tensor: RegisterTensor, shape: tuple[int, ...]) -> RegisterTensor:
        """The tensor expanded to `shape` by torch's broadcasting rule."""
        if tensor.shape == shape:
            return tensor
        padded = (1,) * (len(shape) - len(tensor.shape)) + tensor.shape
        own = row_major(padded)
        strides = [0 if extent == 1 else stride for extent, stride in zip(padded, own)]
        return self.gather(tensor, element_offsets(shape, strides), shape)

    def pointwise(self, expr: Expr, operands: Sequence[RegisterTensor | Value], shape: tuple[int, ...]
                  ) -> RegisterTensor:  # fmt: skip
        """`expr` over operands: tensors are broadcast to `shape`, scalars (Values) splat; input k is operand k."""
        expanded = vector_math.expand(expr, self.target)
        lanes = register_lanes(_count(shape))
        tensors = [
            self.broadcast(operand, shape).vectors if isinstance(operand, RegisterTensor) else operand
            for operand in operands
        ]
        vectors = []
        for number in range(-(-_count(shape) // lanes) if lanes else 1):
            vectors.append(self._apply(expanded, tensors, number, lanes))
        return RegisterTensor(expr.dtype, shape, lanes, tuple(vectors))

    def _apply(self, expr: Expr, operands: Sequence[tuple[Value, ...] | Value], number: int, lanes: int) -> Value:
        def leaf(node: Expr) -> Value:
            operand = operands[node.value]
            return self.b.splat(operand, lanes) if isinstance(operand, Value) else operand[number]

        return ExpressionEmitter(self.b, lanes, leaf, self.target).emit(expr)

    def combine(self, combine: Callable[..., Expr], left: Value, right: Value, dtype: DType) -> Value:
        """`combine` applied to two vectors or scalars."""
        expr = combine(variable(0, dtype), variable(1, dtype))
        return ExpressionEmitter(self.b, left.lanes, lambda node: (left, right)[node.value], self.target).emit(expr)

    def reduce(
        self, tensor: RegisterTensor, dims: Sequence[int], shape: tuple[int, ...],
        combine: Callable[..., Expr], identity: float,
    ) -> RegisterTensor:  # fmt: skip
        """Combine the elements along `dims`; `shape` is the result's (with or without the reduced dimensions)."""
        kept = [dim for dim in range(len(tensor.shape)) if dim not in dims]
        if not kept or _count(shape) == 1:
            return RegisterTensor(tensor.dtype, shape, 0, (self._fold(tensor, combine, identity),))
        strides = row_major(tensor.shape)
        places = element_offsets([tensor.shape[dim] for dim in kept], [strides[dim] for dim in kept])
        shifts = element_offsets([tensor.shape[dim] for dim in dims], [strides[dim] for dim in dims])
        parts = [self.gather(tensor, [place + shift for place in places], shape) for shift in shifts]
        is_row = sorted(dims) == list(range(len(kept), len(tensor.shape)))
        width = self.row_lanes(tensor.dtype) if is_row else 1
        return self._in_row_order(parts, width, lambda left, right: self._combine_pair(left, right, combine))

    def row_lanes(self, dtype: DType) -> int:
        """How many elements of a row a kernel adds at once (see `optc.codegen.kernels.vectorise`)."""
        return self.target.vector_bytes // (8 if dtype.itemsize >= 8 else 4)

    def _in_row_order(
        self, parts: Sequence[RegisterTensor], width: int, combine: Callable[..., RegisterTensor]
    ) -> RegisterTensor:
        """The parts of a row combined in the order of kernels, so that a row sums to the same bits in any batch.

        Vectors of `width` elements are added one after the other, then the lanes by halves. Where there are no masks,
        what fills no vector comes first, element by element.
        """
        whole = len(parts) if self.target.masks else len(parts) // width * width
        rest = list(parts[whole:])
        lanes = [reduce(combine, parts[lane:whole:width]) for lane in range(min(width, whole))]
        while width > 1:
            width //= 2
            upper = lanes[width:]
            lanes = [combine(lane, upper[n]) if n < len(upper) else lane for n, lane in enumerate(lanes[:width])]
        return reduce(combine, [*rest, *lanes])

    def _combine_pair(
        self, left: RegisterTensor, right: RegisterTensor, combine: Callable[..., Expr]
    ) -> RegisterTensor:
        vectors = tuple(self.combine(combine, one, two, left.dtype) for one, two in zip(left.vectors, right.vectors))
        return RegisterTensor(left.dtype, left.shape, left.lanes, vectors)

    def _fold(self, tensor: RegisterTensor, combine: Callable[..., Expr], identity: float) -> Value:
        """All elements into one scalar, in the order of kernels (see `_in_row_order`)."""
        if tensor.lanes == 0:
            return tensor.vectors[0]
        width = min(tensor.lanes, self.row_lanes(tensor.dtype))
        whole = tensor.count if self.target.masks else tensor.count // self.row_lanes(tensor.dtype) * width
        pieces = [self._piece(tensor, start, whole, width, identity) for start in range(0, whole, width)]
        rest = [_pick(self.b, tensor, place) for place in range(whole, tensor.count)]

        def both(left: Value, right: Value) -> Value:
            return self.combine(combine, left, right, tensor.dtype)

        return reduce(both, [*rest, *([self._fold_vector(reduce(both, pieces), both)] if pieces else [])])

    def _piece(self, tensor: RegisterTensor, start: int, stop: int, width: int, identity: float) -> Value:
        """Elements `start` to `start + width`, the neutral element in place of those from `stop` on."""
        vector = tensor.vectors[start // tensor.lanes]
        first = start % tensor.lanes
        if width == tensor.lanes and start + width <= stop:
            return vector
        neutral = self.b.constant(vector.type, identity)
        picks = [first + n if start + n < stop else tensor.lanes + first + n for n in range(width)]
        return self.b.shuffle(vector, neutral, picks)

    def _fold_vector(self, vector: Value, both: Callable[[Value, Value], Value]) -> Value:
        """The lanes of a vector into one scalar, by halves."""
        width = vector.lanes
        while width > 1:
            width //= 2
            upper = self.b.shuffle(vector, None, range(width, 2 * width))
            lower = self.b.shuffle(vector, None, range(width))
            vector = both(lower, upper)
        return self.b.extractelement(vector, 0) if vector.lanes else vector

    def matmul(
        self, left: RegisterTensor, right: RegisterTensor, start: RegisterTensor | None = None
    ) -> RegisterTensor:
        """[..., M, K] @ [..., K, N] with equal batch dimensions; `start` (already [..., M, N]) is added."""
        *batch, rows, inner = left.shape
        columns = right.shape[-1]
        shape = (*batch, rows, columns)
        total = start
        for k in range(inner):
            from_left = [b * rows * inner + i * inner + k
                         for b, i, _ in cartesian(range(_count(batch)), range(rows), range(columns))]  # fmt: skip
            from_right = [b * inner * columns + k * columns + j
                          for b, _, j in cartesian(range(_count(batch)), range(rows), range(columns))]  # fmt: skip
            x, y = self.gather(left, from_left, shape), self.gather(right, from_right, shape)
            total = self._multiply_add(x, y, total)
        if total is None:
            return self.constant(0, left.dtype, shape)
        return total

    def _multiply_add(self, x: RegisterTensor, y: RegisterTensor, total: RegisterTensor | None) -> RegisterTensor:
        first, second, third = (variable(place, x.dtype) for place in range(3))
        if total is None and x.dtype.kind == "float":
            total = self.constant(0, x.dtype, x.shape)  # keeps the product from being fused with what is added to it
        if total is None:
            return self.pointwise(first * second, [x, y], x.shape)
        if x.dtype.kind != "float":
            return self.pointwise(first * second + third, [x, y, total], x.shape)
        return self.pointwise(function("fma", first, second, third), [x, y, total], x.shape)


def _count(shape: Sequence[int]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def row_major(shape: Sequence[int]) -> list[int]:
    """The strides of a tensor without gaps."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return strides[::-1]


def element_offsets(shape: Sequence[int], strides: Sequence[int]) -> list[int]:
    """The place of every element, row-major."""
    return [sum(i * s for i, s in zip(index, strides)) for index in cartesian(*map(range, shape))]


def _runs(offsets: Sequence[int]) -> bool:
    return all(offset == offsets[0] + place for place, offset in enumerate(offsets))


def _load_lanes(b: Builder, pointer: Value, dtype: DType, lanes: int, offsets: Sequence[int]) -> Value:
    element, type_ = memory_type(dtype), memory_type(dtype, lanes)
    if _runs(offsets) and len(offsets) == lanes:
        value = b.load(type_, b.gep(element, pointer, offsets[0]))
    elif _runs(offsets):
        value = _load_short(b, pointer, dtype, lanes, offsets)
    else:
        value = b.constant(type_, 0)
        for lane, offset in enumerate(offsets):
            value = b.insertelement(value, b.load(element, b.gep(element, pointer, offset)), lane)
    return from_memory(b, value, dtype)


def _load_short(b: Builder, pointer: Value, dtype: DType, lanes: int, offsets: Sequence[int]) -> Value:
    """A run shorter than the vector, from power-of-two pieces: no byte beyond the end is read, no mask is needed."""
    element, type_ = memory_type(dtype), memory_type(dtype, lanes)
    result = b.constant(type_, 0)
    done = 0
    while done < len(offsets):
        width = 1 << ((len(offsets) - done).bit_length() - 1)
        address = b.gep(element, pointer, offsets[done])
        if width == 1:
            result = b.insertelement(result, b.load(element, address), done)
        else:
            piece = b.load(memory_type(dtype, width), address)
            wide = b.shuffle(piece, None, [lane if lane < width else -1 for lane in range(lanes)])
            picks = [lanes + lane - done if done <= lane < done + width else lane for lane in range(lanes)]
            result = b.shuffle(result, wide, picks)
        done += width
    return result


def _store_lanes(b: Builder, vector: Value, pointer: Value, element: str, offsets: Sequence[int]) -> None:
    if not _runs(offsets):
        for lane, offset in enumerate(offsets):
            b.store(b.extractelement(vector, lane), b.gep(element, pointer, offset))
        return
    done = 0
    while done < len(offsets):
        width = 1 << ((len(offsets) - done).bit_length() - 1)
        address = b.gep(element, pointer, offsets[done])
        if width == 1:
            b.store(b.extractelement(vector, done), address)
        elif width == vector.lanes:
            b.store(vector, address)
        else:
            b.store(b.shuffle(vector, None, range(done, done + width)), address)
        done += width


def _pick(b: Builder, tensor: RegisterTensor, index: int) -> Value:
    if tensor.lanes == 0:
        return tensor.vectors[0]
    return b.extractelement(tensor.vectors[index // tensor.lanes], index % tensor.lanes)


def _shuffle(b: Builder, tensor: RegisterTensor, indices: Sequence[int], lanes: int) -> Value:
    """One result vector, from as many two-source shuffles as there are source vectors; one where there are two."""
    width = tensor.lanes
    needed = sorted({index // width for index in indices})
    padded = [*indices, *([-1] * (lanes - len(indices)))]
    first = tensor.vectors[needed[0]]
    if len(needed) == 2:
        picks = [i if i < 0 else i % width + width * needed.index(i // width) for i in padded]
        return b.shuffle(first, tensor.vectors[needed[1]], picks)
    result = b.shuffle(first, None, [i % width if i >= 0 and i // width == needed[0] else -1 for i in padded])
    for source in needed[1:]:
        other = b.shuffle(tensor.vectors[source], None,
                          [i % width if i >= 0 and i // width == source else -1 for i in padded])  # fmt: skip
        picks = [lanes + lane if i >= 0 and i // width == source else lane for lane, i in enumerate(padded)]
        result = b.shuffle(result, other, picks)
    return result

"""Rows in order, as LLVM functions: a stable sort, and the first few of what it would give.

An element and its place become one unsigned integer, a *word*: a key that has the order of the elements in its upper
half, the place in the lower one. Words are distinct, and ordering them is a stable sort whatever the algorithm does
with equal keys. Keys of floats are their bits, negative ones turned around; nan has the largest key, both zeros have
one. A descending sort inverts the keys.

Short rows are sorted by insertion; long ones by radix, one byte of the keys after the other, leaving out bytes that
all words share. Where only a small part is wanted, what may belong to it is found by the two upper bytes first. `Order` names one function: `void name(source, values, places, scratch, n, k, rows, groups, start,
stop)` sorts rows of `n` contiguous elements and writes the first `k` of each, in `groups` shares of all `rows`, of
which a call does those from `start` to `stop`. A group works in `2 * n` words of scratch.
"""

from __future__ import annotations

from collections.abc import Callable

from optc.codegen.kernels.expression import memory_type
from optc.codegen.llvm import Builder, Module, Parameter, Value
from optc.dataclass import dataclass
from optc.ir.dtypes import DType

SHORT = 48
"""Rows of at most so many elements are sorted by insertion."""

PART = 4
"""Where so many times the wanted number is less than the row has, words are chosen before they are sorted."""

_PARAMETERS = [
    Parameter("ptr", "source"), Parameter("ptr", "values"), Parameter("ptr", "places"), Parameter("ptr", "scratch"),
    *(Parameter("i64", name) for name in ("n", "k", "rows", "groups", "start", "stop")),
]  # fmt: skip


@dataclass(frozen=True)
class Order:
    """Which function: of elements of `dtype`, the largest first if `descending`; `few` keeps the best words in a list
    instead of sorting them all."""

    dtype: DType
    descending: bool
    few: bool = False

    @property
    def name(self) -> str:
        """The function's name."""
        return f"{'top' if self.few else 'sort'}_{self.dtype.name}_{'down' if self.descending else 'up'}"

    @property
    def place_bits(self) -> int:
        """The lower half of a word. Keys of at most four bytes share 64 bits with a place below 2^32."""
        return 64 if self.dtype.itemsize == 8 else 32

    @property
    def word(self) -> str:
        """The LLVM type of a word."""
        return f"i{2 * self.place_bits}"

    @property
    def word_bytes(self) -> int:
        """The bytes of a word."""
        return self.place_bits // 4

    def module(self) -> Module:
        """The module that defines the function."""
        module = Module(self.name)
        function = module.function(self.name, "void", _PARAMETERS)
        _Writer(self, Builder(function)).write(dict(zip((p.name for p in _PARAMETERS), function.arguments)))
        return module

    @property
    def parameter_types(self) -> list[str]:
        """The types of the function's arguments."""
        return [parameter.type for parameter in _PARAMETERS]


class _Writer:
    def __init__(self, order: Order, b: Builder) -> None:
        self.order = order
        self.b = b
        self.element = memory_type(order.dtype)
        self.bits = 8 * order.dtype.itemsize

    def write(self, given: dict[str, Value]) -> None:
        b = self.b
        self.n, self.k = given["n"], given["k"]
        with b.for_loop(given["start"], given["stop"]) as group:
            words = b.mul(b.mul(self.n, 2), group.index)
            scratch = b.gep(self.order.word, given["scratch"], words)
            first, last = (
                b.udiv(b.mul(given["rows"], number), given["groups"]) for number in (group.index, b.add(group.index, 1))
            )
            with b.for_loop(first, last) as row:
                whole, part = b.mul(row.index, self.n), b.mul(row.index, self.k)
                source = b.gep(self.element, given["source"], whole)
                values, places = b.gep(self.element, given["values"], part), b.gep("i64", given["places"], part)
                in_order = self.few(source, scratch) if self.order.few else self.sorted(source, scratch)
                self.write_row(in_order, source, values, places)
        b.ret()

    # Words

    def key(self, bits: Value) -> Value:
        """The bits of an element as an unsigned integer of the same order."""
        b, dtype, type_ = self.b, self.order.dtype, f"i{self.bits}"
        sign = 1 << (self.bits - 1)
        key = bits
        if dtype.kind == "float":
            size = b.and_(bits, sign - 1)
            plain = b.select(b.icmp("eq", size, 0), b.constant(type_, 0), bits)
            turned = b.xor(plain, b.or_(b.ashr(plain, self.bits - 1), sign))
            infinity = {16: 0x7C00, 32: 0x7F80_0000, 64: 0x7FF0_0000_0000_0000}[self.bits]
            infinity = 0x7F80 if dtype.name == "bfloat16" else infinity
            key = b.select(b.icmp("ugt", size, infinity), b.constant(type_, -1), turned)
        elif dtype.is_signed:
            key = b.xor(bits, sign)
        return b.not_(key) if self.order.descending else key

    def load_word(self, source: Value, place: Value) -> Value:
        b, order = self.b, self.order
        bits = b.load(f"i{self.bits}", b.gep(self.element, source, place), order.dtype.itemsize)
        high = b.shl(b.zext(self.key(bits), order.word), order.place_bits)
        return b.or_(high, b.zext(place, order.word))

    def at(self, words: Value, place: Value) -> Value:
        return self.b.gep(self.order.word, words, place)

    def read(self, words: Value, place: Value) -> Value:
        return self.b.load(self.order.word, self.at(words, place))

    def write_row(self, words: Value, source: Value, values: Value, places: Value) -> None:
        """The first k words as elements and places."""
        b = self.b
        with b.for_loop(0, self.k) as loop:
            word = self.read(words, loop.index)
            place = b.trunc(word, "i64")
            if self.order.place_bits == 32:
                place = b.and_(place, 0xFFFF_FFFF)
            b.store(place, b.gep("i64", places, loop.index))
            bits = b.load(f"i{self.bits}", b.gep(self.element, source, place), self.order.dtype.itemsize)
            b.store(bits, b.gep(self.element, values, loop.index), self.order.dtype.itemsize)

    def insert(self, words: Value, word: Value, count: Value) -> None:
        """Put a word among `count` words in order; the larger ones move up by one."""
        b = self.b
        with b.while_loop([count]) as loop:
            place = loop.carried[0]
            before = b.sub(place, 1)
            inside = b.icmp("sgt", place, 0)
            safe = b.select(inside, before, b.constant("i64", 0))
            other = self.read(words, safe)
            loop.while_(b.and_(inside, b.icmp("ugt", other, word)))
            b.store(other, self.at(words, place))
            loop.yield_([before])
        b.store(word, self.at(words, loop.results[0]))

    # The whole row

    def sorted(self, source: Value, scratch: Value) -> Value:
        """The words of a row in order, at least the first k of them."""
        b = self.b
        with b.if_then_else(b.icmp("sle", self.n, SHORT)) as (short, long):
            with short:
                self.by_insertion(scratch, self.n, lambda place: self.load_word(source, place))
                short.yield_([scratch])
            with long:
                is_part = b.icmp("sle", b.mul(self.k, PART), self.n)
                words = b.choose(
                    is_part,
                    lambda: self.first_part(source, scratch),
                    lambda: self.by_radix(
                        scratch, self.other(scratch), self.n, lambda place: self.load_word(source, place)
                    ),
                )
                long.yield_([words])
        return short.results[0]

    def other(self, scratch: Value) -> Value:
        """The second half of a row's scratch memory."""
        return self.at(scratch, self.n)

    def by_insertion(self, words: Value, n: Value, word_of: Callable[[Value], Value]) -> None:
        b = self.b
        with b.for_loop(0, n) as loop:
            self.insert(words, word_of(loop.index), loop.index)

    def first_part(self, source: Value, scratch: Value) -> Value:
        """The first k words: those that are among them by the upper bytes of their keys, and only they are sorted."""
        b, other = self.b, self.other(scratch)
        upper = self.order.dtype.itemsize - 1
        none = b.constant(self.order.word, 0)
        count, limit, before = self.kept_words(
            lambda place: self.load_word(source, place), scratch, self.n, upper, none, b.constant("i64", 0)
        )
        words, rest = scratch, other
        if upper:
            count, _, _ = self.kept_words(lambda place: self.read(words, place), words, count, upper - 1, limit, before)
        with b.if_then_else(b.icmp("sle", count, SHORT)) as (few, many):
            with few:
                self.by_insertion(words, count, lambda place: self.read(words, place))
                few.yield_([words])
            with many:
                many.yield_([self.by_radix(words, rest, count, lambda place: self.read(words, place))])
        return few.results[0]

    def kept_words(
        self, word_of: Callable[[Value], Value], target: Value, n: Value, number: int, prefix: Value, before: Value
    ) -> tuple[Value, Value, Value]:
        """Keep the words that may be among the first k, judged by byte `number` of their keys and the bytes above it,
        of which `prefix` is what those of the last word have; `before` words have smaller ones. Returns how many are
        kept, and both numbers with this byte. They may be kept where they were."""
        b, shift = self.b, self.order.place_bits + 8 * number
        counts = b.alloca("i64", 256, 64)
        b.memset(counts, 0, 256 * 8)
        with b.for_loop(0, n) as loop:
            word = word_of(loop.index)
            place = b.gep("i64", counts, self.digit(word, number))
            is_last = b.zext(b.icmp("eq", b.lshr(b.lshr(word, shift), 8), prefix), "i64")
            b.store(b.add(b.load("i64", place), is_last), place)
        with b.while_loop([b.constant("i64", 0), before]) as search:
            digit, total = search.carried
            following = b.add(total, b.load("i64", b.gep("i64", counts, digit)))
            search.while_(b.icmp("slt", following, self.k))
            search.yield_([b.add(digit, 1), following])
        digit, total = search.results
        limit = b.or_(b.shl(prefix, 8), b.zext(digit, self.order.word))
        with b.for_loop(0, n, carried=[b.constant("i64", 0)]) as loop:
            word = word_of(loop.index)
            b.store(word, self.at(target, loop.carried[0]))
            loop.yield_([b.add(loop.carried[0], b.zext(b.icmp("ule", b.lshr(word, shift), limit), "i64"))])
        return loop.results[0], limit, total

    def by_radix(self, words: Value, other: Value, n: Value, word_of: Callable[[Value], Value]) -> Value:
        """The words in order, in one of two places."""
        b, key_bytes = self.b, self.order.dtype.itemsize
        counts = b.alloca("i64", 256 * key_bytes, 64)
        b.memset(counts, 0, 256 * 8 * key_bytes)
        with b.for_loop(0, n, nonempty=True) as loop:
            word = word_of(loop.index)
            b.store(word, self.at(words, loop.index))
            for number in range(key_bytes):
                place = b.gep("i64", counts, b.add(self.digit(word, number), 256 * number))
                b.store(b.add(b.load("i64", place), 1), place)
        for number in range(key_bytes):
            words, other = self.pass_over(words, other, n, b.gep("i64", counts, 256 * number), number)
        return words

    def digit(self, word: Value, number: int) -> Value:
        b = self.b
        return b.and_(b.trunc(b.lshr(word, self.order.place_bits + 8 * number), "i64"), 255)

    def pass_over(self, words: Value, other: Value, n: Value, counts: Value, number: int) -> tuple[Value, Value]:
        """Words in the order of one byte of their keys, written to `other`; nothing where that byte is the same in all."""
        b = self.b
        first = b.load("i64", b.gep("i64", counts, self.digit(self.read(words, b.constant("i64", 0)), number)))
        with b.if_then_else(b.icmp("eq", first, n)) as (same, mixed):
            with same:
                same.yield_([words, other])
            with mixed:
                with b.for_loop(0, 256, carried=[b.constant("i64", 0)], nonempty=True) as starts:
                    place = b.gep("i64", counts, starts.index)
                    count = b.load("i64", place)
                    b.store(starts.carried[0], place)
                    starts.yield_([b.add(starts.carried[0], count)])
                with b.for_loop(0, n, nonempty=True) as loop:
                    word = self.read(words, loop.index)
                    place = b.gep("i64", counts, self.digit(word, number))
                    target = b.load("i64", place)
                    b.store(word, self.at(other, target))
                    b.store(b.add(target, 1), place)
                mixed.yield_([other, words])
        after = same.results
        return after[0], after[1]

    # The first few

    def few(self, source: Value, scratch: Value) -> Value:
        """The k smallest words, in order: every word that is smaller than the last of them is put among them."""
        b = self.b
        last = b.sub(self.k, 1)
        with b.for_loop(0, self.k) as loop:
            self.insert(scratch, self.load_word(source, loop.index), loop.index)
        with b.if_then(b.icmp("sgt", self.k, 0)), b.for_loop(self.k, self.n) as loop:
            word = self.load_word(source, loop.index)
            with b.if_then(b.icmp("ult", word, self.read(scratch, last))):
                self.insert(scratch, word, last)
        return scratch

"""Reads the attribute values that `optc.ir.literals` writes, and those of torch."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from optc.errors import ParseError, SourceRange
from optc.ir import dtypes, types
from optc.ir.literals import Elided, tensor_text
from optc.ir.type_parser import TokenStream, TypeParser
from optc.ir.types import DictType, ListType, OptionalType, TensorType, TupleType, Type

_NUMBER = re.compile(r"-?(?:inf\b|nan\b|\d+(?:\.\d*)?(?:e[+-]?\d+)?)")
_IMAGINARY = re.compile(r"[+-](?:inf|nan|\d+(?:\.\d*)?(?:e[+-]?\d+)?)j")
_SHOWN_TENSOR = re.compile(
    r"(?P<numbers>(?:\s|\((?:\d+,)+\.,\.\) =|Columns \d+ to \d+|[-+.\deinfa]+|\*)*)"
    r"\[ CPU(?P<label>\w+)Type\{(?P<dims>[\d,]*)\} \]"
)
_BOXED_TENSOR = re.compile(r"\{(?:\((?P<real>[^,{}()]+),(?P<imaginary>[^,{}()]+)\)|(?P<number>[-+\w.]+))\}")
_NOT_A_NUMBER = re.compile(r"\([\d,]*\.,\.\) =|Columns \d+ to \d+")
_ELIDED = re.compile(r"<Tensors?>|\[<Tensors>\]|object\(\w+\)|[A-Za-z_][\w.]*\.\w+")
_WORDS = {"True": True, "False": False, "None": None}
_WORD = re.compile(r"[A-Za-z_]\w*")
_ESCAPED = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}


class Cursor:
    """A place in one line of text; `number` is the line's number in `document`."""

    def __init__(self, text: str, number: int, document: str, filename: str) -> None:
        self.text = text
        self.place = 0
        self.number = number
        self.document = document
        self.filename = filename

    def error(self, message: str) -> ParseError:
        """The error to raise for what stands at the cursor."""
        column = min(self.place, max(len(self.text) - 1, 0))
        return ParseError(message, SourceRange(self.filename, self.number, column, self.document))

    def skip_spaces(self) -> None:
        """Move past blanks."""
        while self.place < len(self.text) and self.text[self.place].isspace():
            self.place += 1

    @property
    def at_end(self) -> bool:
        """True when only blanks are left."""
        self.skip_spaces()
        return self.place >= len(self.text)

    def looks_at(self, text: str) -> bool:
        """True when `text` comes next, after blanks."""
        self.skip_spaces()
        return self.text.startswith(text, self.place)

    def accept(self, text: str) -> bool:
        """Move past `text` if it comes next."""
        if not self.looks_at(text):
            return False
        self.place += len(text)
        return True

    def expect(self, text: str) -> None:
        """Move past `text`. Raises ParseError when something else comes next."""
        if not self.accept(text):
            raise self.error(f"expected {text!r}")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Move past what `pattern` matches next, after blanks."""
        self.skip_spaces()
        found = pattern.match(self.text, self.place)
        if found is not None:
            self.place = found.end()
        return found

    def type(self, named: Any) -> Type:
        """The type that comes next; `named` resolves names of classes."""
        stream = TokenStream(self.text, self.place)
        try:
            result = TypeParser(stream, named).parse()
        except ParseError as error:
            raise self.error(error.message) from None
        self.place = stream.offset
        return result

    def dim(self) -> Any:
        """The dimension that comes next, such as `2*s0 + 1`."""
        stream = TokenStream(self.text, self.place)
        try:
            result = TypeParser(stream).dim()
        except ParseError as error:
            raise self.error(error.message) from None
        self.place = stream.offset
        return result


def parse_value(cursor: Cursor) -> Any:
    """The value that comes next. Raises ParseError."""
    tensor = _shown_tensor(cursor) if "[ CPU" in cursor.text else None
    if tensor is not None:
        return tensor
    if cursor.looks_at('"') or cursor.looks_at("'"):
        return _string(cursor)
    if cursor.looks_at("tensor("):
        return _exact_tensor(cursor)
    if (found := cursor.match(_NUMBER)) is not None:
        return _number(cursor, found[0])
    if cursor.looks_at("{"):
        return _braces(cursor)
    if (found := cursor.match(_ELIDED)) is not None:
        return Elided(found[0])
    if cursor.accept("["):
        return _items(cursor, "]")
    if cursor.accept("("):
        return tuple(_items(cursor, ")"))
    if (found := cursor.match(_WORD)) is not None and found[0] in _WORDS:
        return _WORDS[found[0]]
    raise cursor.error("expected a value")


def _number(cursor: Cursor, text: str) -> Any:
    imaginary = cursor.match(_IMAGINARY)
    if imaginary is not None:
        return complex(float(text), float(imaginary[0][:-1]))
    if cursor.accept("j"):
        return complex(0.0, float(text))
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _items(cursor: Cursor, closing: str) -> list[Any]:
    items: list[Any] = []
    while not cursor.accept(closing):
        items.append(parse_value(cursor))
        if not cursor.looks_at(closing):
            cursor.expect(",")
    return items


def _string(cursor: Cursor) -> str:
    quote = cursor.text[cursor.place]
    text = cursor.text
    place = cursor.place + 1
    data = bytearray()
    while place < len(text) and text[place] != quote:
        if text[place] != "\\":
            data += text[place].encode()
            place += 1
        elif text[place + 1 : place + 2] in _ESCAPED:
            data.append(_ESCAPED[text[place + 1]])
            place += 2
        else:
            digits = [ord(digit) - ord("0") for digit in text[place + 1 : place + 4]]
            data.append(sum(digit * weight for digit, weight in zip(digits, (64, 8, 1))) % 256)
            place += 4
    if place >= len(text):
        raise cursor.error("the string has no end")
    cursor.place = place + 1
    return data.decode("utf-8", "surrogateescape")


def _braces(cursor: Cursor) -> Any:
    boxed = cursor.match(_BOXED_TENSOR)
    if boxed is not None:
        return _boxed_tensor(boxed)
    cursor.expect("{")
    result: dict[Any, Any] = {}
    while not cursor.accept("}"):
        key = parse_value(cursor)
        cursor.expect(":")
        result[key] = parse_value(cursor)
        if not cursor.looks_at("}"):
            cursor.expect(",")
    return result


def _boxed_tensor(boxed: re.Match[str]) -> np.ndarray[Any, Any]:
    """`{5}`: integer digits are read as int64, others as float32; the annotation decides later."""
    if boxed["real"] is not None:
        return np.array(complex(float(boxed["real"]), float(boxed["imaginary"])), np.complex64)
    text = boxed["number"]
    return np.array(int(text), np.int64) if text.lstrip("-").isdigit() else np.array(float(text), np.float32)


def _shown_tensor(cursor: Cursor) -> np.ndarray[Any, Any] | Elided | None:
    """` 1  2 [ CPUFloatType{2} ]`: the digits shown are all there is, so the tensor is only nearly the one printed.

    Where so much is lost that it would print differently, the text is kept instead of a tensor.
    """
    found = _SHOWN_TENSOR.match(cursor.text, cursor.place)
    if found is None or found["label"] not in dtypes.BY_LABEL:
        return None
    cursor.place = found.end()
    text = _NOT_A_NUMBER.sub(" ", found["numbers"])
    scale = 1.0
    if "*" in text:
        head, _, text = text.partition("*")
        scale = float(head)
        text = re.sub(r"[-+.\de]+\s+\*", " ", text)
    numbers = np.array([float(number) * scale for number in text.split()])
    shape = tuple(int(extent) for extent in found["dims"].split(",") if extent)
    try:
        array = numbers.reshape(shape).astype(dtypes.BY_LABEL[found["label"]].numpy)
    except ValueError:
        raise cursor.error(f"{numbers.size} numbers do not fill a tensor of shape {shape}") from None
    return array if tensor_text(array).lstrip() == found[0].lstrip() else Elided(found[0])


def _exact_tensor(cursor: Cursor) -> np.ndarray[Any, Any]:
    """`tensor([[1, 2], [3, 4]], Float)`: nested lists say the shape, or the type does (`Float(2, 2)`)."""
    cursor.expect("tensor(")
    data = parse_value(cursor)
    type_: Type | None = cursor.type(None) if cursor.accept(",") else None
    cursor.expect(")")
    dtype = type_.dtype.numpy if isinstance(type_, TensorType) and type_.dtype is not None else None
    try:
        array = np.array(data, dtype)
        if dtype is None and array.dtype == np.float64:
            array = array.astype(np.float32)
        if isinstance(type_, TensorType) and type_.shape is not None:
            array = array.reshape([extent for extent in type_.shape if isinstance(extent, int)])
    except (ValueError, TypeError) as error:
        raise cursor.error(f"the tensor's elements do not fit its type: {error}") from None
    return array


def as_declared(value: Any, type_: Type) -> Any:
    """The value as its declared type has it: text writes `1` for True, and 10000000000 for a float."""
    if isinstance(type_, OptionalType):
        return value if value is None else as_declared(value, type_.element)
    if type_ is types.BOOL and isinstance(value, int):
        return bool(value)
    if type_ is types.FLOAT and isinstance(value, int):
        return float(value)
    if isinstance(type_, ListType) and isinstance(value, list):
        return [as_declared(item, type_.element) for item in value]
    if isinstance(type_, TupleType) and isinstance(value, tuple):
        return tuple(as_declared(item, element) for item, element in zip(value, type_.elements))
    if isinstance(type_, DictType) and isinstance(value, dict):
        return {as_declared(key, type_.key): as_declared(item, type_.value) for key, item in value.items()}
    if isinstance(type_, TensorType) and isinstance(value, np.ndarray):
        return _tensor_as_declared(value, type_)
    return value


def _tensor_as_declared(array: np.ndarray[Any, Any], type_: TensorType) -> np.ndarray[Any, Any]:
    if type_.dtype is not None and array.dtype != type_.dtype.numpy:
        array = array.astype(type_.dtype.numpy)
    if not type_.is_static or type_.shape is None:
        return array
    shape = tuple(extent for extent in type_.shape if isinstance(extent, int))
    return array.reshape(shape) if math.prod(shape) == array.size else array


def literal_type(value: Any) -> Type:
    """The type of a value that carries no annotation. Raises ValueError for a value that has none."""
    if isinstance(value, np.ndarray):
        return TensorType(dtypes.from_numpy(value.dtype), tuple(value.shape))
    if isinstance(value, list):
        return ListType(literal_type(value[0]) if value else types.INT)
    if isinstance(value, tuple):
        return TupleType(tuple(literal_type(item) for item in value))
    simple: dict[type, Type] = {
        bool: types.BOOL, int: types.INT, float: types.FLOAT, str: types.STRING, complex: types.COMPLEX,
        type(None): types.NONE,
    }  # fmt: skip
    if type(value) not in simple:
        raise ValueError(f"the type of {value} must be written")
    return simple[type(value)]

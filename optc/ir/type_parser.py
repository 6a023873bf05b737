"""Parses the types of schemas and graphs (`Tensor(a!)[]?`, `Dict(str, int[])`, `Float(2, s0, strides=[3, 1])`).

The grammar is shared by operator schemas and the textual IR; code annotations (`List[int]`) are read by the script
frontend, from Python's own syntax trees.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping

from optc.errors import ParseError
from optc.ir import types
from optc.ir.dims import Dim, floordiv, fresh, maximum, minimum, modulo, symbol
from optc.ir.dtypes import BY_LABEL
from optc.ir.types import (
    DictType,
    EnumType,
    FutureType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    UnionType,
    VariableType,
)

SIMPLE: Mapping[str, Type] = {
    "Tensor": types.TENSOR,
    "int": types.INT,
    "SymInt": types.INT,
    "float": types.FLOAT,
    "bool": types.BOOL,
    "str": types.STRING,
    "complex": types.COMPLEX,
    "NoneType": types.NONE,
    "None": types.NONE,
    "Scalar": types.NUMBER,
    "number": types.NUMBER,
    "Any": types.ANY,
    "Device": types.DEVICE,
    "Generator": types.GENERATOR,
    "Function": types.FUNCTION,
    "ScalarType": types.INT,
    "Layout": types.INT,
    "MemoryFormat": types.INT,
    "Dimname": types.STRING,
    "AnyClassType": types.ANY,
    "AnyEnumType": types.ANY_ENUM,
    "list": types.ANY_LIST,
    "tuple": types.ANY_TUPLE,
    "Capsule": types.CAPSULE,
    "Storage": types.STORAGE,
    "Stream": types.STREAM,
    "QScheme": types.INT,
}

_VARIABLE = re.compile(r"t\d*$|tVal$|t_\w+$|T$")
_TOKEN = re.compile(
    r"\s*(->|\.\.\.|-?\d+\.?\d*(?:e[+-]?\d+)?|[A-Za-z_][\w.]*|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\S)"
)


class TokenStream:
    """The tokens of a text from `offset` on, read as far as they are asked for."""

    def __init__(self, text: str, offset: int = 0) -> None:
        self.text = text
        self.tokens: list[str] = []
        self.ends = [offset]
        self.position = 0

    @property
    def offset(self) -> int:
        """Where in the text the tokens consumed so far end."""
        return self.ends[self.position]

    @property
    def token(self) -> str:
        """The current token, empty at the end."""
        return self.peek(0)

    def peek(self, ahead: int = 1) -> str:
        """A later token, empty past the end."""
        place = self.position + ahead
        while len(self.tokens) <= place:
            found = _TOKEN.match(self.text, self.ends[-1])
            if found is None:
                return ""
            self.tokens.append(found[1])
            self.ends.append(found.end())
        return self.tokens[place]

    def take(self, *expected: str) -> str:
        """Consume the current token; it must be one of `expected` where given. Raises ParseError."""
        token = self.token
        if not token or (expected and token not in expected):
            wanted = " or ".join(map(repr, expected)) or "more text"
            raise ParseError(f"expected {wanted}, found {token!r} in: {self.text.strip()}")
        self.position += 1
        return token

    def accept(self, token: str) -> bool:
        """Consume the current token if it is `token`."""
        if self.token != token:
            return False
        self.position += 1
        return True


class TypeParser:
    """Parses one type; `named` resolves qualified class names, `note_alias` receives alias annotations."""

    def __init__(
        self,
        stream: TokenStream,
        named: Callable[[str], Type | None] | None = None,
        note_alias: Callable[[str], None] | None = None,
    ) -> None:
        self.stream = stream
        self.named = named
        self.note_alias = note_alias

    def parse(self) -> Type:
        """The type at the current token, suffixes `[]`, `[2]`, `?` and alias annotations included."""
        result = self._primary()
        while True:
            if self.stream.token == "[":
                result = self._list_suffix(result)
            elif self.stream.accept("?"):
                result = OptionalType(result)
            elif self.stream.token == "(" and self._at_alias():
                self._alias()
            else:
                return result

    def _at_alias(self) -> bool:
        following = self.stream.peek()
        closing = self.stream.peek(2) in ("!", ")", "|", "->")
        return closing and (following == "*" or (following.isalpha() and len(following) == 1))

    def _alias(self) -> None:
        text = ""
        self.stream.take("(")
        while not self.stream.accept(")"):
            text += self.stream.take()
        if self.note_alias is not None:
            self.note_alias(text)

    def _list_suffix(self, element: Type) -> Type:
        self.stream.take("[")
        size = int(self.stream.take()) if self.stream.token != "]" else None
        self.stream.take("]")
        return ListType(element, size)

    def _primary(self) -> Type:
        if self.stream.token == "(":
            return TupleType(tuple(self._arguments()))
        name = self.stream.take()
        if name in BY_LABEL or (name == "Tensor" and self.stream.token == "(" and not self._at_alias()):
            return self._tensor(name)
        if name.endswith("Tensor") and name.removesuffix("Tensor") in BY_LABEL:
            return self._tensor(name.removesuffix("Tensor"), ranked=False)
        if name == "int" and self.stream.token == "(" and not self._at_alias():
            return self._known_int()
        if name in ("Dict", "Future", "Optional", "Union", "RRef", "List"):
            return self._generic(name)
        if name == "NamedTuple":
            return self._named_tuple()
        if name == "Enum":
            return self._enum()
        if name == "InterfaceType":
            name = self._interface_name()
        if name in SIMPLE:
            return SIMPLE[name]
        if _VARIABLE.match(name):
            return VariableType(name)
        found = self.named(name) if self.named is not None else None
        if found is None and name.startswith(types.NATIVE_CLASSES):
            return types.SimpleType(name, name)
        if found is None:
            raise ParseError(f"unknown type {name!r} in: {self.stream.text.strip()}")
        return found

    def _arguments(self) -> list[Type]:
        closing = ")" if self.stream.take("(", "[") == "(" else "]"
        result: list[Type] = []
        while not self.stream.accept(closing):
            result.append(self.parse())
            if self.stream.token != closing:
                self.stream.take(",")
        return result

    def _known_int(self) -> Type:
        self.stream.take("(")
        dim = self.dim()
        self.stream.take(")")
        return types.IntType(dim)

    def _generic(self, name: str) -> Type:
        arguments = self._arguments()
        if name == "Dict":
            return DictType(*arguments)
        if name == "Union":
            return UnionType(tuple(arguments))
        if name == "List":
            return ListType(arguments[0])
        return OptionalType(arguments[0]) if name == "Optional" else FutureType(arguments[0])

    def _named_tuple(self) -> Type:
        self.stream.take("(")
        fields: list[str] = []
        elements: list[Type] = []
        defaults: list[object] = []
        while not self.stream.accept(")"):
            fields.append(self.stream.take())
            self.stream.take(":")
            elements.append(self.parse())
            if self.stream.accept("="):
                defaults.append(self._default())
            self.stream.accept(",")
        return TupleType(tuple(elements), "NamedTuple", tuple(fields), tuple(defaults))

    def _default(self) -> object:
        sign = "-" if self.stream.accept("-") else ""
        token = sign + self.stream.take()
        try:
            return ast.literal_eval(token)
        except (ValueError, SyntaxError):
            raise ParseError(f"{token!r} is no default value in: {self.stream.text.strip()}") from None

    def _interface_name(self) -> str:
        self.stream.take("<")
        name = f"InterfaceType<{self.stream.take()}>"
        self.stream.take(">")
        return name

    def _enum(self) -> Type:
        self.stream.take("<")
        name = self.stream.take()
        self.stream.take(">")
        found = self.named(name) if self.named is not None else None
        return found if isinstance(found, EnumType) else EnumType(name, types.INT)

    def _tensor(self, label: str, ranked: bool = True) -> Type:
        dtype = BY_LABEL.get(label)
        # Schemas say of no element type what it may alias: the star of `Long(*)` is an extent.
        has_shape = self.stream.token == "(" and (not self._at_alias() or (ranked and dtype is not None))
        if not has_shape:
            return TensorType(dtype)
        self.stream.take("(")
        shape: list[Dim] = []
        strides: tuple[int, ...] | None = None
        requires_grad: bool | None = None
        device: str | None = None
        while not self.stream.accept(")"):
            if self.stream.peek() == "=":
                key = self.stream.take()
                self.stream.take("=")
                if key == "strides":
                    strides = self._strides()
                elif key == "requires_grad":
                    requires_grad = self.stream.take() == "1"
                else:
                    device = self._device()
            else:
                shape.append(self.dim())
            self.stream.accept(",")
        has_rank = bool(shape) or (ranked and dtype is not None)
        return TensorType(dtype, tuple(shape) if has_rank else None, strides, requires_grad, device)

    def _strides(self) -> tuple[int, ...]:
        self.stream.take("[")
        strides: list[int] = []
        while not self.stream.accept("]"):
            strides.append(int(self.stream.take()))
            self.stream.accept(",")
        return tuple(strides)

    def _device(self) -> str:
        device = self.stream.take()
        if self.stream.accept(":"):
            device += ":" + self.stream.take()
        return device

    def dim(self) -> Dim:
        """A sum of products of numbers, symbols and applications such as `floordiv(s0, 2)`."""
        total = self._product()
        while self.stream.accept("+"):
            total = total + self._product()
        return total

    def _product(self) -> Dim:
        value = self._atom()
        while self.stream.accept("*"):
            value = value * self._atom()
        return value

    def _atom(self) -> Dim:
        token = self.stream.take()
        if token == "*":
            return fresh("*")
        if token.lstrip("-").isdigit():
            return int(token)
        folds = {"floordiv": floordiv, "mod": modulo, "max": maximum, "min": minimum}
        if token in folds and self.stream.accept("("):
            left = self.dim()
            self.stream.take(",")
            right = self.dim()
            self.stream.take(")")
            return folds[token](left, right)
        return symbol(token)


def parse_type(text: str, named: Callable[[str], Type | None] | None = None) -> Type:
    """The type written in graph text. Raises ParseError."""
    stream = TokenStream(text)
    result = TypeParser(stream, named).parse()
    if stream.token:
        raise ParseError(f"unexpected {stream.token!r} after the type in: {text}")
    return result

"""Function schemas in torch's own text: `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import Any

from optc.dataclass import dataclass
from optc.errors import ParseError
from optc.ir.literals import float_text
from optc.ir.type_parser import TokenStream, TypeParser
from optc.ir.types import ListType, OptionalType, Type

_NAMED_DEFAULTS = {
    "None": None,
    "True": True,
    "False": False,
    "Mean": 1,
    "contiguous_format": 0,
    "strided": 0,
    "long": 4,
    "float": 6,
}


@dataclass(frozen=True)
class Argument:
    """One parameter (or return): type, default, and the alias set of torch's `Tensor(a!)` notation."""

    name: str
    type: Type
    has_default: bool = False
    default: Any = None
    keyword_only: bool = False
    alias: str = ""

    @property
    def is_written(self) -> bool:
        """True when the operator writes through this argument."""
        return "!" in self.alias

    def __str__(self) -> str:
        text = _with_alias(self.type, self.alias)
        if self.name:
            text += f" {self.name}"
        return text + (f"={_default_text(self.default)}" if self.has_default else "")


def _with_alias(type_: Type, alias: str) -> str:
    if not alias:
        return str(type_) if not isinstance(type_, ListType) or type_.size is None else f"{type_.element}[{type_.size}]"
    if isinstance(type_, OptionalType):
        return _with_alias(type_.element, alias) + "?"
    if isinstance(type_, ListType):
        return f"{type_.element}({alias})[]"
    return f"{type_}({alias})"


_ESCAPES = str.maketrans({"\n": "\\n", "\t": "\\t", "\f": "\\f", "\v": "\\v", '"': '\\"', "\\": "\\\\"})


def _default_text(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.translate(_ESCAPES) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(_default_text, value))}]"
    return float_text(value) if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class FunctionSchema:
    """Name (`aten::add`), overload (`Tensor`), arguments and returns."""

    name: str
    overload: str
    arguments: tuple[Argument, ...]
    returns: tuple[Argument, ...]
    is_variadic: bool = False

    @property
    def full_name(self) -> str:
        """`aten::add.Tensor`, or `aten::relu` for the nameless overload."""
        return f"{self.name}.{self.overload}" if self.overload else self.name

    @cached_property
    def is_mutable(self) -> bool:
        """True when some argument is written."""
        return any(argument.is_written for argument in self.arguments)

    @cached_property
    def positions(self) -> dict[str, int]:
        """Argument name to position."""
        return {argument.name: place for place, argument in enumerate(self.arguments)}

    def __str__(self) -> str:
        shown: list[str] = []
        keyword_only = False
        for argument in self.arguments:
            if argument.keyword_only and not keyword_only:
                keyword_only = True
                shown.append("*")
            shown.append(str(argument))
        if self.is_variadic:
            shown.append("...")
        returns = ", ".join(map(str, self.returns))
        if len(self.returns) != 1 or returns.startswith("("):
            returns = f"({returns})"
        return f"{self.full_name}({', '.join(shown)}) -> {returns}"


def parse_schema(text: str) -> FunctionSchema:
    """Parse torch's schema text. Raises ParseError."""
    head, separator, rest = text.partition("(")
    if not separator:
        raise ParseError(f"not a schema: {text}")
    name, _, overload = head.strip().partition(".")
    stream = TokenStream("(" + rest)
    arguments, variadic = _parse_arguments(stream)
    stream.take("->")
    returns = _parse_returns(stream)
    if stream.token:
        raise ParseError(f"unexpected {stream.token!r} after the schema: {text}")
    return FunctionSchema(name, overload, tuple(arguments), tuple(returns), variadic)


def _parse_arguments(stream: TokenStream) -> tuple[list[Argument], bool]:
    arguments: list[Argument] = []
    keyword_only = variadic = False
    stream.take("(")
    while not stream.accept(")"):
        if stream.token == "*" and stream.peek() in (",", ")"):
            stream.take("*")
            keyword_only = True
        elif stream.accept("..."):
            variadic = True
        else:
            arguments.append(_parse_argument(stream, keyword_only))
        if stream.token != ")":
            stream.take(",")
    return arguments, variadic


def _parse_argument(stream: TokenStream, keyword_only: bool) -> Argument:
    aliases: list[str] = []
    type_ = TypeParser(stream, note_alias=aliases.append).parse()
    name = stream.take()
    if not stream.accept("="):
        return Argument(name, type_, keyword_only=keyword_only, alias=aliases[0] if aliases else "")
    default = _parse_default(stream)
    return Argument(name, type_, True, default, keyword_only, aliases[0] if aliases else "")


def _parse_default(stream: TokenStream) -> Any:
    token = stream.take()
    if token == "[":
        items: list[Any] = []
        while not stream.accept("]"):
            items.append(_parse_default(stream))
            stream.accept(",")
        return items
    if token in _NAMED_DEFAULTS:
        return _NAMED_DEFAULTS[token]
    if token == "-":
        return -_parse_default(stream)
    return ast.literal_eval(token)


def _parse_returns(stream: TokenStream) -> list[Argument]:
    if stream.accept("..."):
        return []
    if stream.token != "(":
        return [_parse_return(stream)]
    returns: list[Argument] = []
    stream.take("(")
    while not stream.accept(")"):
        returns.append(_parse_return(stream))
        stream.accept(",")
    return returns


def _parse_return(stream: TokenStream) -> Argument:
    aliases: list[str] = []
    type_ = TypeParser(stream, note_alias=aliases.append).parse()
    name = stream.take() if stream.token and stream.token not in (",", ")") else ""
    return Argument(name, type_, alias=aliases[0] if aliases else "")

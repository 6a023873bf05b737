"""Script classes that `@dataclass` makes: what their methods say, compiled and in Python."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import Optional

import pytest

import optc
from optc import jit
from optc.errors import ScriptError
from optc.jit.frontend.data_classes import made_methods


@dataclass(order=True)
class Size:
    width: float
    height: float = 2.0
    note: Optional[int] = field(default=None, compare=False)  # noqa: UP045

    def area(self) -> float:
        return self.width * self.height


@dataclass
class Scaled:
    width: float
    factor: InitVar[int] = 3

    def __post_init__(self, factor: int):
        self.width = self.width * factor


@dataclass
class WithList:
    items: list[int] = field(default_factory=list)


def compared(a: float) -> tuple[bool, bool, bool]:
    return Size(a) == Size(a, 1.0, 5), Size(a) == Size(a, 2.0, 7), Scaled(a) == Scaled(a, 3)


def ordered(a: float, b: float) -> tuple[bool, bool, bool, bool]:
    p, q = Size(a), Size(b)
    return p < q, p <= q, p > q, p >= q


def made(a: float) -> tuple[float, float, float]:
    return Size(a).area(), Scaled(a).width, Scaled(a, 5).width


def with_list() -> list[int]:
    return WithList().items


@pytest.mark.parametrize(
    ("program", "arguments"), [(compared, (2.5,)), (ordered, (1.0, 2.0)), (ordered, (2.0, 2.0)), (made, (2.5,))]
)
def test_they_say_what_python_says(program, arguments) -> None:  # type: ignore[no-untyped-def]
    assert jit.script(program)(*arguments) == program(*arguments)
    assert optc.compile(jit.script(program), fallback="allow")(*arguments) == program(*arguments)


def test_their_text_is_the_one_that_pytorch_makes() -> None:
    assert "return 'Size(width=self.width, height=self.height, note=self.note)'" in made_methods(Size)["__repr__"].text


def test_a_default_that_is_made_anew_is_refused() -> None:
    with pytest.raises(ScriptError, match="Default factory initializers are not supported in TorchScript dataclasses"):
        jit.script(with_list)

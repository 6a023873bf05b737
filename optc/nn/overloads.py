"""Several signatures for one method: what scripting compiles, one copy of the method for each."""

from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def with_overloads(*signatures: Callable[..., Any]) -> Callable[[Method], Method]:
    """Give a method without annotations the signatures of other functions, whose bodies do not matter.

    The script frontend finds them in `__script_overloads__` and names the copies `forward__0`, `forward__1` ...
    """

    def attach(method: Method) -> Method:
        method.__script_overloads__ = signatures  # type: ignore[attr-defined]
        return method

    return attach

"""What the benchmarks' command lines take: counts, and names out of those that there are."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection

from bench.workloads import chosen


def count(text: str) -> int:
    """A number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def counts(text: str) -> list[int]:
    """Numbers above 0, separated by commas."""
    return [count(part) for part in text.split(",")]


def name_out_of(known: Collection[str]) -> Callable[[str], str]:
    """The reader of one of these names."""

    def name(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"there is no {text!r} (there are: {', '.join(known)})")
        return text

    return name


def names_out_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """The reader of such names, separated by commas."""
    name = name_out_of(known)
    return lambda text: [name(part) for part in text.split(",")]


def workload(text: str) -> str:
    """The name of a workload, or the start of several as `chosen` takes it."""
    try:
        chosen([text])
    except KeyError as error:
        raise argparse.ArgumentTypeError(error.args[0]) from None
    return text

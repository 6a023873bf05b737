"""What optc makes of PyTorch's samples: every call eager, compiled for its extents, and compiled with symbols for them.

`python -m tests.ops.opinfo_judge SAMPLES MODES DTYPES NAME ...` prints, for every name, a line of JSON when it begins and one
with the outcome. It is a process of its own so that whatever happens in it is an outcome (`tests/ops/opinfo.py`).
"""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import optc
from tests.ops.opinfo_samples import (
    ERRORS,
    SEED,
    Sample,
    comparable,
    copied,
    difference,
    error_samples,
    is_missing,
    option,
    plain,
    samples,
    second_size,
    to_mine,
)

REFUSALS = (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError)
"""What says that a call is not supported; other exceptions are crashes."""

MISSING = ("module 'optc", "optc has no operator", "'Tensor' object has no attribute")
"""How errors begin that say what is not there."""

BATCH = 16
"""How many calls share one compiled program, as long as all of them are equal."""

MODES = ("eager", "static", "dynamic")


@dataclass
class Outcome:
    """What happened to the samples of one operator and element type in one mode: counts, and a text about the first."""

    equal: int = 0
    refused: int = 0
    wrong: int = 0
    crash: int = 0
    fallbacks: list[str] = field(default_factory=list)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, verdict: str, text: str) -> None:
        setattr(self, verdict, getattr(self, verdict) + 1)
        if text:
            self.first.setdefault(verdict, text)


@dataclass
class Case:
    """A sample with what PyTorch gives for it, and whether that took random numbers."""

    sample: Sample
    tensors: list[torch.Tensor]
    expected: Any
    random: bool
    """PyTorch's results for tensors of other extents; None where it refuses them."""
    second: tuple[list[torch.Tensor], Any] | None = None
    """PyTorch's own trace of it fits no other extents, or its own result for these is not exact enough to compare with."""
    particular: bool = False

    def call(self, tensors: Sequence[Any]) -> Any:
        """optc's function on these tensors of optc."""
        arguments, keywords = self.sample.with_tensors(list(tensors))
        if self.sample.mine is None:
            raise NotImplementedError("optc has no such function")
        return self.sample.mine(*option(arguments), **option(keywords))


def judge(name: str, limit: int, modes: Sequence[str], dtypes: Sequence[str]) -> dict[str, dict[str, Outcome]]:
    """The outcome for every element type and mode, empty for types PyTorch has no samples of. At most `limit` samples of a type are tried, spread over all."""
    outcomes: dict[str, dict[str, Outcome]] = {}
    if is_missing(name):
        return {dtype: _outcome_of_nothing(name, dtype) for dtype in dtypes}
    for dtype in dtypes:
        outcomes[dtype] = {}
        if dtype == ERRORS:
            outcomes[dtype] = judge_errors(name)
            continue
        cases = list(_cases(name, dtype, limit))
        if cases:
            outcomes[dtype] = {mode: Outcome() for mode in (modes if dtype != "complex64" else MODES[:1])}
            _judge_cases(cases, outcomes[dtype])
    return outcomes


def _outcome_of_nothing(name: str, dtype: str) -> dict[str, Outcome]:
    """The outcome where optc has no such operator: refused, unless PyTorch has nothing to refuse."""
    expected = error_samples(name) if dtype == ERRORS else _cases(name, dtype, 1)
    return {mode: Outcome(refused=1) for mode in MODES} if next(iter(expected), None) is not None else {}


def _cases(name: str, dtype: str, limit: int) -> Iterator[Case]:
    found = list(samples(name, dtype))
    for sample in _spread(found, limit):
        case = _case(sample)
        if case is not None:
            yield case


def _case(sample: Sample) -> Case | None:
    """The sample with PyTorch's results; None where PyTorch has no such call."""
    tensors = [copied(tensor) for tensor in sample.tensors()]
    try:
        return Case(sample, tensors, *_run_peer(sample, tensors))
    except Exception:
        return None


def _spread(items: list[Any], limit: int) -> list[Any]:
    if len(items) <= limit:
        return items
    return [items[place * len(items) // limit] for place in range(limit)]


def _run_peer(sample: Sample, tensors: list[torch.Tensor]) -> tuple[Any, bool]:
    arguments, keywords = sample.with_tensors([copied(tensor) for tensor in tensors])
    torch.manual_seed(SEED)
    before = torch.get_rng_state()
    result = plain(sample.peer(*arguments, **keywords))
    return result, not torch.equal(before, torch.get_rng_state())


def _second(case: Case) -> tuple[list[torch.Tensor], Any] | None:
    if case.random or not case.tensors or any(tensor.layout is not torch.strided for tensor in case.tensors):
        return None
    tensors = [second_size(tensor) for tensor in case.tensors]
    if all(one.shape == two.shape for one, two in zip(tensors, case.tensors)):
        return None
    try:
        return tensors, _run_peer(case.sample, tensors)[0]
    except Exception:
        return None


# Errors ---------------------------------------------------------------------------------------------------------------


def judge_errors(name: str) -> dict[str, Outcome]:
    """Whether what PyTorch refuses is refused: "equal" by an exception of its class (what says something else is noted among
    the fallbacks), "refused" by another, "wrong" where there is a result.
    """
    outcome = Outcome()
    for sample in error_samples(name):
        tensors = [copied(tensor) for tensor in sample.tensors()]
        try:
            _run_peer(sample, tensors)
        except Exception as error:
            if not str(error).startswith(("descriptor", "'int' object")):  # a method of tensors, called with a number
                _judge_error(sample, tensors, error, outcome)
    return {"eager": outcome} if outcome != Outcome() else {}


def _judge_error(sample: Sample, tensors: list[torch.Tensor], expected: Exception, outcome: Outcome) -> None:
    kind = next(base for base in type(expected).__mro__ if base.__module__ == "builtins")
    try:
        result = _run_eager(Case(sample, tensors, None, False))
    except Exception as error:
        is_right = isinstance(error, kind)
        texts = [f"{type(one).__name__}: {(str(one).splitlines() or [''])[0]}" for one in (error, expected)]
        text = f"{sample.text()}: {' instead of '.join(texts)}"
        if is_right and texts[0].partition(":")[2] != texts[1].partition(":")[2]:
            outcome.fallbacks.append(text)
        crashed = not is_right and not isinstance(error, REFUSALS) and not str(error).startswith(MISSING)
        verdict = "equal" if is_right else "crash" if crashed else "refused"
        outcome.note(verdict, "" if is_right else text)
        return
    shown = str(plain(result)).splitlines()[0][:60]
    outcome.note("wrong", f"{sample.text()}: {shown} instead of {kind.__name__}: {str(expected).splitlines()[0]}")


# Verdicts -------------------------------------------------------------------------------------------------------------


def _judge_cases(cases: list[Case], outcomes: dict[str, Outcome]) -> None:
    compilable: list[Case] = []
    for case in cases:
        verdict, text = _verdict(lambda case=case: [_run_eager(case)], [case], [case.expected])
        outcomes["eager"].note(verdict, f"{case.sample.text()}: {text}" if text else "")
        if verdict == "equal" and _holds_tensors(case.expected):
            compilable.append(case)
    if len(outcomes) == 1:
        return
    for case in compilable:
        case.second = _second(case)
    singles = [[case] for case in compilable if case.random]
    others = [case for case in compilable if not case.random]
    for fits in (lambda case: case.second is None, lambda case: case.second is not None):
        chosen = [case for case in others if fits(case)]
        singles += [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
    for mode in [mode for mode in MODES[1:] if mode in outcomes]:
        for batch in singles:
            _judge_batch(batch, mode, outcomes[mode])


def _verdict(run: Callable[[], Any], cases: list[Case], expected: list[Any]) -> tuple[str, str]:
    """What a run of all cases comes to, and why; it gives a list of their results."""
    try:
        text = _first_difference(cases, run(), expected)
    except REFUSALS as refusal:
        return "refused", f"{type(refusal).__name__}: {str(refusal).splitlines()[0][:200] if str(refusal) else ''}"
    except Exception as crash:
        verdict = "refused" if str(crash).startswith(MISSING) else "crash"
        return verdict, f"{type(crash).__name__}: {crash}"
    return ("wrong", text) if text else ("equal", "")


def _first_difference(cases: list[Case], results: list[Any], expected: list[Any]) -> str:
    for case, result, other in zip(cases, results, expected):
        mine = plain(result)
        text = difference(mine, other)
        if text and not difference(_shapes(mine), _shapes(other)):
            text = difference(comparable(case.sample, mine), comparable(case.sample, other))
        if text:
            return text
    return ""


def _shapes(result: Any) -> Any:
    return (
        [_shapes(item) for item in result]
        if isinstance(result, list)
        else [str(getattr(result, "shape", type(result)))]
    )


def _run_eager(case: Case) -> Any:
    given = [to_mine(tensor) for tensor in case.tensors]
    optc.manual_seed(SEED)
    return case.call(given)


def _holds_tensors(result: Any) -> bool:
    """True for what a traced function can return."""
    if isinstance(result, list):
        return bool(result) and all(map(_holds_tensors, result))
    return isinstance(result, np.ndarray)


def _judge_batch(batch: list[Case], mode: str, outcome: Outcome) -> None:
    """All in one program; where that is not equal, every one in a program of its own."""
    fallbacks: list[str] = []
    verdict, text = _judge_program(batch, mode, fallbacks)
    if verdict == "equal":
        outcome.equal += len(batch)
        outcome.fallbacks = sorted({*outcome.fallbacks, *fallbacks})
    elif len(batch) > 1:
        _judge_apart(batch, mode, outcome, verdict, text)
    else:
        outcome.note(verdict, f"{batch[0].sample.text()}: {text}" if text else "")
        outcome.fallbacks = sorted({*outcome.fallbacks, *fallbacks})


def _judge_apart(batch: list[Case], mode: str, outcome: Outcome, verdict: str, text: str) -> None:
    """Every call in a program of its own. Where all of these are equal, what is not is their being together."""
    before = outcome.equal
    for case in batch:
        _judge_batch([case], mode, outcome)
    rest = [case for case in batch if not case.particular]
    if outcome.equal - before < len(batch) or len(rest) < 2:
        return
    if len(rest) < len(batch):
        verdict, text = _judge_program(rest, mode, [])
        if verdict == "equal":
            return
    outcome.note(verdict, f"{len(rest)} calls in one program, all equal alone: {text}")


def _judge_program(batch: list[Case], mode: str, fallbacks: list[str]) -> tuple[str, str]:
    counts = [len(case.tensors) for case in batch]

    def program(*tensors: Any) -> list[Any]:
        rest = iter(tensors)
        return [case.call([next(rest) for _ in range(count)]) for case, count in zip(batch, counts)]

    def given(second: bool = False) -> tuple[Any, ...]:
        chosen = (case.second[0] if second and case.second else case.tensors for case in batch)
        return tuple(to_mine(tensor) for tensors in chosen for tensor in tensors)

    compiled: list[Any] = []

    def run() -> Any:
        optc.manual_seed(SEED)
        compiled.append(optc.compile(program, given(), dynamic=mode == "dynamic", fallback="allow", cache=False))
        optc.manual_seed(SEED)
        return compiled[0](*given())

    verdict = _verdict(run, batch, [case.expected for case in batch])
    if compiled:
        fallbacks += [f"{item.operator}: {item.reason}" for item in compiled[0].fallbacks]
    if verdict[0] != "equal" or mode == "static" or batch[0].second is None:
        return verdict
    expected = [case.second[1] for case in batch if case.second is not None]
    results: list[Any] = []
    verdict = _verdict(lambda: results.append(compiled[0](*given(second=True))) or results[0], batch, expected)
    if verdict[0] != "equal" and len(batch) == 1:
        batch[0].particular = _is_as_exact(batch[0], results) or not _trace_generalises(batch[0])
    if verdict[0] == "equal" or batch[0].particular:
        return "equal", ""
    return verdict[0], f"second size {[list(tensor.shape) for tensor in batch[0].second[0]]}: {verdict[1]}"


def _is_as_exact(case: Case, results: list[Any]) -> bool:
    """True where results are no further from those of doubles than PyTorch's are: numbers made up for other extents may be
    ill-conditioned, which PyTorch's samples are not.
    """
    if not results or case.second is None:
        return False
    wide = [tensor.double() if tensor.is_floating_point() else tensor for tensor in case.second[0]]
    try:
        exact = _run_peer(case.sample, wide)[0]
    except Exception:
        return False
    mine, other = (list(_arrays(one)) for one in (plain(results[0][0]), case.second[1]))
    return len(mine) == len(other) and all(
        _error(one, truth) <= 4 * _error(two, truth) for one, two, truth in zip(mine, other, _arrays(exact))
    )


def _arrays(result: Any) -> Iterator[Any]:
    if isinstance(result, list):
        for item in result:
            yield from _arrays(item)
    else:
        yield np.asarray(result)


def _error(result: Any, exact: Any) -> float:
    """The greatest difference; infinite where there is nothing to compare."""
    if result.shape != exact.shape or result.dtype.kind not in "fc":
        return 0.0 if result.shape == exact.shape and np.array_equal(result, exact) else np.inf
    with np.errstate(all="ignore"):
        distance = np.abs(result.astype(exact.dtype) - exact)
    return float(np.max(distance, initial=0.0)) if np.isfinite(distance).all() else np.inf


def _trace_generalises(case: Case) -> bool:
    """False where PyTorch's own trace is as particular to the first extents as ours may be."""
    assert case.second is not None

    def program(*tensors: torch.Tensor) -> Any:
        arguments, keywords = case.sample.with_tensors(list(tensors))
        return case.sample.peer(*arguments, **keywords)

    try:
        traced = torch.jit.trace(program, tuple(map(copied, case.tensors)), check_trace=False)
        return not _first_difference([case], [traced(*map(copied, case.second[0]))], [case.second[1]])
    except Exception:
        return False


def main(arguments: list[str]) -> None:
    """Judge the operators named after the limit."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    optc.set_num_threads(1)
    torch.set_grad_enabled(False)
    np.seterr(all="ignore")
    limit, modes, dtypes = int(arguments[0]), arguments[1].split(","), arguments[2].split(",")
    for name in arguments[3:]:
        print(json.dumps({"name": name}), flush=True)
        found = judge(name, limit, modes, dtypes)
        outcomes = {
            dtype: {mode: dataclasses.asdict(made) for mode, made in modes.items()} for dtype, modes in found.items()
        }
        print(json.dumps({"name": name, "outcomes": outcomes}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Programs as optc compiled them when the baseline was taken: LLVM text, constants and signature in a packed file.

They are the reference of the regression check. A frozen program has exactly the character of what it is compared with,
so the ratio of the two is 1 on every machine and in every mood of it, until the code generated changes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.counts import TARGETS
from bench.workloads import Workload
from optc.codegen.entry.signature import (
    Constant,
    EntryPoint,
    Hidden,
    InputSpec,
    JoinedLists,
    NamedItems,
    OutputSpec,
    OutputTree,
    Passthrough,
    Signature,
    Wrapper,
    make_entry,
)
from optc.codegen.machine import jit
from optc.codegen.machine.host import Target
from optc.codegen.native_program import NativeProgram
from optc.codegen.process.constant_memory import constant_zeros
from optc.codegen.process.context import FIELDS
from optc.codegen.process.context_code import RUN_PARAMETERS
from optc.codegen.program import generate
from optc.ir.graph import Graph
from optc.runtime.specialization import WRAPPED_CLASS, WRAPPED_SLOTS

FOLDER = Path(__file__).parent / "baseline"

EXACT_BYTES = 1 << 13
"""Larger constants are weights: any values do for timing, so only their shape is kept."""


class StaleBaseline(Exception):
    """The frozen programs cannot be run by this version of optc: a new baseline has to be taken."""


def convention() -> str:
    """What a frozen program relies on: the layout of the context and the parameters of `run`."""
    facts = repr((sorted(FIELDS.items()), RUN_PARAMETERS))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def host_target_name() -> str | None:
    """Which of the frozen targets suits this machine: the same vectors; None for other machines."""
    host = jit.host_target()
    for name, target in TARGETS.items():
        if _character(target) == _character(host):
            return name
    return None


def _character(target: Target) -> tuple[object, ...]:
    return target.is_x86, target.vector_bytes, target.masks, target.fma


def path_of(workload: Workload, target: str) -> Path:
    """The file of a frozen program."""
    return FOLDER / f"{workload.name}.{target}.json.gz"


def freeze(workload: Workload, target: str, graph: Graph, signature: Signature) -> None:
    """Write the program that optc generates now. `signature` is that of the entry users call."""
    program = generate(graph, TARGETS[target], "frozen")
    stored = {
        "convention": convention(),
        "symbol": program.symbol,
        "arena_bytes": program.arena_bytes,
        "operations": program.operations if isinstance(program.operations, int) else 0,
        "inputs": [[spec.kind, spec.dtype, list(spec.dims)] for spec in signature.inputs],
        "outputs": _tree_to_json(signature.outputs),
        "constants": [_array_to_json(array) for array in program.constants],
        "texts": {name: text.splitlines() for name, text in program.texts.items()},
    }
    FOLDER.mkdir(exist_ok=True)
    path_of(workload, target).write_bytes(gzip.compress(json.dumps(stored).encode(), mtime=0))


def _stored(workload: Workload, target: str) -> dict[str, Any]:
    """What the file of a frozen program says. Raises StaleBaseline when there is none."""
    path = path_of(workload, target)
    if not path.exists():
        raise StaleBaseline(f"{path.name} is missing")
    stored: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return stored


def thaw(workload: Workload, target: str) -> Callable[..., object]:
    """A callable of the frozen program, with the entry that users of the present one get; a call takes one thread.

    Raises StaleBaseline.
    """
    stored = _stored(workload, target)
    if stored["convention"] != convention():
        raise StaleBaseline(f"{path_of(workload, target).name} was made for another calling convention")
    inputs = tuple(InputSpec(kind, dtype, tuple(dims)) for kind, dtype, dims in stored["inputs"])
    signature = Signature(inputs, _tree_from_json(stored["outputs"]))
    constants = [_array_from_json(item) for item in stored["constants"]]
    texts = {name: "\n".join(lines) for name, lines in stored["texts"].items()}
    program = NativeProgram(
        Graph(), jit.host_target(), signature, stored["symbol"], texts, [], constants, stored["arena_bytes"],
        operations=stored["operations"],
    )  # fmt: skip
    program.load()
    point = EntryPoint(
        run=program.run, owner=program, signature=signature, contexts=program.contexts(threads=1), slow_path=_refuse,
        on_failure=_refuse, wrapper=Wrapper(WRAPPED_CLASS, "_array", WRAPPED_SLOTS), default_family="wrapped",
        name=workload.name,
    )  # fmt: skip
    # Called as a compiled program is: through its class.
    called: Callable[..., object] = type("FrozenProgram", (), {"__call__": make_entry(point)})()
    return called


def _refuse(*arguments: object, **keywords: object) -> object:
    raise StaleBaseline("a frozen program does not take these arguments")


def texts_of(workload: Workload, target: str) -> list[str]:
    """The LLVM modules of a frozen program."""
    stored = _stored(workload, target)
    return ["\n".join(lines) for lines in stored["texts"].values()]


def _array_to_json(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"dtype": array.dtype.name, "shape": list(array.shape)}
    if array.nbytes <= EXACT_BYTES or array.dtype.kind != "f":
        described["data"] = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return described


def _array_from_json(described: dict[str, Any]) -> np.ndarray[Any, Any]:
    dtype, shape = np.dtype(described["dtype"]), tuple(described["shape"])
    array = constant_zeros(math.prod(shape), dtype).reshape(shape)
    if "data" in described:
        array[...] = np.frombuffer(base64.b64decode(described["data"]), dtype).reshape(shape)
    else:
        array[...] = np.random.default_rng(0).standard_normal(shape) * 0.03
    return array


def _tree_to_json(tree: OutputTree) -> Any:
    if isinstance(tree, OutputSpec):
        return {"computed": [tree.kind, tree.dtype, list(tree.dims)]}
    if isinstance(tree, Passthrough):
        return {"argument": tree.index}
    if isinstance(tree, Constant):
        return {"constant": tree.value}
    if isinstance(tree, dict | NamedItems | Hidden | JoinedLists):
        raise TypeError("frozen programs give tuples and lists")
    branches = [_tree_to_json(branch) for branch in tree]
    return {"tuple": branches} if isinstance(tree, tuple) else branches


def _tree_from_json(stored: Any) -> OutputTree:
    if isinstance(stored, list):
        return [_tree_from_json(branch) for branch in stored]
    if "computed" in stored:
        kind, dtype, dims = stored["computed"]
        return OutputSpec(kind, dtype, tuple(dims))
    if "argument" in stored:
        return Passthrough(stored["argument"])
    if "constant" in stored:
        return Constant(stored["constant"])
    return tuple(_tree_from_json(branch) for branch in stored["tuple"])

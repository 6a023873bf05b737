"""`optc.compile`'s result: a callable that compiles itself for the arguments it meets.

The object's class has the native entry of the last specialisation as its `__call__`, so a fitting call goes straight
into machine code. Everything else lands in `CompiledFunction._dispatch`, which finds or makes the right
specialisation, or lets the interpreter run what has no native form (never silently).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from optc import config, interpreter
from optc.eager.dispatch import concerns_tensors
from optc.eager.settings import get_default_dtype
from optc.errors import InvalidIR, OptcError, OptcWarning
from optc.ir.function import Function, ScriptObject
from optc.ir.graph import Graph
from optc.ir.optimized import OptimizedProgram
from optc.ir.origins import tracking
from optc.ir.schema import FunctionSchema
from optc.jit.arguments import bind_arguments
from optc.jit.module import to_python
from optc.locks import ForkLock
from optc.messages import callers_level
from optc.ops.registry import Interpreted, lookup
from optc.runtime.collector import collector_paused
from optc.runtime.forms import FormHistory
from optc.runtime.islands import second_run
from optc.runtime.program_key import ProgramKey, program_key, written_key
from optc.runtime.shapes import FREEDOMS, PINNINGS, Dynamic, ShapeHistory, Wanted
from optc.runtime.sharing import is_apart, overlaps, sharing_of
from optc.runtime.specialization import (
    WRAPPED_CLASS,
    WRAPPED_SLOTS,
    Fallback,
    Specialization,
    extents_of,
    in_rows,
    show,
)
from optc.runtime.state import RunFailed, run_program, settle
from optc.runtime.values import from_tensor, kind_of, map_structure, signature_key, tensors_of, type_of

if TYPE_CHECKING:
    from optc.codegen.native_program import NativeProgram
    from optc.pipeline import Instrument, PassRecord
    from optc.runtime.native import Caller
    from optc.runtime.profile import Profile

SPECIALIZATION_LIMIT = 64
"""After so many versions of one program, dimensions that still change are made symbols at once, and the oldest
version makes room for the next."""


OVERLAPPING = "it writes to a tensor that shares memory with another one of the call"

SHOWN_FALLBACKS = 8
"""A message names so many parts that Python runs: those behind them mostly follow from them."""


class CompiledFunction:
    """A compiled function or module. Instances are made by `optc.compile`; see there for the arguments.

    `graph`, `passes`, `kernels`, `llvm` and `assembly` belong to the specialisation used last. A compiled module has the
    other methods of the module, compiled when they are first asked for, and its attributes, to read.
    """

    def __init__(self, function: Function, receiver: ScriptObject | None, *, dynamic: Dynamic, fallback: str,
                 cache: bool = True, name: str = "", threads: int = 0, default_kind: str = "optc") -> None:  # fmt: skip
        self._function = function
        self._receiver = receiver
        self._fallback = fallback
        self._cache = cache
        self._threads = threads
        self._default_kind = default_kind
        self._histories: dict[Any, ShapeHistory] = {}
        self._forms = FormHistory()
        self._dynamic = dynamic
        self._lock = ForkLock()
        self._current: Specialization | None = None
        self.specializations: list[Specialization] = []
        self.__name__ = name or function.base_name
        self.__wrapped__: Callable[..., Any]
        """The Python function it was made of, where it was one: its signature is shown."""
        self._member: Callable[[str], Any] | None = None

    def __getattr__(self, name: str) -> Any:
        member = self.__dict__.get("_member")
        if member is None or name.startswith("__"):
            raise AttributeError(f"'CompiledFunction' object has no attribute '{name}'")
        found = member(name)
        if isinstance(found, CompiledFunction):
            return self.__dict__.setdefault(name, found)
        return found

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{self.__name__} is compiled code of this process, which cannot be copied or pickled: copy the module or "
            "function, and compile it again (code that is on disk is not made a second time)"
        )

    # Calls ---------------------------------------------------------------------------------------------------------

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._dispatch(*arguments, **keywords)

    def _dispatch(self, *arguments: Any, **keywords: Any) -> Any:
        """The slow path: any arguments the function takes. Raises what the interpreter raises."""
        kind = kind_of(arguments, keywords, self._default_kind)
        values = self._bind(*tensors_of(arguments, keywords))
        before = self._current
        specialization = self._find(values)
        if specialization.entry is not None and specialization is not before:
            # What does not fit the entry after all comes back here, where this version is no other one then.
            accept(kind)
            return specialization.entry(*arguments, **keywords)
        result = self._run(specialization, values)
        if specialization.entry is not None:
            accept(kind)
        return map_structure(from_tensor(kind), to_python(result, self._function.result_type))

    def prepare(self, *arguments: Any, **keywords: Any) -> None:
        """Compile for these arguments without running."""
        self._find(self._bind(*tensors_of(arguments, keywords)))

    def _bind(self, arguments: Sequence[Any], keywords: dict[str, Any]) -> list[Any]:
        bound = bind_arguments(self._function.schema, arguments, keywords, self._receiver)
        return bound if self._receiver is None else bound[1:]

    def _schema(self) -> FunctionSchema:
        """The function's as callers see it: without self."""
        schema = self._function.schema
        hidden = 0 if self._receiver is None else 1
        return FunctionSchema(schema.name, "", schema.arguments[hidden:], schema.returns)

    def _find(self, values: list[Any]) -> Specialization:
        found = self._fitting(values)
        if found is None:
            with self._lock, collector_paused():
                # Another thread may have made it while this one waited for the lock.
                found = self._fitting(values) or self._specialize(values)
        self._select(found)
        return found

    def _fitting(self, values: list[Any]) -> Specialization | None:
        return next((made for made in self.specializations if made.accepts(values)), None)

    def _select(self, specialization: Specialization) -> None:
        """Make a specialisation the one that calls go to first."""
        if specialization is self._current:
            return
        self._current = specialization
        if specialization.entry is not None:
            type(self).__call__ = specialization.entry  # type: ignore[method-assign]

    def _run(self, specialization: Specialization, values: list[Any]) -> Any:
        if specialization.checked is None or specialization.program is None:
            return self._interpret(values)
        if specialization.follows_memory and not in_rows(values):
            return self._interpret(values)
        try:
            return run_program(specialization.program, specialization.checked, values)
        except RunFailed as failed:
            return self._on_failure(failed.failure, tuple(values))

    def _interpret(self, values: Sequence[Any]) -> Any:
        receiver = [] if self._receiver is None else [self._receiver]
        return interpreter.run(self._function, [*receiver, *values])

    # Compilation -----------------------------------------------------------------------------------------------------

    def _specialize(self, values: list[Any]) -> Specialization:
        key = tuple(map(signature_key, values))
        history = self._histories.setdefault(key, ShapeHistory(self._dynamic, len(values)))
        exact = history.with_flags([type_of(value) for value in (*values, *history.present_state())], values)
        history.observe(exact)
        history.observe_numbers(values)
        if len(self.specializations) >= SPECIALIZATION_LIMIT and history.dynamic is None:
            history.dynamic = True
        specialization = self._compile_best(values, exact, history)
        if specialization.always_fails:
            history.forget(exact)
        if specialization.fallbacks:
            self._report(specialization)
        if len(self.specializations) >= SPECIALIZATION_LIMIT:
            self.specializations.pop(0)
        self.specializations.append(specialization)
        if specialization.program is not None:
            self._forms.observe(specialization.program.kept)
        return specialization

    def _compile_best(self, values: list[Any], exact: list[Any], history: ShapeHistory) -> Specialization:
        """The most general version that is native, or has the least that is not; for these very extents when none is.

        A call that fails whatever its tensors hold gets a version that says no more than that.
        """
        tried: list[str] = []
        partial: list[tuple[int, Specialization]] = []
        for freedom in (freedom for freedom in FREEDOMS if freedom <= history.freedom):
            for pinning in PINNINGS[PINNINGS.index(history.pinning) :]:
                types = history.symbolic(history.pinned(exact, values, pinning), freedom)
                shown = show([*types.arguments, *(type_ for _, type_ in types.state)])
                if shown in tried:
                    continue
                tried.append(shown)
                specialization = self._compile(values, types)
                history.remember(specialization.held)
                exact = exact + [type_of(held) for held in history.present_state()[len(exact) - len(values) :]]
                if specialization.is_overlapping or specialization.always_fails:
                    return specialization
                if specialization.native is None:
                    continue
                partial.append((freedom, specialization))
                if all(map(is_inherent, specialization.fallbacks)):
                    history.freedom, history.pinning = freedom, pinning
                    return specialization
        if not partial:
            return specialization
        history.freedom, best = min(partial, key=lambda made: len(made[1].fallbacks))
        return best

    def _compile(self, values: list[Any], types: Wanted) -> Specialization:
        """A version for these types; where it matters, for which of the tensors are one object, or share memory."""
        sharing = sharing_of(values)
        specialization = self._compile_for(values, types, tuple(range(len(sharing))))
        if not specialization.depends_on_sharing:
            return specialization
        if not is_apart(sharing):
            specialization = self._compile_for(values, types, sharing)
        assert specialization.program is not None
        if overlaps(specialization.program, values):
            specialization.is_overlapping, specialization.native, specialization.entry = True, None, None
            specialization.checked = None
            specialization.fallbacks = [Fallback(self._function.name, OVERLAPPING, "")]
        return specialization

    def _compile_for(self, values: list[Any], wanted: Wanted, sharing: tuple[int, ...]) -> Specialization:
        types, state = wanted.arguments, wanted.state
        others = tuple(value if type_ is None else None for value, type_ in zip(values, types))
        present = [slot.present for slot, _ in state]
        extents = extents_of([*values, *present], [*types, *(type_ for _, type_ in state)])
        specialization = Specialization(types, others, extents, sharing=sharing, open_state=state,
                                        whole=self._forms.uncounted)  # fmt: skip
        keys: list[ProgramKey] = []
        for key in self._plan_keys(specialization):
            if self._restore(specialization, key):
                return specialization
            keys.append(key)
        with tracking() as origins:
            self._compile_or_interpret(specialization, values)
        if keys and specialization.native is not None:
            from optc.runtime import plan

            for key in keys:
                plan.store(key, specialization, origins)
        return specialization

    def _plan_keys(self, specialization: Specialization) -> Iterator[ProgramKey]:
        """Under which names the disk cache may have the plan of this version; none where plans are not used.

        The function is compiled to its captured graph only when nothing is found by its text. Raises ScriptError and
        ArchiveError.
        """
        if not (self._cache and config.CACHE()) or config.watches_passes():
            return
        from optc.codegen.machine import jit

        options = (jit.sources(), jit.processor() or str(jit.host_target()), config.PASSES(), str(get_default_dtype()),
                   str(specialization.sharing), str([f"{slot.path}: {show(type_)}" for slot, type_ in specialization.open_state]),
                   str([name for _, name in specialization.whole]),
                   self.__name__, np.__version__)  # fmt: skip
        program = (self._function, self._receiver, specialization.types, specialization.others, *options)
        by_text = written_key(*program)
        if by_text is not None:
            yield by_text
        self._function.ensure_defined()
        by_graph = program_key(*program, known=by_text)
        if by_graph is not None:
            yield by_graph

    def _restore(self, specialization: Specialization, key: ProgramKey) -> bool:
        """Take a version from the disk cache; False when it is not there."""
        started = time.perf_counter()
        if key.is_new():
            return False
        from optc.runtime import plan

        native = plan.restore(key, specialization, lambda: self._whole(specialization))
        if native is None:
            return False
        self._connect(specialization, native)
        specialization.seconds["restore"] = time.perf_counter() - started
        return True

    def _whole(self, specialization: Specialization) -> tuple[OptimizedProgram, NativeProgram]:
        """What a plan leaves out: passes and code generation again, for those who look at graphs and kernels."""
        from optc.runtime.native import generate_with_islands

        program = self._optimized(specialization)
        settle(program)
        assert program.graph is not None
        native = generate_with_islands(program.graph, self.__name__)
        assert not isinstance(native, Fallback)
        return program, native

    def _optimized(self, specialization: Specialization, watching: Sequence[Instrument] = ()) -> OptimizedProgram:
        from optc.passes.pipelines import optimize

        return optimize(
            self._function,
            self._receiver,
            specialization.types,
            sharing=specialization.sharing,
            open_state=specialization.open_state,
            whole=specialization.whole,
            instruments=watching,
        )

    def _compile_or_interpret(self, specialization: Specialization, values: list[Any]) -> None:
        """A mistake of optc's own compiler costs speed, visibly; it does not cost the user the result."""
        try:
            self._compile_anew(specialization, values)
        except Exception as error:
            is_mistake = not isinstance(error, OptcError | MemoryError) or isinstance(error, InvalidIR)
            if not is_mistake or self._fallback == "error" or config.watches_passes():
                raise
            specialization.native = None
            reason = f"optc failed to compile it, please report this: {type(error).__name__}: {error}"
            specialization.fallbacks = [Fallback(self._function.name, reason, "")]

    def _compile_anew(self, specialization: Specialization, values: list[Any]) -> None:
        started = time.perf_counter()
        program = self._optimized(specialization, comparing(values) if config.COMPARE() else [])
        specialization.seconds["passes"] = time.perf_counter() - started
        specialization.program = program
        for island in program.islands:
            if not island.is_partial or program.graph is None:
                operator = island.node.kind if island.node is not None else self._function.name
                specialization.fallbacks.append(Fallback(operator, island.reason, str(island.source or "")))
        if not specialization.fallbacks and not specialization.always_fails:
            self._generate(specialization)

    def _generate(self, specialization: Specialization) -> None:
        # llvmlite takes a while to load: only programs that are compiled pay for it.
        from optc.runtime.native import build

        build(specialization, self._caller(), self._cache)

    def _connect(self, specialization: Specialization, native: NativeProgram) -> None:
        from optc.runtime.native import connect

        connect(specialization, native, self._caller())

    def _caller(self) -> Caller:
        from optc.runtime.native import Caller

        wrapped = (WRAPPED_CLASS, WRAPPED_SLOTS)
        return Caller(self._on_failure, self._slow_entry, self._schema(), self.__name__, wrapped, self._threads,
                      self._default_kind)  # fmt: skip

    def _slow_entry(self, *arguments: Any, **keywords: Any) -> Any:
        return self._dispatch(*arguments, **keywords)

    def _on_failure(self, failure: Any, arguments: tuple[Any, ...]) -> Any:
        """What happens when native code says that the program raises: the interpreter raises the exact error."""
        kind = kind_of(arguments, {}, self._default_kind)
        given = self._bind(*tensors_of(arguments, {}))
        with second_run(failure.shown):
            result = self._interpret(given)
        warnings.warn(
            f"{self.__name__}: native code failed (code {failure.code}) where the interpreter does not; its result is "
            "used. This is a bug in optc.",
            OptcWarning,
            stacklevel=callers_level(),
        )
        return map_structure(from_tensor(kind), to_python(result, self._function.result_type))

    def _report(self, specialization: Specialization) -> None:
        first, rest = specialization.fallbacks[:SHOWN_FALLBACKS], len(specialization.fallbacks) - SHOWN_FALLBACKS
        text = "; ".join(map(str, first)) + (f"; and {rest} more, which `fallbacks` lists" if rest > 0 else "")
        if self._fallback == "error":
            raise OptcError(f"{self.__name__} cannot be compiled whole for {specialization}: {text}")
        if self._fallback == "warn":
            what = "runs in the interpreter" if specialization.native is None else "leaves parts to the interpreter"
            warnings.warn(f"{self.__name__} {what}: {text}", OptcWarning, stacklevel=callers_level())

    # What there is to see --------------------------------------------------------------------------------------------

    @property
    def _shown(self) -> Specialization:
        if self._current is None:
            raise OptcError(f"{self.__name__} has not been compiled yet: call it, or give example_inputs")
        return self._current

    @property
    def graph(self) -> Graph:
        """The optimised graph."""
        graph = self._shown.graph
        if graph is None:
            raise OptcError(f"{self.__name__} has no optimised graph: {'; '.join(map(str, self.fallbacks))}")
        return graph

    @property
    def passes(self) -> list[PassRecord]:
        """What every pass did: name, changed, seconds, graph text."""
        return self._shown.passes

    @property
    def fallbacks(self) -> list[Fallback]:
        """What the interpreter runs, and why; empty when all of it is native."""
        return self._shown.fallbacks

    @property
    def kernels(self) -> list[Any]:
        """The kernels in order of their calls."""
        native = self._shown.native
        return [] if native is None else list(native.kernels)

    def profile(self, *arguments: Any, **keywords: Any) -> Profile:
        """Where the time of a call with these arguments goes: every kernel with its time, its work and the share of this
        machine's limits that it reaches. The program's state stays as it is.

        Raises OptcError when the program fails for these arguments.
        """
        from optc.runtime.profile import profile_call  # brings llvmlite

        values = self._bind(*tensors_of(arguments, keywords))
        return profile_call(self, self._find(values), values, lambda: self(*arguments, **keywords))

    @property
    def llvm(self) -> str:
        """The LLVM modules as text."""
        native = self._shown.native
        return "" if native is None else str(native.llvm)

    @property
    def assembly(self) -> str:
        """The machine code as text."""
        native = self._shown.native
        return "" if native is None else str(native.assembly)

    def __repr__(self) -> str:
        versions = "".join(f"\n  {specialization}" for specialization in self.specializations)
        return f"<optc.compile({self.__name__}), {len(self.specializations)} specialisations>{versions}"


def accept(kind: str) -> None:
    """Let native entries take the tensors that a call has."""
    if kind == "torch":
        from optc.runtime.native import accept_torch

        accept_torch()


def is_inherent(fallback: Fallback) -> bool:
    """True where the interpreter runs the operator whatever is known of its arguments, so that knowing more is no help.

    Operators on text, lists and dictionaries are computed beforehand where their arguments are known.
    """
    operator = lookup(fallback.operator)
    return operator is not None and isinstance(operator.lowering, Interpreted) and concerns_tensors(operator)


def comparing(values: list[Any]) -> list[Instrument]:
    """What holds the results after every pass against those of the captured program."""
    from optc.instruments import Compare

    return [Compare(values)]


def make_compiled(function: Function, receiver: ScriptObject | None, **options: Any) -> CompiledFunction:
    """A compiled function with a class of its own, so that the native entry can be its `__call__`."""
    own_class = type("CompiledFunction", (CompiledFunction,), {"__doc__": CompiledFunction.__doc__})
    made: CompiledFunction = own_class(function, receiver, **options)
    return made

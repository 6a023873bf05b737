"""What `optc.compile` promises about calls: kinds of arguments, specialisations, state, failures, threads."""

from __future__ import annotations

import copy
import re
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import optc as torch
from optc.errors import ExecutionError, OptcError, OptcWarning


class Scale(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x, factor: float = 2.0):  # type: ignore[no-untyped-def]
        return self.linear(x) * factor


class Counter(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.register_buffer("total", torch.zeros(2))

    def forward(self, x):  # type: ignore[no-untyped-def]
        self.count += 1
        self.total += x
        return self.total * 1.0


@torch.jit.script
def nested(pair: tuple[torch.Tensor, torch.Tensor], items: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"sum": pair[0] + pair[1], "first": items[0] * 2}


@torch.jit.script
def positive(x):  # type: ignore[no-untyped-def]
    assert bool((x > 0).all()), "x must be positive"
    return torch.log(x)


@pytest.fixture
def compiled() -> Any:
    return torch.compile(torch.jit.script(Scale()), fallback="error")


class Named(torch.nn.Module):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return {"twice": x * 2}, [x, x + 1]


def test_a_module_that_is_traced_may_give_dictionaries_and_lists() -> None:
    fast = torch.compile(Named(), (torch.ones(2),), fallback="error")
    found, parts = fast(torch.full((3,), 2.0))
    assert found["twice"].tolist() == [4, 4, 4] and parts[1].tolist() == [3, 3, 3]


def test_a_class_is_no_program() -> None:
    with pytest.raises(TypeError, match=r"not a class: make a module of it \(Scale\(...\)\) first"):
        torch.compile(Scale)


def test_what_goes_in_comes_out(compiled: Any) -> None:
    x = torch.rand(2, 4)
    assert type(compiled(x)) is torch.Tensor
    assert type(compiled(x.numpy())) is np.ndarray


def test_defaults_and_keywords(compiled: Any) -> None:
    x = torch.rand(2, 4)
    assert torch.equal(compiled(x), compiled(x, 2.0))
    assert torch.equal(compiled(x=x, factor=2.0), compiled(x, factor=2.0))


def test_specialisations_say_in_a_line_what_they_are_for(compiled: Any) -> None:
    compiled(torch.rand(2, 4))
    assert repr(compiled.specializations) == "[<Specialization (Float(2, 4), float)>]"


def test_results_are_fresh(compiled: Any) -> None:
    x = torch.rand(2, 4)
    first = compiled(x)
    kept = first.clone()
    second = compiled(x)
    second.add_(100.0)
    assert torch.equal(first, kept) and torch.equal(compiled(x), kept)


@pytest.mark.parametrize("make", [
    lambda a: a[:, ::2],
    lambda a: np.asfortranarray(a[:, :4]),
    lambda a: np.frombuffer(b"\0" + a[:, :4].tobytes(), np.uint8)[1:].view(np.float32).reshape(-1, 4),
])  # fmt: skip
def test_arrays_of_any_layout_are_taken(compiled: Any, make: Any) -> None:
    array = make(np.random.default_rng(0).random((3, 8), np.float32))
    np.testing.assert_allclose(compiled(array), compiled(np.ascontiguousarray(array).copy()), rtol=1e-6)


def test_a_second_extent_makes_a_symbol(compiled: Any) -> None:
    for rows in (5, 7, 9, 0, 300):
        assert compiled(torch.rand(rows, 4)).shape == (rows, 3)
    assert len(compiled.specializations) == 2
    compiled(torch.rand(1, 4))
    assert len(compiled.specializations) == 3


def test_dynamic_true_starts_with_symbols() -> None:
    fast = torch.compile(torch.jit.script(Scale()), dynamic=True)
    for rows in (5, 7, 9):
        fast(torch.rand(rows, 4))
    assert len(fast.specializations) == 1


def test_state_is_written_back() -> None:
    module = torch.jit.script(Counter())
    fast = torch.compile(module, fallback="error")
    fast(torch.ones(2))
    assert torch.equal(fast(torch.ones(2)), torch.full((2,), 2.0))
    assert module.count == 2 and torch.equal(module.total, torch.full((2,), 2.0))


class Tracker(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, x):  # type: ignore[no-untyped-def]
        self.mean.data.mul_(0.5).add_(x)
        y = x.data
        y += 1
        return self.mean * 1.0


def test_data_is_the_memory_of_its_tensor() -> None:
    module = torch.jit.script(Tracker())
    fast = torch.compile(module, fallback="error")
    for expected in (2.0, 3.0):
        x = torch.full((2,), 2.0)
        assert torch.equal(fast(x), torch.full((2,), expected))
        assert torch.equal(module.mean, torch.full((2,), expected)) and torch.equal(x, torch.full((2,), 3.0))


def test_containers_go_in_and_come_out() -> None:
    fast = torch.compile(nested, fallback="error")
    result = fast((torch.ones(2), torch.ones(2)), [torch.ones(3)])
    assert torch.equal(result["sum"], torch.full((2,), 2.0)) and torch.equal(result["first"], torch.full((3,), 2.0))


def test_a_failed_run_raises_what_the_interpreter_raises_and_leaves_the_function_usable() -> None:
    fast = torch.compile(positive, fallback="error")
    good = torch.ones(3)
    assert torch.equal(fast(good), torch.zeros(3))
    with pytest.raises(ExecutionError, match="x must be positive"):
        fast(-good)
    assert torch.equal(fast(good), torch.zeros(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "missing value for argument 'x'"),
        (("text",), "argument 'x'"),
        ((None,), "argument 'x'"),
        ((torch.rand(2, 4), "text"), "argument 'factor'"),
        ((torch.rand(2, 5),), "mat1 and mat2 shapes cannot be multiplied"),
        ((torch.rand(2, 4).double(),), "same dtype"),
        ((torch.rand(2, 4), 1.0, 2.0), "at most 3 argument"),
    ],
)
def test_bad_arguments_are_named(compiled: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        compiled(*arguments)
    assert compiled(torch.rand(2, 4)).shape == (2, 3)


def speak(x):  # type: ignore[no-untyped-def]
    print(x.size(0))
    return x + 1


def test_a_fallback_is_never_silent(capsys: Any) -> None:
    scripted = torch.jit.script(speak)
    with pytest.warns(OptcWarning, match="prim::Print"):
        torch.compile(scripted)(torch.ones(2))
    with pytest.raises(OptcError, match="prim::Print"):
        torch.compile(scripted, fallback="error")(torch.ones(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast = torch.compile(scripted, fallback="allow")
        fast(torch.ones(2))
    assert [fallback.operator for fallback in fast.fallbacks] == ["prim::Print"]
    assert capsys.readouterr().out == "2\n2\n"


def test_a_call_of_the_wrong_shape_leaves_nothing_behind() -> None:
    fast = torch.compile(Scale(), fallback="error")
    fast(torch.rand(2, 4))
    for _ in range(2):
        with pytest.raises(ExecutionError, match="mat1 and mat2 shapes cannot be multiplied"):
            fast(torch.rand(2, 3))
    fast(torch.rand(5, 4))
    shown = [str(specialization) for specialization in fast.specializations]
    assert shown == ["(Float(2, 4), float)", "(Float(2, 3), float)", "(Float(s0, 4), float)"]


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="fallback must be one of"):
        torch.compile(Scale(), fallback="maybe")
    with pytest.raises(ValueError, match="at least one thread"):
        torch.compile(Scale(), threads=0)
    with pytest.raises(TypeError, match="takes a module, a function or the path"):
        torch.compile(3)
    with pytest.raises(TypeError, match="threads must be a number, not '2'"):
        torch.compile(Scale(), threads="2")
    with pytest.raises(TypeError, match="cache must be True or False, not 'no'"):
        torch.compile(Scale(), cache="no")
    with pytest.raises(ValueError, match="mode must be one of None, default, .* not 'fast'"):
        torch.compile(Scale(), mode="fast")
    with pytest.raises(TypeError, match="fullgraph must be True or False, not 1"):
        torch.compile(Scale(), fullgraph=1)


def test_the_options_of_torch_compile_are_understood() -> None:
    fast = torch.compile(Scale(), fullgraph=True, mode="max-autotune")
    assert fast(torch.ones(2, 4)).shape == (2, 3)
    with pytest.raises(OptcError, match="prim::Print"):
        torch.compile(torch.jit.script(speak), fullgraph=True)(torch.ones(2))


@pytest.mark.parametrize(
    ("dynamic", "error", "said"),
    [
        ("yes", TypeError, "dynamic must be True, False, None or {argument number: dimensions}, not 'yes'"),
        ({"x": [0]}, ValueError, "dynamic names argument 'x' of 2: arguments are numbered from 0"),
        ({2: [0]}, ValueError, "dynamic names argument 2 of 2: arguments are numbered from 0"),
        ({0: [-1]}, ValueError, "dynamic must name dimensions of argument 0 as in [0, 1], not [-1]"),
        ({0: 1}, ValueError, "dynamic must name dimensions of argument 0 as in [0, 1], not 1"),
        ({0: [0, 2]}, ValueError, "dynamic names dimension 2 of argument 0, which has 2"),
    ],
)
def test_dynamic_dimensions_must_be_there(dynamic: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        torch.compile(Scale(), dynamic=dynamic)(torch.rand(2, 4))


def test_the_cache_can_be_left_alone(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("OPTC_CACHE", "1")
    x = torch.rand(2, 4)
    torch.compile(lambda x: x + 1, (x,))(x)  # the entry for this signature, which all programs share
    before = len(list(tmp_path.rglob("*.bin")))
    torch.compile(lambda x: x * 3, (x,), cache=False)(x)
    assert len(list(tmp_path.rglob("*.bin"))) == before
    torch.compile(lambda x: x * 3, (x,))(x)
    assert len(list(tmp_path.rglob("*.bin"))) > before


def test_it_decorates() -> None:
    @torch.compile()
    def double(x):  # type: ignore[no-untyped-def]
        return x * 2

    assert torch.equal(double(torch.ones(2)), torch.full((2,), 2.0))


def test_threads_share_one_compiled_function(compiled: Any) -> None:
    inputs = [torch.rand(50, 4) for _ in range(4)]
    expected = [compiled(x) for x in inputs]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(500):
            if not torch.equal(compiled(inputs[number]), expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_there_is_much_to_see(compiled: Any) -> None:
    compiled(torch.rand(40, 4))
    assert "aten::addmm" in str(compiled.graph)
    assert any(record.name == "addmm-fusion" and record.changed for record in compiled.passes)
    assert compiled.kernels and "define i32" in compiled.llvm and "ret" in compiled.assembly
    assert "(Float(40, 4), float)" in repr(compiled)


@pytest.mark.parametrize("name", ["max", "argmin", "amax(0)", "max(dim=0)", "argmax(-1)"])
def test_an_extreme_of_no_elements_is_refused_whatever_was_compiled_before(name: str) -> None:
    source = f"def extreme(x):\n    return x.{name if '(' in name else name + '()'}\n"
    compiled = torch.compile(torch.jit.CompilationUnit(source).extreme, dynamic=True)
    compiled(torch.rand(3, 4))
    for shape in ((0, 4), (4, 0), (0, 0)):
        if name in ("amax(0)", "max(dim=0)") and shape[0] or name == "argmax(-1)" and shape[1]:
            continue
        with pytest.raises(RuntimeError, match="Expected reduction dim"):
            compiled(torch.zeros(*shape))
    assert str(compiled(torch.ones(2, 3))) == str(compiled(torch.ones(2, 3)))


def test_softmax_of_no_elements_is_no_elements() -> None:
    compiled = torch.compile(torch.jit.script(torch.nn.Softmax(dim=1)), fallback="error")
    for rows, columns in ((2, 3), (2, 0), (0, 3), (0, 0)):
        assert compiled(torch.zeros(rows, columns)).shape == (rows, columns)


class Growing(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(0, 2))

    def forward(self, x):  # type: ignore[no-untyped-def]
        self.seen = torch.cat([self.seen, x.to(self.seen.dtype)], 0)
        return self.seen.sum(0)


def test_state_may_change_its_shape_from_call_to_call() -> None:
    scripted, compiled = torch.jit.script(Growing()), torch.compile(torch.jit.script(Growing()))
    for rows in (1, 3, 2, 0, 2):
        x = torch.rand(rows, 2)
        assert torch.allclose(compiled(x), scripted(x))


def test_state_that_keeps_its_shape_keeps_its_code() -> None:
    compiled = torch.compile(torch.jit.script(Counter()), fallback="error")
    for _ in range(3):
        compiled(torch.ones(2))
    assert len(compiled.specializations) == 1


class Pair(NamedTuple):
    total: torch.Tensor
    count: int


class Pairing(torch.nn.Module):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return Pair(x.sum(), x.size(0)), [Pair(x, 1)]


def test_named_tuples_come_back_with_their_fields(tmp_path: Path) -> None:
    scripted = torch.jit.script(Pairing())
    scripted.save(str(tmp_path / "pairing.pt"))
    for call in (scripted, torch.compile(scripted, fallback="error"), torch.jit.load(str(tmp_path / "pairing.pt"))):
        pair, others = call(torch.ones(3, 2))
        assert (pair.total.item(), pair.count, others[0].count) == (6.0, 3, 1)
        assert str(pair) == "Pair(total=tensor(6.), count=3)"


def test_sizes_that_are_computed_may_stay_unknown() -> None:
    def heads(x):  # type: ignore[no-untyped-def]
        rows, columns, width = x.shape
        return (x * 2).reshape(rows, columns, 3, 2, width // 2 // 3).permute(2, 0, 3, 1, 4).transpose(1, 2).reshape(-1)

    traced = torch.jit.trace(heads, (torch.rand(2, 5, 24),))
    compiled = torch.compile(traced, dynamic=True, fallback="allow")
    for shape in ((2, 5, 24), (3, 4, 12), (1, 1, 6)):
        x = torch.rand(*shape)
        assert torch.equal(compiled(x), traced(x))


def test_a_mistake_of_the_compiler_costs_speed_and_not_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object, **__: object) -> None:
        raise AttributeError("'Unknown' object has no attribute 'shape'")

    monkeypatch.setattr("optc.passes.pipelines.optimize", mistaken)
    with pytest.warns(OptcWarning, match="please report this: AttributeError: 'Unknown' object"):
        fast = torch.compile(lambda x: x + 1, (torch.ones(2),))
    assert fast(torch.ones(2)).tolist() == [2.0, 2.0]
    assert fast.specializations[0].native is None
    with pytest.raises(AttributeError):
        torch.compile(lambda x: x + 1, (torch.ones(2),), fallback="error")


@torch.jit.script
def converted(x: torch.Tensor, flag: bool, dtype: int):
    return x.to(dtype=dtype) if flag else x, dtype + 1


def test_numbers_that_a_version_was_made_for_are_checked_by_the_native_entry() -> None:
    fast, x = torch.compile(converted, fallback="error"), torch.ones(2)
    for flag, dtype in ((True, 6), (True, 7), (True, 6), (False, 3), (True, 3), (True, 7)):
        result, number = fast(x, flag, dtype)
        expected, _ = converted(x, flag, dtype)
        assert (result.dtype, number) == (expected.dtype, dtype + 1)
    assert all(version.entry is not None for version in fast.specializations)


def test_a_flag_is_part_of_the_program_until_it_shows_its_other_value() -> None:
    def program(x: torch.Tensor, doubled: bool, shifted: bool = True) -> torch.Tensor:
        if doubled:
            x = x * 2
        return x + 1 if shifted else x

    fast = torch.compile(torch.jit.script(program), fallback="error")
    x = torch.randn(3, 4)
    assert torch.equal(fast(x, True), program(x, True))
    assert not any(node.blocks for node in fast.graph.walk())
    for doubled in (False, True, False):
        assert torch.equal(fast(x, doubled), program(x, doubled))
    assert [str(made) for made in fast.specializations] == ["(Float(3, 4), True, True)", "(Float(3, 4), bool, True)"]
    assert torch.equal(fast(x, True, False), program(x, True, False))
    with pytest.raises(RuntimeError, match="found type 'int'"):
        fast(x, 1)


class Stream(torch.nn.Module):
    """Sums all that it was ever given, newest first."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(0, 3))
        self.scale = torch.nn.Parameter(torch.rand(3))

    def forward(self, x):  # type: ignore[no-untyped-def]
        self.seen = torch.cat([x, self.seen * self.scale])
        return self.seen.sum(0)


def test_state_that_grows_gets_an_extent_of_its_own() -> None:
    scripted = torch.jit.script(Stream())
    fast = torch.compile(copy.deepcopy(scripted), fallback="error")
    for step in range(6):
        x = torch.rand(2, 3)
        assert torch.allclose(fast(x), scripted(x)), step
    assert [str(made) for made in fast.specializations] == [
        "(Float(2, 3))", "(Float(2, 3)) with seen: Float(s0, 3)"
    ]  # fmt: skip
    assert fast._receiver.values["seen"].shape == (12, 3)


def converted_many(x: torch.Tensor, dtype: int, times: int) -> torch.Tensor:
    return x.to(dtype) * times


def test_only_numbers_that_stay_are_told_where_some_have_to_be() -> None:
    scripted = torch.jit.script(converted_many)
    fast = torch.compile(scripted, fallback="error")
    for dtype, times in ((6, 2), (6, 3), (6, 4), (7, 4), (7, 5)):
        expected, found = scripted(torch.ones(2), dtype, times), fast(torch.ones(2), dtype, times)
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    assert [str(made) for made in fast.specializations] == [
        "(Float(2), int = 6, int = 2)", "(Float(2), int = 6, int)", "(Float(2), int = 7, int = 4)",
        "(Float(2), int = 7, int = 5)",
    ]  # fmt: skip


def halved(x: torch.Tensor, levels: int):
    details: list[torch.Tensor] = []
    for _ in range(levels):
        details.append(x[..., ::2] - x[..., 1::2])
        x = x[..., ::2] + x[..., 1::2]
    return details, x


def butterflies(x: torch.Tensor):
    half = 1
    n = x.numel()
    while half < n:
        x = x.reshape(-1, 2, half)
        x = torch.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], 1)
        half *= 2
    return x.reshape(-1)


@pytest.mark.parametrize(
    ("function", "calls"),
    [(halved, [(64, 3), (64, 2), (48, 4)]), (butterflies, [(64,), (32,), (16,)])],
)
def test_loops_that_reshape_what_they_carry_are_compiled_for_their_turns(
    function: Callable[..., Any], calls: list[tuple[int, ...]]
) -> None:
    scripted = torch.jit.script(function)
    fast = torch.compile(scripted, fallback="error")
    for extent, *others in calls:
        x = torch.randn(extent)
        expected, found = scripted(x, *others), fast(x, *others)
        pairs = zip([*expected[0], expected[1]], [*found[0], found[1]]) if others else [(expected, found)]
        assert all(torch.allclose(mine, other, atol=1e-5) for mine, other in pairs)


def gated(x: torch.Tensor, mode: str) -> torch.Tensor:
    return x * 2 if mode == "twice" else x + 0


def test_a_call_that_another_version_takes_goes_on_in_its_native_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = torch.compile(torch.jit.script(gated))
    fast(torch.ones(3), "twice")
    fast(torch.ones(3), "once")

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("a call was run from Python")

    monkeypatch.setattr("optc.runtime.compiled.run_program", refuse)
    for _ in range(2):
        assert fast(torch.ones(3), "twice").tolist() == [2.0] * 3
        assert fast(torch.ones(3), "once").tolist() == [1.0] * 3
    monkeypatch.undo()
    across = torch.ones(3, 2).t()[0]
    assert fast(across, "twice").tolist() == [2.0] * 3, "what the entry refuses is run from Python"


def test_equal_text_is_the_same_to_the_native_entry_whichever_object_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that was computed, or came from a plan on disk, is another object than the caller's."""
    fast = torch.compile(torch.jit.script(gated))
    fast(torch.ones(3), b"twice".decode())
    monkeypatch.setattr("optc.runtime.compiled.CompiledFunction._dispatch", None)
    assert fast(torch.ones(3), "twice").tolist() == fast(torch.ones(3), b"twice".decode()).tolist() == [2.0] * 3
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):  # the entry passes on what it refuses
        fast(torch.ones(3), "once")

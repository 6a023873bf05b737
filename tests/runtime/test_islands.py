"""Programs that native code leaves in parts to the interpreter, held against the interpreter alone."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optc
from optc import jit
from optc.errors import ExecutionError, OptcError, OptcWarning
from tests.runtime.islands import agree, compiled, is_partly_native

pytestmark = pytest.mark.usefixtures("without_native_forms")


# What islands take and give --------------------------------------------------------------------------------------------


def known_extents(x):
    values, places = optc.kthvalue(optc.relu(x * 2 + 1), 2, -1)
    return values * 3 + places


def extents_of_data(x):
    chosen = optc.masked_select(x, x > 0)
    return chosen * 2 + 1, chosen.size(0), chosen.sum()


def small_tensors(x):
    median, place = optc.median(x[:3, :4] + 1, 1)
    return median * 2, place + 1


def strided_arguments(x):
    return optc.kthvalue(x.t()[1:], 1, 0)[0] + x.t()[::2].kthvalue(2, 1)[0].sum()


def two_islands_in_turn(x):
    chosen = optc.masked_select(x, x > 0)
    return optc.unique_dim(optc.floor(chosen * 2), 0, True, False, False)[0] * 2


def results_with_one_extent(x):
    values, places, counts = optc.unique_dim(optc.floor(x), 0, True, True, True)
    return values * counts.reshape(-1, 1), places + 1


def a_number_into_an_island(x):
    count = int((x > 0).sum()) // 4 + 1
    return optc.kthvalue(x.reshape(-1), count)[0] * 2


def an_unused_result(x):
    optc.masked_select(x, x > 0)
    return x * 2


def a_result_of_the_program(x):
    return optc.masked_select(x, x > 0)


def a_list_of_tensors(x):
    rows, columns = optc.where(x > 0)
    return rows * 2, columns + rows


EXAMPLES: list[Callable[..., Any]] = [
    known_extents, extents_of_data, small_tensors, strided_arguments, two_islands_in_turn,
    results_with_one_extent, a_number_into_an_island, a_result_of_the_program, a_list_of_tensors,
]  # fmt: skip


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("program", EXAMPLES)
def test_the_results_are_the_interpreters(program: Callable[..., Any], dynamic: bool) -> None:
    scripted = jit.script(program)
    fast = compiled(scripted, dynamic=dynamic)
    for shape in ((20, 30), (20, 30), (7, 9), (5, 40)):
        x = optc.randn(*shape)
        agree(fast(x), scripted(x))
        assert is_partly_native(fast), fast.fallbacks
    assert len(fast.specializations) == (1 if dynamic else len(fast.specializations))


def test_nothing_is_chosen() -> None:
    fast = compiled(jit.script(extents_of_data))
    for x in (-optc.ones(20, 30), optc.ones(20, 30), optc.zeros(0, 30)):
        agree(fast(x), jit.script(extents_of_data)(x))


@pytest.mark.parametrize(
    "dtype", [optc.float64, optc.float16, optc.bfloat16, optc.int64, optc.int32, optc.int8, optc.uint8]
)
def test_elements_of_every_type(dtype: Any) -> None:
    def program(x, mask):
        return optc.masked_select(x, mask) + 1, optc.masked_select(mask, mask)

    x, mask = optc.arange(300).reshape(20, 15).remainder(100).to(dtype), optc.rand(20, 15) > 0.5
    fast = compiled(jit.script(program))
    agree(fast(x, mask), program(x, mask))
    assert is_partly_native(fast)


# Control flow ------------------------------------------------------------------------------------------------------------


def in_a_loop(x, turns: int):
    total = optc.zeros(30)
    for turn in range(turns):
        total = total + optc.kthvalue(x + float(turn), 2, 0)[0]
    return total


def a_carried_tensor_that_shrinks(x, turns: int):
    x = x.reshape(-1)
    for turn in range(turns):
        x = optc.masked_select(x, x > 0.1 * float(turn)) * 1.5
    return x


def in_a_branch(x, turns: int):
    if bool(x.sum() > 0):
        y = optc.masked_select(x, x > 0)
    else:
        y = x.reshape(-1)
    return y * 2


def in_a_branch_of_a_loop(x, turns: int):
    total = optc.zeros(20)
    for turn in range(turns):
        if turn % 2 == 0:
            total = total + optc.kthvalue(x, turn + 1, 1)[0]
        else:
            total = total - optc.median(x, 1)[0]
    return total


def while_there_is_something(x, turns: int):
    count = 0
    x = x.reshape(-1)
    while x.numel() > 10:
        x = optc.masked_select(x, x > x.mean())
        count += 1
    return x, count


@pytest.mark.parametrize("turns", [0, 1, 5])
@pytest.mark.parametrize(
    "program",
    [in_a_loop, a_carried_tensor_that_shrinks, in_a_branch, in_a_branch_of_a_loop, while_there_is_something],
)
def test_islands_in_loops_and_branches(program: Callable[..., Any], turns: int) -> None:
    scripted = jit.script(program)
    fast = compiled(scripted, dynamic=True)
    for x in (optc.randn(20, 30), -optc.rand(20, 30), optc.randn(20, 30)):
        agree(fast(x, turns), scripted(x, turns))
        # A version for no turn at all has no island where only turns have one.
        assert is_partly_native(fast) or (turns == 0 and program in (in_a_loop, in_a_branch_of_a_loop)), fast.fallbacks


# What only Python can hold -----------------------------------------------------------------------------------------------


def text_for_printing(x):
    y = x * 2
    print(f"the sum is {y.sum().item()}, of {y.shape}")
    return y + 1


def counted_by_a_dictionary(x):
    counts: dict[int, int] = {}
    for i in range(x.size(0)):
        key = int(x[i].item())
        counts[key] = counts.get(key, 0) + 1
    return x * len(counts)


def text_decides(x, name: str):
    scale = 1.0
    if (name + str(int(x.sum().item()) % 2)).startswith("a1"):
        scale = 3.0
    return optc.tanh(x) * scale


@pytest.mark.parametrize("program", [text_for_printing, counted_by_a_dictionary])
def test_values_that_only_python_holds_stay_inside(program: Callable[..., Any], capsys: Any) -> None:
    scripted = jit.script(program)
    fast = compiled(scripted)
    for _ in range(3):
        x = optc.floor(optc.rand(40) * 5)
        expected = scripted(x)
        text = capsys.readouterr().out
        agree(fast(x), expected)
        assert capsys.readouterr().out == text
        assert is_partly_native(fast), fast.fallbacks


def test_text_inside_a_condition() -> None:
    scripted = jit.script(text_decides)
    fast = compiled(scripted)
    for x in (optc.ones(41), optc.ones(40), optc.zeros(40)):
        agree(fast(x, "a"), scripted(x, "a"))
        agree(fast(x, "b"), scripted(x, "b"))


def as_many_as_data_says(x):
    halves: list[dict[str, optc.Tensor]] = []
    y = optc.tanh(x) + 1
    while bool(y.sum() > 1):
        y = y * 0.5
        halves.append({"half": y, "more": y + 1})
    return halves, y + 1


def under_a_name_that_data_chooses(x):
    found: dict[str, optc.Tensor] = {}
    y = x * 2
    if bool(x.sum() > 0):
        found["up"] = y
    else:
        found["down"] = y.reshape(4, 10).t()
    return found, str(int(x.sum().item())), y + 1


def complex_numbers(x):
    z = optc.view_as_complex(x.reshape(-1, 2) * 2).sinh()
    return z, optc.view_as_real(z) + 1


def constants_of_complex_numbers(x):
    weight = optc.tensor([1j, 2 + 0j])
    return weight, (optc.tensor([1j, 2j]) * x[:2]).cosh(), (weight * x[:2]).abs(), x + 1


def lists_of_pairs(x):
    pairs: list[tuple[int, float]] = []
    for i in range(int(x.size(0)) - 38 + int(x[0] > 100)):
        pairs.append((i, float(i) / 2))
    place = int(x[0] > 0)
    numbers, words, nested = [0.5, 1.5], ["a", "b"], [[1], [2, 3]]
    numbers[place] = 2.5
    words[place] = "c"
    nested[place] = [7]
    removed = [(1, x), (2, x * 2)].pop(place)
    return pairs[-1], pairs, numbers, words, nested, removed, x + pairs[0][0]


@pytest.mark.parametrize(
    "program",
    [
        as_many_as_data_says,
        under_a_name_that_data_chooses,
        complex_numbers,
        constants_of_complex_numbers,
        lists_of_pairs,
    ],
)
def test_results_that_only_python_makes(program: Callable[..., Any]) -> None:
    scripted = jit.script(program)
    fast = compiled(scripted)
    held = []
    for turn in range(5):
        x = optc.rand(40) - 0.3 * turn
        held.append((fast(x), scripted(x)))
    for found, expected in held:  # later calls have used the native memory again
        agree(found, expected)
    assert is_partly_native(fast), fast.fallbacks


def complex_arguments(z, x):
    return optc.view_as_real(z.sinh()) + x, z


def test_arguments_that_only_python_computes_with() -> None:
    scripted = jit.script(complex_arguments)
    fast = compiled(scripted)
    for _ in range(3):
        z, x = optc.view_as_complex(optc.rand(20, 2)), optc.rand(20, 2)
        agree(fast(z, x), scripted(z, x))
    assert is_partly_native(fast), fast.fallbacks
    with pytest.raises(ExecutionError):
        fast(z, optc.rand(7, 2))


# Threads -----------------------------------------------------------------------------------------------------------------


def works_long(x):
    for _ in range(6):
        x = optc.tanh(x @ x) + optc.kthvalue(x, 2, 0)[0]
    return optc.masked_select(x, x > 0.2), x


def test_threads_call_one_program() -> None:
    scripted = jit.script(works_long)
    fast = compiled(scripted)
    inputs = [optc.randn(120, 120) * 0.1 for _ in range(6)]
    expected = [scripted(x) for x in inputs]
    fast(inputs[0])
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                place = (number + turn) % len(inputs)
                found = fast(inputs[place])
                assert found[0].shape == expected[place][0].shape
                np.testing.assert_allclose(found[1]._array, expected[place][1]._array, rtol=1e-4, atol=1e-5)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert is_partly_native(fast)


# Being seen --------------------------------------------------------------------------------------------------------------


def two_islands(x: Any) -> Any:
    return x.kthvalue(2, 1)[0], x.mode(1)[0]


def test_a_warning_names_the_first_of_many_islands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optc.runtime.compiled.SHOWN_FALLBACKS", 1)
    fast, x = optc.compile(optc.jit.trace(two_islands, (optc.randn(4, 5),))), optc.randn(20, 30)
    with pytest.warns(OptcWarning, match=r"kthvalue.*; and 1 more, which `fallbacks` lists"):
        fast(x)
    assert len(fast.fallbacks) == 2


def test_islands_are_listed_refused_and_warned_of_once() -> None:
    scripted, x = jit.script(known_extents), optc.randn(20, 30)
    with pytest.raises(OptcError, match=r"aten::kthvalue.*test_islands.py"):
        optc.compile(scripted, fallback="error")(x)
    fast = optc.compile(scripted)
    with pytest.warns(OptcWarning, match="leaves parts to the interpreter: aten::kthvalue"):
        fast(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast(x)
    (found,) = fast.fallbacks
    assert found.operator == "aten::kthvalue" and "kernel" in found.reason and "test_islands.py" in found.source
    (island,) = [kernel for kernel in fast.kernels if kernel.name.startswith("island")]
    assert island.operators == ["aten::kthvalue"] and "aten::kthvalue" in island.text
    assert "prim::Island" in str(fast.graph)


@jit.script
class Box:
    def __init__(self, content: optc.Tensor):
        self.content = content


def an_object(x):
    return Box(x * 2)


def test_a_program_that_gives_an_object_runs_in_the_interpreter() -> None:
    fast = compiled(jit.script(an_object))
    agree(fast(optc.ones(3)).content, optc.full((3,), 2.0))
    assert fast.fallbacks and fast.specializations[-1].native is None


# Plans -------------------------------------------------------------------------------------------------------------------


def draws_by_rejection(x):
    return optc.poisson(optc.abs(x) * 3) + x, optc.poisson(optc.abs(x) + 20)


_IN_ANOTHER_PROCESS = """
import sys, warnings
sys.path.insert(0, {folder!r})
import numpy as np
import optc
from test_islands import {program} as program
x = optc.from_numpy(np.load({inputs!r}))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fast = optc.compile(optc.jit.script(program))
    optc.manual_seed(3)
    found = fast(x)
found = found if isinstance(found, tuple) else (found,)
np.savez({outputs!r}, *(item._array for item in found if isinstance(item, optc.Tensor)))
print(fast.specializations[-1].seconds.get("restore") is not None, len(caught), len(fast.fallbacks), "llvmlite" in sys.modules)
"""


@pytest.mark.parametrize(
    "program", ["draws_by_rejection", pytest.param("counted_by_a_dictionary", marks=pytest.mark.slow)]
)
def test_a_plan_holds_islands(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("OPTC_CACHE")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    x = optc.floor(optc.rand(40) * 5)
    np.save(tmp_path / "x.npy", x._array)
    optc.manual_seed(3)
    expected = globals()[program](x)
    said = []
    for number in range(2):
        outputs = str(tmp_path / f"{number}.npz")
        text = _IN_ANOTHER_PROCESS.format(
            folder=str(Path(__file__).parent), program=program, inputs=str(tmp_path / "x.npy"), outputs=outputs
        )
        run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        said.append(run.stdout.split())
        stored = list(np.load(outputs).values())
        tensors = [
            item for item in (expected if isinstance(expected, tuple) else (expected,)) if hasattr(item, "_array")
        ]
        for mine, other in zip(stored, tensors, strict=True):
            np.testing.assert_allclose(mine, other._array, rtol=1e-5, atol=1e-6)
    assert [answer[0] for answer in said] == ["False", "True"]
    assert said[0][1:3] == said[1][1:3] and said[1][1] == "1"
    assert said[1][3] == "False"


def test_what_depends_on_memory_layout_is_left_to_the_interpreter_with_all_of_its_program() -> None:
    @jit.script
    def by_layout(x: optc.Tensor) -> optc.Tensor:
        if x.is_contiguous():
            return x + x.stride(0)
        return x - x.stride(0)

    def part(x: optc.Tensor) -> optc.Tensor:
        return optc.as_strided(x, (2,), (2,), 0) + 1

    numbers = optc.arange(6.0).view(2, 3)
    for program in (by_layout, part):
        for given in (numbers, numbers.t(), numbers[1:]):
            agree(compiled(program)(given), program(given))
    assert compiled(by_layout, example_inputs=numbers).fallbacks


def warns(x):
    warnings.warn("look out", stacklevel=2)
    return x.relu()


def test_a_warning_is_given_by_every_call_and_is_no_fallback() -> None:
    fast = optc.compile(jit.script(warns), fallback="error")
    for _ in range(2):
        with pytest.warns(UserWarning, match="look out"):
            fast(optc.ones(300, 3))
    assert fast.fallbacks == []

"""Programs that come from the disk cache: when they do, when they must not, and what is known of them then."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optc
from optc import nn
from optc.ir import origins
from optc.runtime import plan


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own."""
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path))
    for name in ("OPTC_CACHE", "OPTC_PASSES", "OPTC_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def is_restored(compiled: Any) -> bool:
    return "restore" in compiled.specializations[-1].seconds


def network(seed: int = 0, features: int = 64) -> nn.Sequential:
    optc.manual_seed(seed)
    return nn.Sequential(nn.Linear(features, 200), nn.ReLU(), nn.Linear(200, 8)).eval()


def test_an_equal_program_is_restored_and_computes_the_same() -> None:
    x = optc.randn(3, 64)
    first, second = optc.compile(network(), x), optc.compile(network(), x)
    assert (is_restored(first), is_restored(second)) == (False, True)
    assert np.array_equal(first(x)._array, second(x)._array)
    assert np.allclose(second(x)._array, network()(x)._array, atol=1e-5)


def test_constants_made_of_views_of_one_another_have_a_plan() -> None:
    """The weights of an average beside padding are counted in an array, which is then looked at in other shapes."""
    x, layer = optc.randn(2, 4, 9), nn.AvgPool1d(3, padding=1, count_include_pad=False)
    first, second = optc.compile(layer, x), optc.compile(layer, x)
    assert (is_restored(first), is_restored(second)) == (False, True)
    assert np.array_equal(first(x)._array, second(x)._array)


def changed_weight() -> Any:
    module = network()
    module[2].weight._array[7, 199] += 1
    return optc.compile(module, optc.ones(3, 64))


def changed_bias() -> Any:
    module = network()
    module[0].bias._array[0] += 1
    return optc.compile(module, optc.ones(3, 64))


def other_structure() -> Any:
    optc.manual_seed(0)
    module = nn.Sequential(nn.Linear(64, 200), nn.Tanh(), nn.Linear(200, 8)).eval()
    return optc.compile(module, optc.ones(3, 64))


def other_extent() -> Any:
    return optc.compile(network(), optc.ones(2, 64))


def other_type() -> Any:
    return optc.compile(network().double(), optc.ones(3, 64, dtype=optc.float64))


@pytest.mark.parametrize("change", [changed_weight, changed_bias, other_structure, other_extent, other_type])
def test_a_change_of_the_program_is_a_program_of_its_own(change: Callable[[], Any]) -> None:
    optc.compile(network(), optc.ones(3, 64))
    changed = change()
    assert not is_restored(changed)
    again = change()
    assert is_restored(again)
    leaf = changed.specializations[0].types[0]
    x = optc.randn(*leaf.shape, dtype=optc.float64 if "Double" in str(leaf) else optc.float32)
    assert np.array_equal(changed(x)._array, again(x)._array)


def test_a_constant_in_the_source_is_part_of_the_key() -> None:
    def make(factor: float) -> Any:
        scope: dict[str, Any] = {"__name__": "made"}
        exec(  # noqa: S102
            f"def scaled(x):\n    return x * {factor!r}", scope
        )
        return optc.compile(scope["scaled"], optc.ones(100))

    for factor in (0.0, -0.0, 2.0):
        compiled = make(factor)
        assert not is_restored(compiled)
        assert is_restored(make(factor))
        expected = np.ones(100, np.float32) * np.float32(factor)
        assert compiled(optc.ones(100))._array.tobytes() == expected.tobytes()


def test_shared_and_equal_parameters_are_told_apart() -> None:
    """A program whose modules share a tensor differs from one whose modules have equal ones."""

    def make(shared: bool) -> Any:
        optc.manual_seed(1)
        module = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32)).eval()
        module[1].load_state_dict(module[0].state_dict())
        if shared:
            module[1].weight = module[0].weight
        return optc.compile(module, optc.ones(2, 32))

    assert not is_restored(make(False))
    assert not is_restored(make(True))
    assert is_restored(make(True))


@pytest.mark.parametrize(
    ("name", "value"), [("OPTC_VERIFY", "1"), ("OPTC_CACHE", "0"), ("OPTC_PASSES", "capture, simplify")]
)
def test_the_environment_decides(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = optc.ones(100)
    optc.compile(lambda x: x * 2 + 1, x, fallback="allow")
    monkeypatch.setenv(name, value)
    assert not is_restored(optc.compile(lambda x: x * 2 + 1, x, fallback="allow"))


def test_a_program_may_leave_the_cache_alone(cache: Path) -> None:
    x = optc.ones(100)
    assert not is_restored(optc.compile(lambda x: x * 2, x))
    assert not is_restored(optc.compile(lambda x: x * 2, x, cache=False))


def test_the_default_element_type_is_part_of_the_key() -> None:
    optc.compile(_adds_ones, optc.ones(4))
    optc.set_default_dtype(optc.float64)
    try:
        assert not is_restored(optc.compile(_adds_ones, optc.ones(4)))
    finally:
        optc.set_default_dtype(optc.float32)


def _adds_ones(x: optc.Tensor) -> optc.Tensor:
    return x + optc.ones(4)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "another"])
def test_a_damaged_plan_is_made_again(cache: Path, damage: str) -> None:
    x = optc.randn(3, 64)
    expected = optc.compile(network(), x)(x)._array
    for path in cache.rglob("*.bin"):
        good = path.read_bytes()
        middle = len(good) // 2
        bad = {"empty": b"", "cut": good[:middle], "flipped": good[:middle] + bytes([good[middle] ^ 4]) + good[middle + 1 :],
               "another": b"x" * len(good)}[damage]  # fmt: skip
        path.write_bytes(bad)
    again = optc.compile(network(), x)
    assert not is_restored(again)
    assert np.array_equal(again(x)._array, expected)
    assert is_restored(optc.compile(network(), x))


def test_a_plan_without_all_of_its_objects_is_made_again(cache: Path) -> None:
    x = optc.randn(3, 64)
    first = optc.compile(network(), x)
    gone = first.specializations[0].native.object_keys[1]
    next(cache.rglob(f"{gone}*")).unlink()
    again = optc.compile(network(), x)
    assert not is_restored(again)
    assert np.array_equal(again(x)._array, first(x)._array)


def test_what_a_plan_leaves_out_is_worked_out_when_asked_for() -> None:
    x = optc.randn(3, 64)
    first, second = optc.compile(network(), x), optc.compile(network(), x)
    assert is_restored(second)
    assert str(second.graph) == str(first.graph)
    assert [kernel.text for kernel in second.kernels] == [kernel.text for kernel in first.kernels]
    assert second.llvm == first.llvm
    assert [record.name for record in second.passes] == [record.name for record in first.passes]
    assert second.fallbacks == []
    assert "restore" in second.specializations[0].seconds


class Counter(nn.Module):
    """A module with state of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", optc.zeros(40))
        self.steps = 0

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        self.total += x
        self.steps += 1
        return self.total * self.steps


def test_state_belongs_to_the_object_that_is_compiled() -> None:
    def run() -> tuple[Any, list[float]]:
        module = optc.jit.script(Counter())
        compiled = optc.compile(module)
        return compiled, [float(compiled(optc.ones(40))[0]) for _ in range(3)]

    (first, expected), (second, found) = run(), run()
    assert is_restored(second)
    assert found == expected == [1.0, 4.0, 9.0]
    assert first is not second


def test_constants_may_be_folded_one_from_the_other_as_often_as_you_like() -> None:
    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("start", optc.ones(2000))

        def forward(self, x: optc.Tensor) -> optc.Tensor:
            folded = self.start
            for turn in range(400):
                folded = folded * 0.5 + turn
            return x + folded

    x = optc.zeros(2000)
    first, second = optc.compile(Repeated(), x), optc.compile(Repeated(), x)
    assert is_restored(second)
    assert np.array_equal(first(x)._array, second(x)._array)


def test_folded_constants_are_made_again_from_the_parameters(cache: Path) -> None:
    """What passes compute of large parameters is not stored but computed again."""

    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(optc.randn(256, 256))

        def forward(self, x: optc.Tensor) -> optc.Tensor:
            return x @ (self.weight * 2 + 1).t()

    optc.manual_seed(3)
    module, x = Folded().eval(), optc.randn(4, 256)
    first, second = optc.compile(module, x), optc.compile(module, x)
    assert is_restored(second)
    assert np.array_equal(first(x)._array, second(x)._array)
    stored = sum(path.stat().st_size for path in cache.rglob("*.bin"))
    assert stored < module.weight._array.nbytes // 2


def test_who_hands_an_argument_back_has_made_nothing() -> None:
    array = np.ones(3)
    with origins.tracking() as found:
        assert origins.remember(array, np.asarray, array) is array
    assert found.of(array) is None


PROGRAM = """
import sys
import numpy as np
import optc
from optc import nn
from optc.codegen.machine import jit
optc.manual_seed(0)
module = nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 8)).eval()
x = optc.ones(3, 64)
compiled = optc.compile(module, x)
written = [name for name in ("llvmlite", "optc.codegen.llvm", "optc.ir.parser") if name in sys.modules]
print(compiled(x)._array.tobytes().hex(), jit.counts.compiled, *written)
"""


def run_program(program: str = PROGRAM) -> list[str]:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_another_process_runs_no_llvm_and_loads_no_emitter() -> None:
    first, second = run_program(), run_program()
    assert int(first[1]) > 0
    assert "optc.codegen.llvm" in first
    assert second == [first[0], "0"]


def test_processes_may_write_the_same_plan_at_once() -> None:
    command = [sys.executable, "-c", PROGRAM]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0].split() for process in processes]
    assert outputs[0][0] == outputs[1][0] == run_program()[0]


ORDER = """
import optc
from optc.codegen.process import content_digest
from optc.passes import pipelines
from optc.runtime import shared_code

order = []


def watch(module, name, tell):
    watched = getattr(module, name)
    setattr(module, name, lambda *arguments, **keywords: (order.append(tell()), watched(*arguments, **keywords))[1])


def written():
    from optc.codegen.entry.function import entry_texts
    return f"thread:{entry_texts.cache_info().currsize}"


watch(content_digest, "content_digest", lambda: "digest")
watch(pipelines, "optimize", lambda: "passes")
watch(shared_code, "_make", written)
optc.manual_seed(0)
optc.compile(optc.nn.Linear(200, 200).eval())(optc.ones(2, 200))
print(*dict.fromkeys(order))
"""


def test_contents_are_digested_last_where_nothing_was_ever_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their digest would wait for LLVM, and could only tell that the empty cache has no plan. The code that all
    programs share has been written when its thread begins; where the cache has it, there is no thread."""
    monkeypatch.setenv("OPTC_NUM_THREADS", "2")
    *before, last = run_program(ORDER)
    assert (sorted(before), last) == (["passes", "thread:1"], "digest")  # the thread may say so late
    assert run_program(ORDER) == ["digest"]


MAKING = """
import threading
import optc
from optc.codegen.machine import jit

order, made = {}, jit.compile_generated


def watched(name, *arguments):
    order.setdefault(threading.current_thread().name, []).append(name.split()[0])
    return made(name, *arguments)


jit.compile_generated = watched
optc.compile(optc.nn.Linear(2, 2).eval())(optc.ones(1, 2))
for thread in threading.enumerate():
    if thread.name == "optc-compile":
        thread.join()
print(*dict.fromkeys(order["MainThread"]), "|", *order.get("optc-compile", ()))
"""


def test_who_waits_for_what_takes_longest_makes_the_rest_of_the_shared_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_NUM_THREADS", "2")
    order = run_program(MAKING)
    waiting, helping = order[: order.index("|")], order[order.index("|") + 1 :]
    assert waiting == ["pool", "runtime", "entry,", "entry"]
    assert helping == ["entry", "content_sums", "entry,", "runtime", "pool"]


class Holder(nn.Module):
    """A module that holds one tensor."""

    def __init__(self, held: optc.Tensor) -> None:
        super().__init__()
        self.register_buffer("held", held)

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        return x + self.held.sum(0)


@pytest.mark.parametrize("shape", [(2, 8), (8, 2), (16, 1)])
def test_the_shape_of_a_parameter_is_part_of_the_key(shape: tuple[int, ...]) -> None:
    x = optc.ones(1)
    for held in (optc.arange(16.0).reshape(4, 4), optc.arange(16.0).reshape(*shape)):
        module = Holder(held)
        assert np.array_equal(optc.compile(optc.jit.script(module))(x)._array, module(x)._array)


class Asked(nn.Module):
    def __init__(self, wants_gradient: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(optc.ones(3), wants_gradient)

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        return x + self.bias if self.bias.requires_grad else x


def test_what_parameters_say_of_gradients_is_part_of_the_key() -> None:
    for wants_gradient in (True, False, True):
        fast = optc.compile(optc.jit.script(Asked(wants_gradient)))
        assert fast(optc.zeros(3)).tolist() == [float(wants_gradient)] * 3


def test_what_cannot_be_planned_is_compiled_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "store", lambda *arguments: False)
    x = optc.ones(50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert not is_restored(optc.compile(lambda x: x + 1, x))

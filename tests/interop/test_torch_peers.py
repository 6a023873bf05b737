"""torch objects go straight in: modules, scripted modules, tensors, without copies."""

from __future__ import annotations

import copy
import sys
import tracemalloc
from typing import Any

import pytest

import optc

torch = pytest.importorskip("torch")
from optc.interop.torch_modules import module_of
from optc.runtime.compiled import CompiledFunction

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 5)

    def forward(self, x, scale: float = 1.0):  # type: ignore[no-untyped-def]
        if x.sum() > 0:
            return torch.relu(self.linear(x)) * scale
        return torch.tanh(self.linear(x)) * scale


def one_more(x: torch.Tensor) -> torch.Tensor:
    return x + 1


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_torch_module_is_scripted(sign: float) -> None:
    net, x = Net(), torch.rand(3, 8) * sign
    result = optc.compile(net, fallback="error")(x)
    assert isinstance(result, torch.Tensor)
    torch.testing.assert_close(result, net(x).detach())


def test_a_scripted_torch_module_is_taken_as_it_is() -> None:
    net = torch.jit.script(Net())
    x = torch.rand(2, 8)
    torch.testing.assert_close(optc.compile(net, fallback="error")(x, 2.5), net(x, 2.5).detach())


@pytest.mark.parametrize(
    "capture", [torch.jit.script, lambda f: torch.jit.trace(f, (torch.ones(1),))], ids=["script", "trace"]
)
def test_a_captured_torch_function_is_taken_as_it_is(capture) -> None:  # type: ignore[no-untyped-def]
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    assert optc.compile(capture(twice), fallback="error")(torch.arange(3.0)).tolist() == [0.0, 2.0, 4.0]


def test_with_example_inputs_a_torch_module_is_traced() -> None:
    net, x = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh()), torch.rand(3, 4)
    fast = optc.compile(net, (x,), fallback="error")
    assert len(fast.specializations) == 1
    torch.testing.assert_close(fast(x), net(x).detach())


def test_tensors_that_need_gradients_and_strided_ones_are_taken() -> None:
    net = Net()
    fast = optc.compile(net)
    x = torch.rand(8, 3, requires_grad=True).t()
    torch.testing.assert_close(fast(x), net(x).detach())


def test_a_sparse_tensor_is_refused_by_name() -> None:
    fast = optc.compile(Net())
    with pytest.raises(TypeError, match="dense CPU tensors"):
        fast(torch.rand(3, 8).to_sparse())


@pytest.mark.parametrize("verb", ["trace", "script"])
def test_capturing_a_torch_module_says_what_to_do_instead(verb: str) -> None:
    module = torch.nn.Linear(2, 2)
    arguments = (torch.ones(1, 2),) if verb == "trace" else ()
    with pytest.raises(TypeError, match=rf"optc.compile\(module, example_inputs\).*torch.jit.{verb}"):
        getattr(optc.jit, verb)(module, *arguments)


class Stateful(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(64, 64)
        self.register_buffer("seen", torch.zeros(2))
        self.table = {"a": torch.ones(2)}

    def forward(self, x):  # type: ignore[no-untyped-def]
        self.seen.add_(1)
        return self.linear(x) + self.seen.sum() + self.table["a"].sum()


@pytest.mark.parametrize("scripted", [False, True])
def test_parameters_are_those_of_the_torch_module(scripted: bool) -> None:
    net = Stateful()
    module = module_of(torch.jit.script(net) if scripted else net, None)
    linear = module.values["linear"].values
    assert linear["weight"]._array.ctypes.data == net.linear.weight.data_ptr()
    assert linear["bias"]._array.ctypes.data == net.linear.bias.data_ptr()
    assert module.values["seen"]._array.ctypes.data == net.seen.data_ptr()
    assert linear["weight"].requires_grad and not module.values["seen"].requires_grad


def test_state_that_compiled_code_writes_is_seen_by_torch() -> None:
    net, x = Stateful(), torch.rand(3, 64)
    expected = [Stateful.forward(copy.deepcopy(net), x).detach()]
    fast = optc.compile(net)
    torch.testing.assert_close(fast(x), expected[0])
    assert net.seen.tolist() == [1.0, 1.0]
    torch.testing.assert_close(fast(x), net(x).detach() - 2)


class Shifted(torch.nn.Module):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return x + torch.tensor([1.0, 2.0]).sum()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts page faults as Linux does")
def test_memory_of_results_is_used_again() -> None:
    """Results of which the last is still in use: two blocks take turns, and no page of them is new."""
    import resource

    compiled = optc.compile(torch.jit.script(one_more))
    x = torch.randn(700, 600)
    for _ in range(10):
        kept = compiled(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        kept = compiled(x)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 400  # a result has 410 pages
    assert torch.equal(kept, x + 1)


def test_nothing_of_the_archive_in_memory_is_kept() -> None:
    """Constants in traced code are copied out of it, so that not all weights are held a second time for them."""
    net = torch.nn.Sequential(torch.nn.Linear(1024, 1024), Shifted())
    module_of(net, (torch.ones(1, 1024),))  # what torch and optc set up once
    tracemalloc.start()
    module = module_of(net, (torch.ones(1, 1024),))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 3_000_000 and module.values["0"].values["weight"]._array.nbytes == 4 << 20


def test_tensors_that_torch_keeps_in_another_way_are_copied() -> None:
    net = torch.nn.Linear(2, 2)
    net.weight = torch.nn.Parameter(torch.view_as_real(torch.ones(2, 2, dtype=torch.complex64))[..., 0])
    torch.testing.assert_close(optc.compile(net)(torch.ones(1, 2)), net(torch.ones(1, 2)).detach())


def test_results_are_torch_tensors_however_deep_the_arguments_lie() -> None:
    @torch.jit.script
    def total(groups: dict[str, list[torch.Tensor]]) -> torch.Tensor:
        return groups["a"][0] + groups["b"][0]

    result = optc.compile(total)({"a": [torch.ones(2)], "b": [torch.ones(2)]})
    assert isinstance(result, torch.Tensor)
    assert result.tolist() == [2.0, 2.0]


def test_views_that_torch_conjugates_and_negates_later_are_taken_for_what_they_show() -> None:
    numbers = torch.tensor([1 + 2j, 3 - 4j])
    negative = numbers.conj().imag

    @torch.jit.script
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    fast = optc.compile(twice, fallback="allow")
    assert fast(negative).tolist() == [-4.0, 8.0]
    for _ in range(2):
        assert fast(torch._neg_view(torch.tensor([2.0, -4.0]))).tolist() == [-4.0, 8.0]
        assert fast(torch.tensor([2.0, -4.0])).tolist() == [4.0, -8.0]
        assert fast(numbers).tolist() == [2 + 4j, 6 - 8j]
        assert fast(numbers.conj()).tolist() == [2 - 4j, 6 + 8j]


def test_complex_tensors_need_no_way_around_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = optc.compile(torch.jit.trace(lambda z: z * 2, (torch.ones(2, dtype=torch.complex64),)))
    numbers = torch.tensor([1 + 2j, 3 - 4j])
    assert fast(numbers).tolist() == [2 + 4j, 6 - 8j]
    seen: list[bool] = []
    dispatch = CompiledFunction._dispatch

    def counted(self: CompiledFunction, *arguments: Any) -> Any:
        seen.append(arguments[0].is_conj())
        return dispatch(self, *arguments)

    monkeypatch.setattr(CompiledFunction, "_dispatch", counted)
    for _ in range(2):
        assert fast(numbers).tolist() == [2 + 4j, 6 - 8j]
        assert fast(numbers.conj()).tolist() == [2 - 4j, 6 + 8j]
    assert seen == [True, True]


def doubled(x: torch.Tensor, times: int = 2) -> torch.Tensor:
    return torch.relu(x) * times


@pytest.mark.parametrize("example", [None, (torch.ones(2),)], ids=["scripted", "traced"])
def test_a_plain_function_of_torch_is_captured_by_torch(example) -> None:  # type: ignore[no-untyped-def]
    result = optc.compile(doubled, example, fallback="error")(torch.tensor([-1.0, 3.0]))
    assert isinstance(result, torch.Tensor) and result.tolist() == [0.0, 6.0]


def test_a_function_written_in_c_is_traced() -> None:
    assert optc.compile(torch.relu, (torch.ones(2),), fallback="error")(torch.tensor([-1.0, 3.0])).tolist() == [0, 3]


def test_defaults_of_a_scripted_function_are_kept() -> None:
    fast = optc.compile(torch.jit.script(doubled), fallback="error")
    assert fast(torch.ones(1)).tolist() == [2.0] and fast(torch.ones(1), times=5).tolist() == [5.0]


def test_an_exported_method_is_compiled_by_itself() -> None:
    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([3.0]))

        def forward(self, x):  # type: ignore[no-untyped-def]
            return x

        @torch.jit.export
        def scaled(self, x):  # type: ignore[no-untyped-def]
            return x * self.weight

    assert optc.compile(torch.jit.script(Two()).scaled, fallback="error")(torch.ones(2)).tolist() == [3.0, 3.0]


def test_dtypes_and_devices_of_torch_are_arguments() -> None:
    @torch.jit.script
    def moved(x: torch.Tensor, device: torch.device, dtype: int) -> torch.Tensor:
        return x.to(device).to(dtype)

    fast = optc.compile(moved, fallback="allow")
    assert fast(torch.ones(2), torch.device("cpu"), torch.float64).dtype is torch.float64


def test_a_quantised_module_of_torch_is_taken() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())
    packed = torch.jit.script(torch.ao.quantization.quantize_dynamic(net, {torch.nn.Linear}))
    x = torch.rand(2, 4)
    torch.testing.assert_close(optc.compile(packed, fallback="allow")(x), packed(x))


@pytest.mark.parametrize("dtype", [torch.uint16, torch.float8_e4m3fn, torch.complex32], ids=str)
def test_tensors_that_nothing_computes_with_go_in_and_out(dtype) -> None:  # type: ignore[no-untyped-def]
    @torch.jit.script
    def first(x: torch.Tensor) -> torch.Tensor:
        return x[:2]

    fast = optc.compile(first, fallback="allow")
    for count in (3, 3, 4):
        result = fast(torch.arange(count).to(torch.float32).to(dtype))
        assert result.dtype is dtype and result.to(torch.complex64).tolist() == [0, 1]


def test_lists_that_a_module_holds_may_grow() -> None:
    class Counting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen = [1]

        def forward(self, x):  # type: ignore[no-untyped-def]
            self.seen.append(x.size(0))
            return x * len(self.seen)

    ours, theirs = optc.compile(torch.jit.script(Counting()), fallback="allow"), torch.jit.script(Counting())
    for _ in range(3):
        torch.testing.assert_close(ours(torch.ones(2)), theirs(torch.ones(2)))


class Spread(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(4, 6)

    def forward(self, words: list[str], scale: float = 1.0):  # type: ignore[no-untyped-def]
        return self.table(torch.tensor([len(word) % 4 for word in words])) * scale


class Grid(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(7))

    def forward(self, steps: int):  # type: ignore[no-untyped-def]
        return self.weight * steps, [torch.linspace(0, 1, steps)]


@pytest.mark.parametrize(("module", "calls"), [(Grid(), (3, 5, 3)), (Spread(), (["a", "bcd"], ["ef"], ["a", "bcd"]))])
def test_results_of_a_torch_module_are_torchs_without_tensors_among_the_arguments(module, calls) -> None:  # type: ignore[no-untyped-def]
    fast = optc.compile(torch.jit.script(module))
    for argument in calls:
        for _ in range(3):
            torch.testing.assert_close(fast(argument), module(argument), check_stride=False)
    prepared = optc.compile(torch.jit.script(module), (calls[0],))
    torch.testing.assert_close(prepared(calls[0]), module(calls[0]))


def test_a_trace_may_give_dictionaries_and_lists() -> None:
    transformers = pytest.importorskip("transformers.modeling_outputs")

    class Model(torch.nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return transformers.BaseModelOutput(last_hidden_state=x + 1)

    class Listed(torch.nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return {"a": x * 2, "b": x + 1}, [x - 1]

    x = torch.rand(3)
    found, parts = optc.compile(Listed(), (x,), fallback="error")(x)
    assert torch.equal(found["a"], x * 2) and torch.equal(found["b"], x + 1) and torch.equal(parts[0], x - 1)
    assert torch.equal(optc.compile(Model(), (x,), fallback="error")(x)["last_hidden_state"], x + 1)


def test_tensors_of_classes_derived_from_torchs_are_taken() -> None:
    class Mine(torch.Tensor):
        pass

    x = torch.ones(3).as_subclass(Mine)
    for capture in (torch.jit.script(one_more), one_more):
        result = optc.compile(capture, fallback="error")(x)
        assert type(result) is torch.Tensor and result.tolist() == [2.0, 2.0, 2.0]


def test_what_torch_compile_made_is_what_it_was_made_of() -> None:
    net, x = torch.nn.Linear(2, 2), torch.rand(3, 2)
    torch.testing.assert_close(optc.compile(torch.compile(net), (x,), fallback="error")(x), net(x).detach())
    assert optc.compile(torch.compile(one_more), (x,), fallback="error")(x).equal(x + 1)


def test_what_is_no_program_is_refused_with_what_to_give_instead() -> None:
    exported = torch.export.export(torch.nn.Linear(2, 2), (torch.rand(1, 2),))
    with pytest.raises(TypeError, match=r"not an ExportedProgram: give it program.module\(\) and example inputs"):
        optc.compile(exported)
    with pytest.raises(TypeError, match="not a torch object of Tensor"):
        optc.compile(torch.ones(2))
    with pytest.raises(TypeError, match=r"not a class: make a module of it \(Linear\(...\)\)"):
        optc.compile(torch.nn.Linear)
    with pytest.raises(TypeError, match=r"optc.jit.freeze takes modules of optc"):
        optc.jit.freeze(torch.jit.script(Net()))
    with pytest.raises(TypeError, match=r"torch.jit.save writes the same format"):
        optc.jit.save(torch.jit.script(Net()), "x.pt")
    with pytest.raises(optc.errors.ScriptError, match="it is PyTorch's: optc.compile takes functions"):
        optc.jit.script(rectified)


def rectified(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x)


class Unscriptable(torch.nn.Module):
    def forward(self, x):  # type: ignore[no-untyped-def]
        parts = {"a": x}
        return {**parts}


def test_where_torch_cannot_script_tracing_is_advised() -> None:
    with pytest.raises(Exception, match="Dict expansion") as caught:
        optc.compile(Unscriptable())
    assert "optc.compile(module, example_inputs) traces it instead" in caught.value.__notes__[0]
    assert optc.compile(Unscriptable(), (torch.ones(1),))(torch.ones(1))["a"].tolist() == [1.0]


def test_strided_tensors_stay_native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transposed, with gaps, the same row many times, of one element along a dimension, in another order of memory."""

    def twice(x: torch.Tensor) -> torch.Tensor:
        return x + x

    wide, images = torch.rand(4, 9), torch.rand(2, 5, 6, 7).to(memory_format=torch.channels_last)
    for tensors in (
        [wide.t(), wide.t()[::3], torch.rand(4).expand(3, 4)],
        [torch.rand(2, 9)[:1, :4], torch.rand(1, 4).t().contiguous().t()],
        [images, images.permute(0, 3, 1, 2)],
    ):
        for x in tensors:
            fast = optc.compile(twice)
            fast(torch.zeros(x.shape))
            with monkeypatch.context() as patched:
                patched.setattr(CompiledFunction, "_dispatch", None)  # nothing goes through Python
                torch.testing.assert_close(fast(x), x + x)

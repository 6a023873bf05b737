"""Random numbers, messages, state and errors of programs that native code leaves in parts to the interpreter."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import optc
from optc import jit, nn
from optc.errors import ExecutionError
from tests.runtime.islands import agree, compiled, is_partly_native

pytestmark = pytest.mark.usefixtures("without_native_forms")


def draws(x):
    y = nn.functional.dropout(optc.tanh(x), 0.3, True) + optc.rand(40)
    return y * optc.bernoulli(optc.sigmoid(x)), optc.randn_like(x), optc.randint(0, 9, (4,)), optc.randperm(5)


def draws_in_place(x):
    noise = optc.empty(40).uniform_(-1.0, 1.0)
    return x + noise, optc.zeros(3, 50).normal_(1.0, 2.0), optc.empty(60).bernoulli_(0.25), x.clone().exponential_()


def draws_in_a_loop(x):
    for _ in range(4):
        if bool(optc.rand(1).item() > 0.5):
            x = x + optc.randn(40)
    return x


@pytest.mark.parametrize("program", [draws, draws_in_place, draws_in_a_loop])
def test_random_numbers_are_those_of_eager_code(program: Callable[..., Any]) -> None:
    fast = compiled(jit.script(program))
    x = optc.randn(40)
    for seed in range(4):
        optc.manual_seed(seed)
        expected, behind = program(x), optc.rand(3)
        optc.manual_seed(seed)
        agree(fast(x), expected)
        agree(optc.rand(3), behind)
    assert is_partly_native(fast), fast.fallbacks


def draws_for_turned_tensors(x):
    return nn.functional.dropout(x.t(), 0.3, True), optc.rand_like(x)


def draws_with_gaps(x):
    part = optc.empty(20, 50)
    part[:, 3:9].normal_()
    return part[:, 3:9] + x[:, :6]


def draws_for_products(x):
    noise = optc.empty(30, 20).uniform_()
    return nn.functional.dropout(x @ noise, 0.3, True), optc.bernoulli(optc.sigmoid(x[2:]))


def draws_for_what_a_loop_carries(x):
    for i in range(3):
        x = nn.functional.dropout(x, 0.3, True) + i
    return x


def draws_like_halves_of_columns(x):
    mean, deviation = (x @ x.t()).chunk(2, -1)
    noise = optc.randn_like(mean) * deviation.exp() + mean
    kept = nn.functional.dropout(deviation[:, 1:], 0.4, True) + optc.rand_like(mean[1:, 1:3], dtype=optc.float64)[0, 0]
    return noise, kept, optc.randint_like(mean[:, None, 2:], 9)


def draws_like_halves_of_turned_tensors(x):
    return optc.randn_like((x @ x.t()).t()[:, :8])


REFUSED = [draws_with_gaps, draws_like_halves_of_turned_tensors]


@pytest.mark.parametrize(
    "program",
    [
        *REFUSED,
        draws_for_turned_tensors,
        draws_for_products,
        draws_for_what_a_loop_carries,
        draws_like_halves_of_columns,
    ],
)
def test_numbers_are_drawn_in_the_order_of_memory(program: Callable[..., Any]) -> None:
    scripted = jit.script(program)
    fast = compiled(scripted)
    for x in (optc.rand(20, 30), optc.rand(30, 20).t(), optc.rand(40, 60)[::2, ::2], optc.rand(20, 30)):
        optc.manual_seed(7)
        expected = scripted(x)
        optc.manual_seed(7)
        agree(fast(x), expected)
    assert is_partly_native(fast) == (program not in REFUSED), fast.fallbacks


def fails_behind_effects(x, index: int):
    noise = optc.rand(40)
    print("before")
    warnings.warn("careful", stacklevel=2)
    y = (x + noise)[index]
    print("behind")
    return y + optc.rand(1)


def test_a_failing_run_shows_its_effects_once(capsys: Any) -> None:
    scripted = jit.script(fails_behind_effects)
    fast = compiled(scripted)
    x = optc.randn(40)

    def run(program: Callable[..., Any], index: int) -> Any:
        optc.manual_seed(7)
        result = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = program(x, index)
            except Exception as error:  # noqa: BLE001
                result = (type(error), str(error))
        return result, capsys.readouterr().out, [str(w.message) for w in caught], optc.rand(3).tolist()

    for index in (3, 400, 5, -41, -40):
        found, expected = run(fast, index), run(scripted, index)
        agree(found[0], expected[0])
        assert found[1:] == expected[1:]
    assert is_partly_native(fast)


def test_a_warning_may_be_an_error() -> None:
    fast = compiled(jit.script(fails_behind_effects), dynamic=True)
    x = optc.randn(40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="careful"):
            fast(x, 3)
        with pytest.raises(UserWarning, match="careful"):
            fast(x, 3)


def fails_inside(x, k: int):
    y = x * 2
    return optc.kthvalue(y, k, 0)[0] + 1


def test_an_islands_error_is_the_interpreters() -> None:
    scripted = jit.script(fails_inside)
    fast = compiled(scripted, dynamic=True)
    x = optc.randn(20, 30)
    agree(fast(x, 3), scripted(x, 3))
    for k in (0, 21, 1000):
        with pytest.raises(ExecutionError) as expected:
            scripted(x, k)
        with pytest.raises(ExecutionError) as found:
            fast(x, k)
        assert str(found.value) == str(expected.value)
        agree(fast(x, 20), scripted(x, 20))


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", optc.zeros(30))

    def forward(self, x, k: int):
        self.total += x.sum(0)
        return optc.kthvalue(x, k, 0)[0] + self.total


def test_a_failing_island_leaves_state_alone() -> None:
    fast, module = compiled(jit.script(Counting())), Counting()
    x = optc.randn(20, 30)
    for k in (1, 50, 2, 3):
        if k == 50:
            with pytest.raises(ExecutionError):
                fast(x, k)
            module.total += x.sum(0)  # the interpreter has run up to the error
            continue
        agree(fast(x, k), module(x, k))


def says_its_sum(x):
    y = x * 2
    print(f"the sum is {y.sum().item()}")
    return y + 1


def test_interrupts_come_out_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = compiled(jit.script(says_its_sum))
    fast(optc.ones(4))

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("optc.eager.node_functions._write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fast(optc.ones(4))
    agree(fast(optc.ones(4)), optc.full((4,), 3.0))

"""Arguments that are one object, or lie in the same memory: compiled code must do what the program says of them."""

import warnings

import numpy as np
import pytest

import optc
from optc.errors import OptcWarning
from optc.runtime.sharing import is_apart, sharing_of


@optc.jit.script
def add_one_to_first(x: optc.Tensor, y: optc.Tensor) -> optc.Tensor:
    x.add_(1)
    return x + y


@optc.jit.script
def which(x: optc.Tensor, y: optc.Tensor) -> optc.Tensor:
    if x is y:
        return x + 1
    return x * 7


@optc.jit.script
def which_in_list(xs: list[optc.Tensor]) -> optc.Tensor:
    if xs[0] is xs[1]:
        return xs[0] + 1
    return xs[0] * 7


def numbers() -> optc.Tensor:
    return optc.tensor([1.0, 2.0, 3.0])


def both(program, make_arguments):
    """The results of the interpreter and of compiled code, and what they left in the arguments; calls are repeated
    so that the native entry has its turn."""
    compiled = optc.compile(program, fallback="allow")
    found = []
    for call in (program, compiled, compiled, compiled):
        arguments = make_arguments()
        result = call(*arguments)
        found.append([result.tolist(), *(argument.tolist() for argument in arguments)])
    return found


def one_and_its_view():
    one = numbers()
    return one, one.view(3)


def neighbours_of_one():
    base = numbers()
    return base[1:], base[:-1]


@pytest.mark.parametrize("program", [add_one_to_first, which], ids=["written", "compared"])
@pytest.mark.parametrize(
    "make_arguments",
    [
        lambda: (numbers(), numbers()),
        lambda: (numbers(),) * 2,
        one_and_its_view,
        neighbours_of_one,
        lambda: (numbers()[::2],) * 2,
    ],
    ids=["apart", "one object", "same memory", "overlapping", "one strided object"],
)
def test_compiled_code_sees_which_arguments_are_one(program, make_arguments):
    expected, *others = both(program, make_arguments)
    assert all(found == expected for found in others)


@pytest.mark.parametrize("first, second", [("apart", "one"), ("one", "apart")])
def test_a_version_for_one_object_does_not_serve_two(first, second):
    compiled = optc.compile(which)
    calls = {
        "apart": (lambda x: compiled(x, numbers()), [7.0, 14.0, 21.0]),
        "one": (lambda x: compiled(x, x), [2.0, 3.0, 4.0]),
    }
    for name in (first, second, first, second):
        call, expected = calls[name]
        assert call(numbers()).tolist() == expected
    assert compiled.fallbacks == []
    assert len(compiled.specializations) == 2


def test_arrays_and_items_of_lists_are_objects_too():
    array, other = np.ones(3, np.float32), np.ones(3, np.float32)
    compiled, in_list = optc.compile(which), optc.compile(which_in_list)
    assert compiled(array, array).tolist() == [2.0] * 3
    assert compiled(array, other).tolist() == [7.0] * 3
    assert in_list([numbers(), numbers()]).tolist() == [7.0, 14.0, 21.0]
    one = numbers()
    assert in_list([one, one]).tolist() == [2.0, 3.0, 4.0]


def test_what_overlaps_is_interpreted_and_says_so():
    compiled = optc.compile(add_one_to_first)
    with pytest.warns(OptcWarning, match="shares memory with another one of the call"):
        compiled(*neighbours_of_one())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled(numbers(), numbers()).tolist() == [3.0, 5.0, 7.0]
    assert compiled.fallbacks == []


def test_neighbours_in_memory_lie_apart():
    base = optc.arange(6.0)
    compiled = optc.compile(add_one_to_first, fallback="error")
    assert compiled(base[:3], base[3:]).tolist() == [4.0, 6.0, 8.0]
    assert base.tolist() == [1.0, 2.0, 3.0, 3.0, 4.0, 5.0]


def test_the_buffer_of_a_module_is_recognised_among_its_arguments():
    class Counter(optc.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("total", optc.zeros(3))

        def forward(self, x):
            self.total.add_(x)
            return self.total + x

    module, other = optc.jit.script(Counter()), optc.jit.script(Counter())
    compiled = optc.compile(other, fallback="allow")
    for argument in (numbers(), None, numbers()):
        given, held = (module.total, other.total) if argument is None else (argument, argument)
        assert module(given).tolist() == compiled(held).tolist()


def test_programs_that_need_not_know_have_one_version():
    compiled = optc.compile(add_plain)
    one = numbers()
    compiled(one, one)
    compiled(one, numbers())
    assert len(compiled.specializations) == 1


@optc.jit.script
def add_plain(x: optc.Tensor, y: optc.Tensor) -> optc.Tensor:
    return x + y


def test_sharing_names_the_first_of_equal_objects():
    one, two = numbers(), numbers()
    assert sharing_of([one, [two, one], {"a": two}, 3]) == (0, 1, 0, 1)
    assert is_apart(sharing_of([one, two]))

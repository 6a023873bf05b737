"""Every rewrite rule, checked for meaning.

The pattern of each rule is built on its examples, rewritten, and both graphs are run on numbers chosen to hurt: zeros
of both signs, infinities, NaN, the smallest and largest numbers. Further shapes and element types are tried as well:
there the rule may refuse, but if it applies it must be right. `x + 0 = x` is not a rule, and these tests know it.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from optc import interpreter
from optc.eager.dispatch import wrap
from optc.errors import OptcError
from optc.ir import dtypes
from optc.ir.graph import Graph, Value
from optc.ir.types import TensorType
from optc.ops.builder import Builder
from optc.ops.verify import verify
from optc.passes import addmm_fusion, canonicalize
from optc.rewrite import (
    Call,
    Computed,
    Match,
    Pair,
    Rule,
    RuleSet,
    Tensor,
    Variable,
    apply_rules,
    build,
    limited,
    resolve,
    rule,
)

ALL_RULES = [*canonicalize.RULES, *addmm_fusion.RULES]
SHAPES: tuple[tuple[int, ...], ...] = ((2, 3), (3,), (1, 3), (2, 1), (), (0, 3))
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, np.inf, -np.inf, np.nan, 1e-42, -1e-42, 3e38, -3e38, 1e-3, 7.25]
INTEGERS = [0, 1, -1, 2, 7, -5, 2**63 - 1, -(2**63)]


def numbers(type_: TensorType, seed: int) -> np.ndarray[Any, Any]:
    """An array of a type, full of difficult numbers."""
    generator = np.random.default_rng(seed)
    assert type_.dtype is not None and type_.shape is not None
    source = FLOATS if type_.dtype.kind == "float" else [0, 1] if type_.dtype is dtypes.BOOL else INTEGERS
    with np.errstate(all="ignore"):
        return generator.choice(np.array(source), size=type_.shape).astype(type_.dtype.numpy)


def tensor_type(example: Any) -> TensorType:
    """(2, 3) is a float tensor, ("int64", (2, 3)) one of another element type."""
    if isinstance(example[0] if example else None, str):
        return TensorType(dtypes.BY_NAME[example[0]], example[1])
    return TensorType(dtypes.FLOAT32, tuple(example))


def instantiate(item: Rule, example: dict[str, Any]) -> Graph:
    """A graph that computes the rule's pattern. Raises what the operators say of unfit arguments."""
    graph = Graph()
    builder = Builder(graph)
    values: dict[str, Value] = {}
    for variable in item.variables:
        given = example[variable.name]
        if isinstance(variable, Tensor):
            values[variable.name] = graph.add_input(tensor_type(given), variable.name)
        else:
            values[variable.name] = builder.value(given)
    graph.add_output(_build_pattern(item.find, values, builder, example))
    return graph


def _build_pattern(pattern: Any, values: dict[str, Value], builder: Builder, example: dict[str, Any]) -> Any:
    if isinstance(pattern, Variable):
        return values[pattern.name]
    if isinstance(pattern, Computed):
        raise TypeError("a pattern computes nothing")
    if not isinstance(pattern, Call):
        return pattern
    arguments = [_build_pattern(part, values, builder, example) for part in pattern.arguments if part is not ...]
    if pattern.arguments[-1] is ...:
        arguments += example.get("rest", [])
    return builder(resolve(pattern.kind, arguments).name, *arguments)


def check_meaning(item: Rule, example: dict[str, Any], rounds: int = 6) -> bool:
    """Rewrite and compare. False when the rule refuses. Raises AssertionError for a wrong rule."""
    before = instantiate(item, example)
    after = before.copy()
    if not apply_rules(after, [item]):
        return False
    verify(after)
    left_type, right_type = before.outputs[0].type, after.outputs[0].type
    assert left_type == right_type, f"{item}: {left_type} became {right_type}"
    for seed in range(rounds):
        arrays = [numbers(value.type, seed) for value in before.inputs if isinstance(value.type, TensorType)]
        results = [interpreter.run(graph, [wrap(array.copy()) for array in arrays]) for graph in (before, after)]
        assert_same(item, *(result._array for result in results))
    return True


def assert_same(item: Rule, left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> None:
    assert left.dtype == right.dtype and left.shape == right.shape, f"{item}: {left.shape} became {right.shape}"
    if left.dtype.kind != "f":
        assert np.array_equal(left, right), f"{item}: {left} became {right}"
        return
    if not item.exact:
        finite = np.isfinite(left) & np.isfinite(right) & (np.abs(left.astype(np.float64)) < 1e30)
        assert np.allclose(left[finite], right[finite], rtol=1e-2, atol=1e-2), f"{item}: {left} became {right}"
        return
    assert np.array_equal(left, right, equal_nan=True), f"{item}: {left} became {right}"
    number = ~np.isnan(left)
    assert np.array_equal(np.signbit(left)[number], np.signbit(right)[number]), f"{item}: the sign of a zero is lost"


def all_examples() -> list[Any]:
    return [
        pytest.param(item, example, id=f"{item.name}-{place}")
        for item in ALL_RULES
        for place, example in enumerate(item.examples)
    ]


@pytest.mark.parametrize(("item", "example"), all_examples())
def test_rule_fires_on_its_examples_and_keeps_the_meaning(item: Rule, example: dict[str, Any]) -> None:
    assert check_meaning(item, example), f"{item} does not fire on {example}"


@pytest.mark.parametrize("item", ALL_RULES, ids=lambda item: item.name)
def test_rule_is_right_wherever_it_applies(item: Rule) -> None:
    """Other shapes (broadcast either way, 0-d, empty) and element types: right, or refused."""
    tensors = [variable.name for variable in item.variables if isinstance(variable, Tensor)]
    example = item.examples[0]
    for shapes in itertools.product(SHAPES, repeat=len(tensors)):
        for name in ("float32", "int64", "float16"):
            changed = {key: (name, shape) for key, shape in zip(tensors, shapes)}
            if "c" in changed and item.name.startswith("where"):
                changed["c"] = ("bool", changed["c"][1])
            try:
                check_meaning(item, example | changed, rounds=1)
            except (OptcError, IndexError, RuntimeError, TypeError, ValueError):
                continue


@pytest.mark.parametrize("item", ALL_RULES, ids=lambda item: item.name)
def test_rule_applied_again_finds_nothing(item: Rule) -> None:
    graph = instantiate(item, item.examples[0])
    apply_rules(graph, [item])
    assert not apply_rules(graph, [item])


def planted(find_and_put: Any, example: dict[str, Any]) -> Rule:
    return rule(RuleSet("planted"), examples=[example])(find_and_put)


def test_wrong_rules_are_caught() -> None:
    def add_zero(x: Tensor) -> Pair:
        """x + 0 = x  (wrong for -0.0)"""
        return x + 0, x

    def multiply_by_zero(x: Tensor) -> Pair:
        """x * 0 = x - x  (wrong signs, and wrong for inf in other ways)"""
        return x * 0, x - x

    def divide_itself(x: Tensor) -> Pair:
        """x / x = x ** 0  (wrong for 0, inf and nan)"""
        return x / x, x**0

    def sum_for_product(x: Tensor) -> Pair:
        """x * x = x + x  (nonsense)"""
        return x * x, x + x

    for wrong in (add_zero, multiply_by_zero, divide_itself, sum_for_product):
        with pytest.raises(AssertionError):
            check_meaning(planted(wrong, {"x": (4, 5)}), {"x": (4, 5)})


def test_rule_that_would_change_the_type_does_not_apply() -> None:
    def expanded(x: Tensor, y: Tensor) -> Pair:
        """x - y = x  (nonsense, but with another type it does not even apply)"""
        return x - y, x

    item = planted(expanded, {"x": (3,), "y": (2, 3)})
    assert not apply_rules(instantiate(item, {"x": (3,), "y": (2, 3)}), [item])


def test_rules_that_do_not_end_are_reported() -> None:
    def swap(x: Tensor, y: Tensor) -> Pair:
        """x - y = x - y  for ever"""
        return x - y, x - y

    item = planted(swap, {"x": (3,), "y": (3,)})
    with pytest.raises(OptcError, match="swap does not come to an end"):
        apply_rules(instantiate(item, item.examples[0]), [item])


def test_why_says_what_stopped_a_rule(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPTC_WHY", "add_zero_to_integer")
    item = next(item for item in ALL_RULES if item.name == "add_zero_to_integer")
    graph = instantiate(item, {"x": (2, 3)})
    assert not apply_rules(graph, [item])
    assert "-0.0 + 0 is 0" in capsys.readouterr().err


def test_limit_stops_after_so_many_rewrites() -> None:
    graph = Graph()
    value = graph.add_input(TensorType(dtypes.FLOAT32, (2,)), "x")
    builder = Builder(graph)
    for _ in range(3):
        value = builder("aten::mul.Scalar", value, 1)
    graph.add_output(value)
    with limited(2):
        apply_rules(graph, ALL_RULES)
    assert sum(node.kind == "aten::mul" for node in graph.walk()) == 1


def test_replacement_can_be_built_by_hand() -> None:
    item = next(item for item in ALL_RULES if item.name == "second_power")
    graph = instantiate(item, item.examples[0])
    node = graph.outputs[0].node
    made = build(item.put, Match(node, {"x": graph.inputs[0]}), Builder(graph))
    assert made.node.kind == "aten::mul"


@pytest.mark.parametrize("item", ALL_RULES, ids=lambda item: item.name)
def test_rule_states_its_equation(item: Rule) -> None:
    assert item.equation and not item.equation.endswith(".")

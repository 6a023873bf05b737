"""Classes keep the names they have in their archive; modules from several archives can still be saved together."""

from __future__ import annotations

import enum
import gc
import io
import weakref

import pytest

import optc
from optc import nn
from optc.errors import ArchiveError, ExecutionError
from tests.archive.handmade import EMPTY_OBJECT, archive

LAYER = "class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return {}\n"
ENUM = "class Color(Enum):\n  RED = {}\n"


def layer(expression: str) -> optc.jit.ScriptModule:
    return optc.jit.load(io.BytesIO(archive({"__torch__.py": LAYER.format(expression)}, EMPTY_OBJECT)))


def again(module: optc.jit.ScriptModule) -> optc.jit.ScriptModule:
    return optc.jit.load(io.BytesIO(module.save_to_buffer()))


def test_an_archive_loaded_twice_is_saved_under_its_own_names() -> None:
    layer("x")
    second = layer("torch.neg(x)")
    assert second._c.type.name == "__torch__.M"
    assert again(second)._c.type.name == "__torch__.M"


def test_classes_of_one_name_from_three_archives_get_names_of_their_own_when_they_are_saved_together() -> None:
    both = optc.jit.script(nn.Sequential(layer("torch.add(x, 1)"), layer("torch.mul(x, 3)"), layer("torch.neg(x)")))
    loaded = again(both)
    assert loaded(optc.ones(1)).tolist() == [-6.0]
    assert len({child._c.type.name for child in loaded.children()}) == 3
    assert [child._c.type.name for child in both.children()] == ["__torch__.M"] * 3


def test_enumerations_of_one_name_are_told_apart_by_their_members() -> None:
    def value_of_red(value: int) -> int:
        code = LAYER.replace("x: Tensor) -> Tensor", "x: Tensor) -> int").format("(__torch__.Color.RED).value")
        loaded = optc.jit.load(io.BytesIO(archive({"__torch__.py": ENUM.format(value) + code}, EMPTY_OBJECT)))
        result: int = loaded(optc.ones(1))
        return result

    assert [value_of_red(1), value_of_red(2)] == [1, 2]


def test_a_member_of_the_callers_own_enumeration_is_the_archives_member() -> None:
    code = LAYER.replace("x: Tensor) -> Tensor", "x: __torch__.Color) -> bool").format(
        "torch.eq(x, __torch__.Color.RED)"
    )
    loaded = optc.jit.load(io.BytesIO(archive({"__torch__.py": ENUM.format(7) + code}, EMPTY_OBJECT)))

    assert loaded(enum.Enum("Other", [("RED", 7)]).RED)


def test_a_member_of_an_enumeration_is_a_default_value() -> None:
    function = "def value(color: __torch__.Color=__torch__.Color.RED) -> int:\n  return color.value\n"
    code = LAYER.replace("x: Tensor) -> Tensor", "x: Tensor) -> int").format("__torch__.value()")

    def loaded(function: str) -> optc.jit.ScriptModule:
        return optc.jit.load(io.BytesIO(archive({"__torch__.py": ENUM.format(7) + function + code}, EMPTY_OBJECT)))

    assert loaded(function)(optc.ones(1)) == 7
    with pytest.raises(ArchiveError, match=r"__torch__\.Color\.GREEN is no constant"):
        loaded(function.replace("Color.RED", "Color.GREEN"))(optc.ones(1))


def test_the_smallest_integer_can_be_written() -> None:
    assert layer("torch.add(x, -9223372036854775808)")(optc.zeros(1, dtype=optc.int64)).item() == -(2**63)


def test_what_a_missing_operator_returns_is_compiled_around() -> None:
    """The code of a missing operator says nothing of its result, which other operators then take."""
    module = layer("torch.relu(ops.quantized.unheard_of(torch.neg(x)))")
    with pytest.raises(ExecutionError, match="has no operator quantized::unheard_of"):
        optc.compile(module, fallback="allow")(optc.ones(2))


@pytest.mark.parametrize(
    "lines",
    [
        "y, z = torch.unheard_of(x, out0=x)\n    return torch.add(y, z)",
        "torch.unheard_of_(x)\n    return x",
        "_0 = torch.unheard_of(x)\n    y, z, = _0\n    return torch.add(y, _0)",
        "y = torch.autograd.grad([x], [x])\n    torch.autograd.backward(x)\n    return x",
        "y = torch.relu(torch.autograd.grad([x], [x]))\n    return y",
    ],
)
def test_code_keeps_what_it_does_with_the_results_of_missing_operators(lines: str) -> None:
    """That tells how many there are: of a call as a statement there is none."""
    module = optc.jit.load(io.BytesIO(archive({"__torch__.py": LAYER.replace("return {}", lines)}, EMPTY_OBJECT)))
    assert module.code.endswith(f"    {lines}\n".replace("\n    ", "\n  ")[2:])
    assert again(module).code == module.code
    for run in (module, optc.compile(module, fallback="allow")):
        with pytest.raises(ExecutionError, match="has no operator aten::"):
            run(optc.ones(2))


def test_only_what_differentiates_is_in_autograd() -> None:
    with pytest.raises(ArchiveError, match="attribute lookup is not defined on builtin"):
        layer("torch.autograd.relu(x)")(optc.ones(1))


@pytest.mark.parametrize(
    "call",
    [
        *(
            f"ops.prim.{name}(x)"
            for name in ("If", "Loop", "GetAttr", "SetAttr", "fork", "CallMethod", "Island", "Store")
        ),
        *(f"ops.prim.{name}()" for name in ("TupleIndex", "TupleUnpack", "CreateObject", "tolist", "RaiseException")),
    ],
)
def test_what_is_part_of_the_language_cannot_be_called(call: str) -> None:
    """Such nodes have blocks and attributes that no call gives them."""
    with pytest.raises(ArchiveError, match=r"m/code/__torch__.py: .*prim::"):
        layer(call).save_to_buffer()
    with pytest.raises(ArchiveError, match=r"m/code/__torch__.py: .*prim::"):
        layer(call)(optc.ones(2))


def test_a_missing_operator_is_not_taken_for_one_that_only_computes() -> None:
    """Nobody uses its result, but it may have written what is returned."""
    body = "y = torch.neg(x)\n    _0 = torch.unheard_of(x, 3, out=y)\n    return y"
    code = LAYER.replace("return {}", body)
    module = optc.jit.load(io.BytesIO(archive({"__torch__.py": code}, EMPTY_OBJECT)))
    assert "torch.unheard_of(x, 3, out=y)" in module.code
    for run in (module, optc.compile(module, fallback="allow"), again(module)):
        with pytest.raises(ExecutionError, match="has no operator aten::unheard_of"):
            run(optc.ones(2))


def test_what_a_missing_operator_returns_does_not_choose_an_overload() -> None:
    """Nobody knows whether two tensors or two ints are compared: the branch loads as what the method says it returns."""
    code = """class M(Module):
  def forward(self: __torch__.M,
    x: Tensor) -> bool:
    _0 = torch.gt(torch.dim(x), 7)
    if _0:
      _1 = torch.eq(torch.unheard_of(x, 1), 6)
    else:
      _1 = False
    return _1
"""
    module = optc.jit.load(io.BytesIO(archive({"__torch__.py": code}, EMPTY_OBJECT)))
    for run in (module, optc.compile(module, fallback="allow"), again(module)):
        assert run(optc.ones(2)) is False
        with pytest.raises(ExecutionError, match="has no operator aten::unheard_of"):
            run(optc.ones([1] * 8))
    assert "torch.eq(torch.unheard_of(x, 1), 6)" in module.code


def test_a_module_that_has_run_is_freed_with_its_graphs() -> None:
    module = layer("torch.neg(x)")
    module(optc.ones(1))
    forward = weakref.ref(module._c.type.methods["forward"])
    del module
    gc.collect()
    assert forward() is None

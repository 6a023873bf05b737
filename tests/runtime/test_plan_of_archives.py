"""Programs from archives that come from the disk cache: their code need not be compiled for it, as long as it is theirs."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optc
from optc import nn
from optc.errors import ArchiveError
from optc.ir.function import Function
from tests.archive.handmade import EMPTY_OBJECT
from tests.archive.handmade import archive as made_by_hand


class Scaled(nn.Module):
    """A layer, and numbers in the text."""

    def __init__(self) -> None:
        super().__init__()
        optc.manual_seed(0)
        self.layer = nn.Linear(8, 4)

    def scaled(self, x: optc.Tensor) -> optc.Tensor:
        return x * 2.5

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        return self.scaled(self.layer(x)) + 1.5


class ScaledOtherwise(Scaled):
    def scaled(self, x: optc.Tensor) -> optc.Tensor:
        return x * 3.5


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own."""
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("OPTC_CACHE", "OPTC_PASSES", "OPTC_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    optc.jit.script(Scaled()).save(tmp_path / "scaled.pt")
    return tmp_path / "scaled.pt"


def is_restored(compiled: Any) -> bool:
    return "restore" in compiled.specializations[-1].seconds


def forward(module: Any) -> Function:
    function: Function = module._c.type.methods["forward"]
    return function


def test_the_code_of_an_archive_is_not_compiled_when_its_plan_is_found(archive: Path) -> None:
    x = optc.ones(2, 8)
    first, again = optc.compile(optc.jit.load(archive), x), optc.jit.load(archive)
    second = optc.compile(again, x)
    assert (is_restored(first), is_restored(second)) == (False, True)
    assert not forward(again).is_defined
    assert np.array_equal(first(x)._array, second(x)._array)
    assert np.array_equal(second(x)._array, again(x)._array)


def test_code_that_has_been_compiled_is_found_by_its_graphs(archive: Path) -> None:
    x = optc.ones(2, 8)
    optc.compile(optc.jit.load(archive), x)
    looked_at = optc.jit.load(archive)
    looked_at(x)
    assert forward(looked_at).is_defined
    assert is_restored(optc.compile(looked_at, x))


def test_all_versions_of_a_program_are_found(archive: Path) -> None:
    first = optc.compile(optc.jit.load(archive), dynamic=False)
    second = optc.compile(optc.jit.load(archive), dynamic=False)
    for rows in (2, 3, 4):
        x = optc.ones(rows, 8)
        assert np.array_equal(first(x)._array, second(x)._array)
        assert (is_restored(first), is_restored(second)) == (False, True)


def changed_graph(module: Any) -> None:
    graph = module._c.type.methods["scaled"].graph
    (number,) = [node for node in graph.nodes if node.attributes.get("value") == 2.5]
    number.attributes["value"] = 3.5


def other_method(module: Any) -> None:
    other = optc.jit.script(ScaledOtherwise())._c.type.methods["scaled"]
    own, (self, *others) = module._c.type, other.schema.arguments
    other.graph.inputs[0].type = own
    schema = replace(other.schema, arguments=(replace(self, type=own), *others))
    own.methods["scaled"] = Function(other.name, schema, other.graph)


def changed_weight(module: Any) -> None:
    module.layer.weight._array[3, 7] += 1


def changed_attribute(module: Any) -> None:
    module.layer.bias = nn.Parameter(optc.ones(4))


@pytest.mark.parametrize("change", [changed_graph, other_method, changed_weight, changed_attribute])
def test_what_is_not_as_in_the_archive_is_a_program_of_its_own(archive: Path, change: Callable[[Any], None]) -> None:
    x = optc.ones(2, 8)
    plain = optc.compile(optc.jit.load(archive), x)
    module = optc.jit.load(archive)
    change(module)
    compiled = optc.compile(module, x)
    assert not is_restored(compiled)
    assert np.allclose(compiled(x)._array, module(x)._array, rtol=1e-6)
    assert not np.allclose(compiled(x)._array, plain(x)._array, rtol=1e-6)


@optc.jit.interface
class Part:
    def forward(self, x: optc.Tensor) -> optc.Tensor:
        pass


class AddsOne(nn.Module):
    def forward(self, x: optc.Tensor) -> optc.Tensor:
        return x + 1


class AddsTwo(nn.Module):
    def forward(self, x: optc.Tensor) -> optc.Tensor:
        return x + 2


class HasPart(nn.Module):
    part: Part

    def __init__(self) -> None:
        super().__init__()
        self.part = AddsOne()

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        return self.part.forward(x)


def test_a_part_from_elsewhere_has_other_code_behind_the_same_text(tmp_path: Path) -> None:
    optc.jit.script(HasPart()).save(tmp_path / "part.pt")
    results = []
    for step in (2, 3):
        module, part = optc.jit.load(tmp_path / "part.pt"), optc.jit.script(AddsTwo())
        (number,) = [node for node in forward(part).graph.nodes if node.attributes.get("value") == 2]
        number.attributes["value"] = step
        module._c.values["part"] = part._c
        results.append(optc.compile(module)(optc.zeros(2))._array.tolist())
        number.attributes["value"] = 2
    assert results == [[2.0, 2.0], [3.0, 3.0]]


def test_other_text_is_another_program(archive: Path) -> None:
    x = optc.ones(2, 8)
    optc.compile(optc.jit.load(archive), x)
    optc.jit.script(ScaledOtherwise()).save(archive)
    module = optc.jit.load(archive)
    compiled = optc.compile(module, x)
    assert not is_restored(compiled)
    assert np.allclose(compiled(x)._array, module(x)._array, rtol=1e-6)


def test_constants_of_an_archive_are_part_of_its_text(tmp_path: Path) -> None:
    x, results = optc.ones(4), []
    for number in (1.0, 2.0):
        constant = optc.full((4,), number)
        optc.jit.trace(lambda x, constant=constant: x + constant, (x,)).save(tmp_path / "constant.pt")
        results.append(optc.compile(optc.jit.load(tmp_path / "constant.pt"), x)(x)._array.tolist())
    assert results == [[2.0] * 4, [3.0] * 4]


def test_the_declaration_of_a_method_tells_its_schema(archive: Path) -> None:
    module = optc.jit.load(archive)
    declared = str(forward(module).schema)
    assert not forward(module).is_defined
    forward(module).ensure_defined()
    assert str(forward(module).schema) == declared


def test_code_that_cannot_be_compiled_says_so_where_it_is_called() -> None:
    code = "class M(Module):\n  def forward(self, x: Tensor) -> Tensor:\n    return torch.add(y, 1)\n"
    module = optc.jit.load(io.BytesIO(made_by_hand({"__torch__.py": code}, EMPTY_OBJECT)))
    for program in (module, optc.compile(module)):
        with pytest.raises(ArchiveError, match="undefined value y"):
            program(optc.ones(2))

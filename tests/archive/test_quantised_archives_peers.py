"""Modules that PyTorch quantised: they load, run and compile to its very integers, and PyTorch loads them again."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import optc
from optc.cli.main import main

torch = pytest.importorskip("torch")
quantization = pytest.importorskip("torch.ao.quantization")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
nn = torch.nn


class Residual(nn.Module):  # type: ignore[misc, name-defined]
    """Convolutions, a sum, a join, pools and a linear layer between the two ends of quantisation."""

    def __init__(self) -> None:
        super().__init__()
        functional = torch.ao.nn.quantized.FloatFunctional
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.first, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.second = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.sum, self.join = functional(), functional()
        self.pool, self.last = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor):
        x = self.relu(self.first(self.quant(x)))
        x = self.sum.add_relu(self.second(x), x)
        x = nn.functional.max_pool2d(self.join.cat([x, x], dim=1), 2)
        return self.dequant(self.last(torch.flatten(self.pool(x), 1)))


def static() -> tuple[Any, tuple[Any, ...]]:
    torch.manual_seed(0)
    module, x = Residual().eval(), torch.randn(2, 3, 8, 8)
    module.qconfig = quantization.get_default_qconfig("fbgemm")
    prepared = quantization.prepare(module)
    prepared(x)
    return quantization.convert(prepared), (x,)


class Sequence(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layers, self.last = kind(6, 5, 2, bidirectional=True), nn.Linear(10, 3)

    def forward(self, x: torch.Tensor):
        y, state = self.layers(x)
        return self.last(y), state


def dynamic(kind: Any, dtype: Any) -> tuple[Any, tuple[Any, ...]]:
    torch.manual_seed(0)
    module = quantization.quantize_dynamic(Sequence(kind).eval(), {kind, nn.Linear}, dtype=dtype)
    return module, (torch.randn(7, 2, 6),)


class Cell(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(6, 5)

    def forward(self, x: torch.Tensor, h: torch.Tensor):
        return self.cell(x, h)


def cell() -> tuple[Any, tuple[Any, ...]]:
    torch.manual_seed(0)
    module = quantization.quantize_dynamic(Cell().eval(), {nn.GRUCell}, dtype=torch.qint8)
    return module, (torch.randn(2, 6), torch.randn(2, 5))


def embedding() -> tuple[Any, tuple[Any, ...]]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(10, 8)).eval()
    module.qconfig = quantization.float_qparams_weight_only_qconfig
    return quantization.convert(quantization.prepare(module)), (torch.tensor([[1, 3, 9]]),)


MODULES = {
    "convolutions and linear layers": static,
    "an LSTM": lambda: dynamic(nn.LSTM, torch.qint8),
    "a GRU": lambda: dynamic(nn.GRU, torch.qint8),
    "an LSTM with weights in half": lambda: dynamic(nn.LSTM, torch.float16),
    "a GRU cell": cell,
    "an embedding": embedding,
}


def flat(value: Any) -> list[Any]:
    if isinstance(value, tuple | list):
        return [item for part in value for item in flat(part)]
    return [] if value is None else [value.detach().numpy()]


@pytest.mark.parametrize("is_traced", [False, True], ids=["scripted", "traced"])
@pytest.mark.parametrize("name", MODULES)
def test_a_quantised_module_is_pytorchs(name: str, is_traced: bool, capsys: Any, tmp_path: Any) -> None:
    module, inputs = MODULES[name]()
    program = torch.jit.trace(module, inputs, check_trace=False) if is_traced else torch.jit.script(module)
    path = tmp_path / "module.pt"
    program.save(path)
    wanted = flat(program(*inputs))
    mine = [optc.from_numpy(x.numpy()) for x in inputs]
    loaded = optc.jit.load(path)
    fast = optc.compile(optc.jit.load(path), fallback="allow")
    for found in (loaded(*mine), fast(*mine), fast(*mine)):
        for expected, result in zip(wanted, flat(found), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    assert not fast.fallbacks
    assert main(["check", str(path)]) == 0
    capsys.readouterr()
    saved = io.BytesIO()
    loaded.save(saved)
    saved.seek(0)
    again = torch.jit.load(saved)
    for expected, result in zip(wanted, flat(again(*inputs)), strict=True):
        np.testing.assert_array_equal(result, expected)
    assert again.code == torch.jit.load(path).code


def test_the_integers_of_a_result_are_pytorchs() -> None:
    def function(x: torch.Tensor):
        first = torch.quantize_per_tensor(x, 0.1, 10, torch.quint8)
        second = torch.ops.quantized.mul(first, torch.sigmoid(first), 0.05, 3)
        return second, torch.ops.quantized.add_scalar(second, 1.5).int_repr(), second.q_zero_point()

    program = torch.jit.script(function)
    saved = io.BytesIO()
    torch.jit.save(program, saved)
    x = torch.linspace(-5, 5, 64)
    first, integers, point = program(x)
    found, other, same = optc.jit.load(saved.getvalue())(optc.from_numpy(x.numpy()))
    assert (found.q_scale(), found.q_zero_point()) == (first.q_scale(), first.q_zero_point())
    np.testing.assert_array_equal(found.int_repr().numpy(), first.int_repr().numpy())
    np.testing.assert_array_equal(other.numpy(), integers.numpy())
    assert point == same


@pytest.mark.slow
@pytest.mark.parametrize("is_traced", [False, True], ids=["scripted", "traced"])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "googlenet"])
def test_a_quantised_network_of_torchvision_is_compiled_whole(name: str, is_traced: bool) -> None:
    pytest.importorskip("tests.models.torchvision_operators")
    models = pytest.importorskip("torchvision.models.quantization")
    torch.manual_seed(0)
    network, x = getattr(models, name)(weights=None, quantize=False).eval(), torch.randn(2, 3, 64, 64)
    network.fuse_model()
    network.qconfig = quantization.get_default_qconfig("fbgemm")
    quantization.prepare(network, inplace=True)(x)
    quantization.convert(network, inplace=True)
    program = torch.jit.trace(network, x, check_trace=False) if is_traced else torch.jit.script(network)
    saved = io.BytesIO()
    torch.jit.save(program, saved)
    fast = optc.compile(optc.jit.load(saved.getvalue()), fallback="error")
    for expected, result in zip(flat(program(x)), flat(fast(optc.from_numpy(x.numpy()))), strict=True):
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6 * np.abs(expected).max())

"""Every layer, traced and scripted: graphs, inlined graphs and code are PyTorch's, and PyTorch loads the archive."""

from __future__ import annotations

import io

import pytest

import optc
from tests.jit.both import canonical, run_program

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

LAYERS = {
    "nn.Linear(4, 2)": "torch.rand(3, 4)",
    "nn.BatchNorm1d(4)": "torch.rand(3, 4)",
    "nn.BatchNorm1d(4).eval()": "torch.rand(3, 4)",
    "nn.Dropout(0.5)": "torch.rand(3, 4)",
    "nn.LayerNorm(4)": "torch.rand(3, 4)",
    "nn.GroupNorm(2, 4)": "torch.rand(3, 4)",
    "nn.RMSNorm(4)": "torch.rand(3, 4)",
    "nn.ReLU()": "torch.rand(3, 4)",
    "nn.ReLU(inplace=True)": "torch.rand(3, 4)",
    "nn.ReLU6()": "torch.rand(3, 4)",
    "nn.LeakyReLU()": "torch.rand(3, 4)",
    "nn.PReLU()": "torch.rand(3, 4)",
    "nn.ELU()": "torch.rand(3, 4)",
    "nn.SiLU()": "torch.rand(3, 4)",
    "nn.Mish()": "torch.rand(3, 4)",
    "nn.GELU()": "torch.rand(3, 4)",
    "nn.GELU(approximate='tanh')": "torch.rand(3, 4)",
    "nn.GLU()": "torch.rand(3, 4)",
    "nn.Hardswish()": "torch.rand(3, 4)",
    "nn.Hardtanh()": "torch.rand(3, 4)",
    "nn.Softplus()": "torch.rand(3, 4)",
    "nn.Sigmoid()": "torch.rand(3, 4)",
    "nn.Tanh()": "torch.rand(3, 4)",
    "nn.Softmax(dim=-1)": "torch.rand(3, 4)",
    "nn.LogSoftmax(dim=-1)": "torch.rand(3, 4)",
    "nn.Flatten()": "torch.rand(3, 4, 2)",
    "nn.Unflatten(1, (2, 2))": "torch.rand(3, 4)",
    "nn.Identity()": "torch.rand(3, 4)",
    "nn.Bilinear(4, 4, 2)": "torch.rand(3, 4), torch.rand(3, 4)",
    "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 2), nn.Softmax(dim=-1))": "torch.rand(3, 4)",
}
CAPTURES = {"trace": "torch.jit.trace(layer, inputs, check_trace=False)", "script": "torch.jit.script(layer)"}


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("layer", LAYERS)
def test_layer(layer: str, capture: str) -> None:
    program = f"""
    torch.manual_seed(0)
    layer = {layer}
    inputs = ({LAYERS[layer]},)
    captured = {CAPTURES[capture]}
    """
    theirs, ours = (run_program(program, library, f"layer {layer}")["captured"] for library in (torch, optc))
    assert canonical(ours.graph) == canonical(theirs.graph)
    assert canonical(ours.inlined_graph) == canonical(theirs.inlined_graph)
    assert ours.code == theirs.code
    loaded = torch.jit.load(io.BytesIO(ours.save_to_buffer()))
    assert loaded.code == ours.code

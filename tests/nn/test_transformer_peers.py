"""Attention and transformers against PyTorch: text, names, initial values, results; and PyTorch's own, as archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


def normal(*shape: int) -> Any:
    return np.random.default_rng([3, *shape]).standard_normal(shape).astype(np.float32)


PAST = np.triu(np.ones((3, 5), bool), 2)
CAUSAL = np.triu(np.full((3, 3), -np.inf, np.float32), 1)
ENDS = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], bool)
QUERY, KEY = normal(3, 2, 8), normal(5, 2, 8)
FIRST = [normal(2, 3, 8), normal(2, 5, 8), normal(2, 5, 8)]

CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("MultiheadAttention(8, 2)", [QUERY, KEY, KEY], {}),
    ("MultiheadAttention(8, 2, batch_first=True, bias=False)", FIRST,
     {"need_weights": False, "attn_mask": PAST, "key_padding_mask": ENDS}),
    ("MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True)", [QUERY, KEY, KEY],
     {"attn_mask": PAST, "average_attn_weights": False}),
    ("MultiheadAttention(8, 2, kdim=6, vdim=4)", [QUERY, normal(5, 2, 6), normal(5, 2, 4)], {"key_padding_mask": ENDS}),
    ("MultiheadAttention(8, 2)", [QUERY[:, 0], KEY[:, 0], KEY[:, 0]], {"attn_mask": normal(3, 5)}),
    ("TransformerEncoderLayer(8, 2, 16, activation='gelu')", [QUERY], {}),
    ("TransformerEncoderLayer(8, 2, 16, norm_first=True, batch_first=True)", [normal(2, 5, 8)],
     {"src_key_padding_mask": ENDS}),
    ("TransformerDecoderLayer(8, 2, 16, bias=False)", [QUERY, KEY], {"tgt_mask": CAUSAL}),
    ("TransformerEncoder(N.TransformerEncoderLayer(8, 2, 16), 2)", [KEY], {"src_key_padding_mask": ENDS}),
    ("TransformerDecoder(N.TransformerDecoderLayer(8, 2, 16, norm_first=True), 2, N.LayerNorm(8))", [QUERY, KEY], {}),
    ("Transformer(8, 2, 1, 2, 16)", [KEY, QUERY], {"tgt_mask": CAUSAL, "memory_key_padding_mask": ENDS}),
]  # fmt: skip


def make(package: Any, expression: str) -> Any:
    package.manual_seed(1)
    return eval(expression, {**vars(package.nn), "N": package.nn}).eval()


def numbers(value: Any) -> list[Any]:
    if isinstance(value, tuple | list):
        return [array for item in value for array in numbers(item)]
    return [] if value is None else [value.detach().numpy()]


def agree(found: Any, expected: Any) -> None:
    for mine, other in zip(numbers(found), numbers(expected), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("expression", "inputs", "keywords"), CASES)
def test_is_the_layer_of_pytorch(expression: str, inputs: list[Any], keywords: dict[str, Any]) -> None:
    ours, theirs = make(optc, expression), make(torch, expression)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values()):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    masks = {key: torch.from_numpy(item) if isinstance(item, np.ndarray) else item for key, item in keywords.items()}
    expected = theirs(*map(torch.from_numpy, inputs), **masks)
    given = [optc.from_numpy(item) for item in inputs]
    masks = {key: optc.from_numpy(item) if isinstance(item, np.ndarray) else item for key, item in keywords.items()}
    scripted = optc.jit.script(ours)
    for engine in (ours, scripted, optc.compile(scripted, fallback="error")):
        agree(engine(*given, **masks), expected)


PROGRAMS = [
    "TransformerEncoderLayer(8, 2, 16, batch_first=True)",
    "TransformerEncoderLayer(8, 2, 16, activation='gelu', norm_first=True, batch_first=True)",
    "TransformerEncoder(N.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, N.LayerNorm(8))",
    "TransformerEncoder(N.TransformerEncoderLayer(8, 2, 16), 2, enable_nested_tensor=False)",
]


@pytest.mark.parametrize("capture", ["trace", "script"])
@pytest.mark.parametrize("expression", PROGRAMS)
def test_archives_of_encoders_compile_whole(expression: str, capture: str, tmp_path: Path) -> None:
    module, x = make(torch, expression), torch.from_numpy(normal(2, 5, 8))
    with torch.no_grad():
        program = torch.jit.trace(module, (x,)) if capture == "trace" else torch.jit.script(module)
        program.save(tmp_path / "encoder.pt")
        fast = optc.compile(tmp_path / "encoder.pt", fallback="error")
        for size in (2, 3):
            x = torch.from_numpy(normal(size, 5, 8))
            agree(fast(optc.from_numpy(x.numpy())), module(x))

"""Operators in old archives mean what they meant then; PyTorch 2.13 judges every one that has changed."""

from __future__ import annotations

import io

import numpy as np
import pytest

import optc
from tests.archive.handmade import EMPTY_OBJECT, archive

FORWARD = "class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return {}\n"
WHOLE = "torch.to(x, 4)"
CALLS = [
    "torch.div(x, 2)", f"torch.div({WHOLE}, 2)", f"torch.div({WHOLE}, 2.)", f"torch.div({WHOLE}, {WHOLE})",
    f"torch.div({WHOLE}, 2, rounding_mode=\"floor\")", f"torch.div({WHOLE}, {WHOLE}, rounding_mode=None)",
    f"torch.div_({WHOLE}, 2)", f"torch.div_({WHOLE}, {WHOLE})", f"torch.div_({WHOLE}, 2, rounding_mode=\"floor\")",
    f"torch.div({WHOLE}, {WHOLE}, out=torch.zeros([2]))", f"torch.div({WHOLE}, {WHOLE}, out=torch.to(torch.zeros([2]), 4))",
    "torch.full([2], 3)", "torch.full([2], 3, dtype=4)", "torch.full([2], True)", "torch.full([2], int(torch.sum(x)))",
    "torch.full([2], 3, dtype=None, layout=None, device=torch.device(\"cpu\"), pin_memory=False)",
    "torch.linspace(0, 1)", "torch.linspace(0, 1, None)", "torch.linspace(0., 10, 5, dtype=7)",
    "torch.linspace(0., 1.5, steps=None, dtype=None, layout=None, device=None, pin_memory=None)",
    "torch.logspace(0, 1)", "torch.logspace(0, 1, None, 2.)", "torch.logspace(0, 1, base=3.)", "torch.logspace(0, 1, 4)",
    "torch.gelu(x)",
]  # fmt: skip


def saved(call: str, version: int) -> bytes:
    return archive({"__torch__.py": FORWARD.format(call)}, EMPTY_OBJECT, str(version))


@pytest.mark.parametrize(("version", "expected"), [(3, [1, -1]), (4, [1.5, -1.5])])
def test_division_of_integers(version: int, expected: list[float]) -> None:
    assert optc.jit.load(io.BytesIO(saved("torch.div(x, 2)", version)))(optc.tensor([3, -3])).tolist() == expected


@pytest.mark.parametrize(("name", "since"), [("linspace", 8), ("logspace", 9)])
def test_a_hundred_steps_where_none_are_given(name: str, since: int) -> None:
    old = optc.jit.load(io.BytesIO(saved(f"torch.{name}(0, 1)", since - 1)))
    assert old.code.endswith(f"return torch.{name}(0, 1, 100)\n")
    new = optc.jit.load(io.BytesIO(saved(f"torch.{name}(0, 1)", since)))
    with pytest.raises(RuntimeError, match=f"no operator aten::{name}"):
        new(optc.ones(1))


IMAGE = "torch.view(torch.arange(12., dtype=6), [1, 1, 3, 4])"
LINE, VOLUME = (f"torch.view(torch.arange(24., dtype=6), {shape})" for shape in ("[2, 3, 4]", "[1, 1, 2, 3, 4]"))
ENLARGED = [
    f'torch.__interpolate({IMAGE}, None, 2., "nearest", None)', f"torch.__interpolate({IMAGE}, [6, 7])",
    f'torch.__interpolate({IMAGE}, [6, 8], None, "bilinear", True)', f"torch.__interpolate({IMAGE}, 5)",
    f'torch.__interpolate({IMAGE}, None, [2., 3.], "bilinear", False, True)',
    f'torch.__interpolate({IMAGE}, None, 1.7)', f'torch.__interpolate({IMAGE}, None, 1.7, "bilinear", False, False)',
    f'torch.__interpolate({LINE}, None, [1.3], "linear")', f'torch.__interpolate({VOLUME}, [3, 3, 3], None, "area")',
    f'torch.__interpolate({VOLUME}, None, 2., "trilinear", True)', f'torch.__interpolate({VOLUME}, 3, 2.)',
    f"torch.__upsample({IMAGE}, None, 2)", f'torch.__upsample({IMAGE}, [6, 7], None, "bilinear", True)',
    f"torch.__upsample_nearest({IMAGE}, 5)", f"torch.__upsample_nearest({IMAGE}, [5, 6])",
    f"torch.__upsample_bilinear({IMAGE}, None, [2, 3])", f"torch.__upsample_bilinear({IMAGE}, 8)",
]  # fmt: skip


def test_an_operator_of_old_archives_keeps_its_name() -> None:
    module = optc.jit.load(io.BytesIO(saved(f"torch.__interpolate({IMAGE}, [3, 8])", 1)))
    assert module(optc.ones(1))[0, 0, 0].tolist() == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    again = optc.jit.load(io.BytesIO(module.save_to_buffer()))
    assert again.code == module.code
    assert "torch.__interpolate(" in module.code


def test_a_factor_only_tells_the_size_unless_it_is_not_to_be_computed_anew() -> None:
    row = "torch.view(torch.arange(10.), [1, 1, 10])"
    results = [
        optc.jit.load(io.BytesIO(saved(f'torch.__interpolate({row}, None, 0.35, "nearest", None, {anew})', 1)))
        for anew in ("True", "False")
    ]
    assert [module(optc.ones(1))[0, 0].tolist() for module in results] == [[0.0, 3.0, 6.0], [0.0, 2.0, 5.0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "Either size or scale_factor should be defined"),
        (', 3, None, "nearest", True', "align_corners option can only be set"),
        (', 3, None, "linear"', "Got 4D input, but linear mode needs 3D input"),
        (', 3, None, "other"', r"Only 3D, 4D and 5D input Tensors supported \(got 4D\) .* \(got other\)"),
    ],
)
def test_images_that_do_not_go_with_the_mode(arguments: str, message: str) -> None:
    module = optc.jit.load(io.BytesIO(saved(f"torch.__interpolate({IMAGE}{arguments})", 1)))
    with pytest.raises(RuntimeError, match=message):
        module(optc.ones(1))


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", ENLARGED)
def test_old_operators_of_images_as_in_pytorch(call: str) -> None:
    torch = pytest.importorskip("torch")
    data = saved(call, 1)
    expected = torch.jit.load(io.BytesIO(data))(torch.ones(1))
    module = optc.jit.load(io.BytesIO(data))
    for result in (module(optc.ones(1)), optc.compile(module, fallback="error")(optc.ones(1))):
        np.testing.assert_allclose(result.numpy(), expected.numpy(), rtol=1e-6, atol=1e-6)
    again = torch.jit.load(io.BytesIO(module.save_to_buffer()))
    torch.testing.assert_close(again(torch.ones(1)), expected)
    assert again.code == module.code


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", [1, 3, 4, 7, 8, 10])
@pytest.mark.parametrize("call", CALLS)
def test_as_in_pytorch(call: str, version: int) -> None:
    torch = pytest.importorskip("torch")
    data = saved(call, version)
    x = torch.tensor([3.0, -4.0])
    try:
        expected = torch.jit.load(io.BytesIO(data))(x.clone())
    except RuntimeError:
        with pytest.raises(RuntimeError):
            optc.jit.load(io.BytesIO(data))(optc.tensor([3.0, -4.0]))
        return
    module = optc.jit.load(io.BytesIO(data))
    result = module(optc.tensor([3.0, -4.0]))
    assert result.dtype.name == str(expected.dtype).removeprefix("torch.")
    np.testing.assert_allclose(result.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)
    again = torch.jit.load(io.BytesIO(module.save_to_buffer()))
    torch.testing.assert_close(again(x.clone()), expected)
    if "out=" not in call:
        assert module.code == torch.jit.load(io.BytesIO(data)).code

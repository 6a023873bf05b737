"""Everything PyTorch can put into an archive: optc loads and runs it, and PyTorch loads what optc saves of it."""

from __future__ import annotations

import importlib.util
import io
import re
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optc
from optc.errors import ArchiveError, ExecutionError

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

MANGLED = re.compile(r"___torch_mangle_\d+\.")
"""What a process adds to the names of classes that it has had before."""

HEAD = """
import enum
import torch
from torch import nn
from typing import Dict, List, NamedTuple, Optional, Tuple
from torch import Tensor

class Color(enum.Enum):
    RED = 1
    BLUE = 2

class Pair(NamedTuple):
    first: Tensor
    count: int

@torch.jit.interface
class Layer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass

class AddOne(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1

class Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2

@torch.jit.script
class Scale:
    def __init__(self, factor: int, offset: Tensor):
        self.factor = factor
        self.offset = offset
    def apply(self, x: Tensor) -> Tensor:
        return x * self.factor + self.offset
"""

MODULES = {
    "a generator of random numbers of its own": """
class Net(nn.Module):
    def forward(self, x):
        generator = torch.Generator()
        generator.manual_seed(5)
        return x + torch.rand(x.size(), generator=generator) + torch.rand(2, generator=generator)
""",
    "a stream of another device": """
class Net(nn.Module):
    def forward(self, x, stream: Optional[torch.Stream] = None):
        return x + 1
""",
    "where a tensor lies": """
class Net(nn.Module):
    def forward(self, x):
        return x + x[1:].storage_offset()
""",
    "a mark for the profiler": """
class Net(nn.Module):
    def forward(self, x):
        with torch.autograd.profiler.record_function("marked"):
            y = x * 2
        return y
""",
    "autocast that is switched off": """
class Net(nn.Module):
    def forward(self, x):
        with torch.autocast(device_type="cpu", enabled=False):
            y = torch.relu(x)
        return y
""",
    "an enumeration": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.color = Color.BLUE
    def forward(self, x):
        return x if self.color == Color.RED else x * self.color.value
""",
    "a member of an enumeration as a default value": """
def painted(x: Tensor, color: Color = Color.BLUE) -> Tensor:
    return x if color == Color.RED else x * color.value

class Net(nn.Module):
    def forward(self, x):
        return painted(x)
""",
    "an interface": """
class Net(nn.Module):
    layer: Layer
    def __init__(self):
        super().__init__()
        self.layer = AddOne()
    def forward(self, x: Tensor) -> Tensor:
        return self.layer.forward(x)
""",
    "modules chosen at run time": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([AddOne(), Double()])
    def forward(self, x: Tensor) -> Tensor:
        for i in range(4):
            layer: Layer = self.layers[i % 2]
            x = layer.forward(x)
        return x
""",
    "forks": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = AddOne()
    def forward(self, x):
        left = torch.jit.fork(self.inner, x)
        right = torch.jit.fork(self.twice, x)
        return torch.jit.wait(left) + torch.jit.wait(right)
    def twice(self, x):
        return x * 2
""",
    "a script object": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = Scale(3, torch.ones(2))
    def forward(self, x):
        return self.scale.apply(x)
""",
    "objects behind an interface": """
@torch.jit.interface
class Step:
    def apply(self, x: Tensor) -> Tensor:
        pass

@torch.jit.script
class Shift:
    def __init__(self, offset: int):
        self.offset = offset
    def apply(self, x: Tensor) -> Tensor:
        return x + self.offset

class Net(nn.Module):
    step: Step
    def __init__(self):
        super().__init__()
        self.step = Shift(2)
    def forward(self, x):
        steps: List[Step] = [self.step, Shift(5), Scale(2, x)]
        for step in steps:
            x = step.apply(x)
        return x
""",
    "a named tuple": """
class Net(nn.Module):
    def forward(self, x) -> Pair:
        return Pair(x, 2)
""",
    "state of its own making": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.total = torch.ones(2)
    def forward(self, x):
        self.total = self.total + x
        return self.total
    @torch.jit.export
    def __getstate__(self):
        return (self.total * 3, self.training)
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        self.total = state[0] + 1
        self.training = state[1]
""",
    "buffers that are views": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        base = torch.arange(24.0).reshape(2, 3, 4)
        self.register_buffer("base", base)
        self.register_buffer("view", base.permute(2, 0, 1)[1:])
        self.register_buffer("wide", torch.ones(1).expand(4))
    def forward(self, x):
        return x + self.view.sum() + self.base.sum() + self.wide.sum()
""",
    "dictionaries in control flow": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = {"a": [1, -1, 3], "b": [200, 4]}
    def forward(self, x):
        kept: List[Tensor] = []
        for key in self.table:
            for value in self.table[key]:
                if value < 0:
                    continue
                if value > 100:
                    break
                kept.append(x * value)
        assert len(kept) > 0, f"nothing of {len(self.table)}"
        return torch.stack(kept)
""",
}


def archive_of(source: str, folder: Path) -> bytes:
    """What torch saves of the module that a program, written to a file of its own, defines as Net."""
    name = f"program_{zlib.crc32(source.encode())}"
    path = folder / f"{name}.py"
    path.write_text(HEAD + source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    program = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(program.Net()), buffer)
    return buffer.getvalue()


def leaves(value: Any) -> list[Any]:
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value.detach().numpy() if hasattr(value, "detach") else value]


@pytest.mark.parametrize("name", MODULES)
def test_loads_runs_compiles_and_goes_back(name: str, tmp_path: Path) -> None:
    data = archive_of(MODULES[name], tmp_path)
    x = np.array([1.0, -2.0], np.float32)
    expected = leaves(torch.jit.load(io.BytesIO(data))(torch.from_numpy(x)))
    ours = optc.jit.load(io.BytesIO(data))
    saved = ours.save_to_buffer()
    compiled = optc.compile(optc.jit.load(io.BytesIO(data)), fallback="allow")
    for found in (ours(optc.from_numpy(x)), compiled(optc.from_numpy(x))):
        for mine, theirs in zip(leaves(found), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    again = torch.jit.load(io.BytesIO(saved))
    once = optc.jit.load(io.BytesIO(saved))
    assert str(once) == str(again)
    twice = optc.jit.load(io.BytesIO(once.save_to_buffer()))
    assert MANGLED.sub("", once.code) == MANGLED.sub("", twice.code)
    if "__setstate__" not in MODULES[name]:  # which changes the state each time
        for mine, theirs in zip(leaves(again(torch.from_numpy(x))), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_members_called_like_keywords_are_read_and_written_so_that_torch_reads_them(tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("class", AddOne())
        self.register_buffer("0", torch.ones(2))
        setattr(self, "def", 3)
    def forward(self, x):
        return getattr(self, "class")(x)
"""
    ours = optc.jit.load(io.BytesIO(archive_of(source, tmp_path)))
    assert ours(optc.ones(2)).tolist() == [2.0, 2.0]
    again = torch.jit.load(io.BytesIO(ours.save_to_buffer()))
    assert again(torch.ones(2)).tolist() == [2.0, 2.0]
    assert getattr(again, "def") == 3


NAMES = ("class", "lambda", "a-b", "a b", "\u00fc\u2603", "a'b\"c\\d\n", "9", "007", "9a")


def test_members_of_any_name_are_written_so_that_torch_reads_them() -> None:
    """PyTorch cannot read its own archives where a name has a backslash, a line break or other letters than ASCII."""
    net = optc.nn.Sequential()
    for name in NAMES:
        net.add_module(name, optc.nn.Linear(2, 2))
    module = optc.jit.script(net)
    saved = module.save_to_buffer()
    x = optc.ones(1, 2)
    again, theirs = optc.jit.load(io.BytesIO(saved)), torch.jit.load(io.BytesIO(saved))
    assert [name for name, _ in theirs.named_children()] == list(NAMES)
    assert again.code == module.code == theirs.code
    assert again(x).tolist() == module(x).tolist()
    np.testing.assert_allclose(theirs(torch.ones(1, 2)).detach(), module(x).detach(), rtol=1e-6)


def test_an_attribute_called_lambda_is_read_as_torch_writes_it(tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        setattr(self, "lambda", 3)
    def forward(self, x):
        return x * 2
"""
    ours = optc.jit.load(io.BytesIO(archive_of(source, tmp_path)))
    assert getattr(ours, "lambda") == 3


HELD = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        for name in ("uint16", "uint32", "uint64", "float8_e5m2", "float8_e4m3fn", "complex32"):
            self.register_buffer(name, torch.arange(6).reshape(2, 3).to(getattr(torch, name)).t())
    def forward(self, x):
        return self.uint16
"""


def test_tensors_of_types_that_nothing_computes_with_go_both_ways(tmp_path: Path) -> None:
    data = archive_of(HELD, tmp_path)
    ours = optc.jit.load(io.BytesIO(data))
    theirs = torch.jit.load(io.BytesIO(ours.save_to_buffer())).state_dict()
    for name, expected in torch.jit.load(io.BytesIO(data)).state_dict().items():
        assert str(ours.state_dict()[name].dtype) == str(expected.dtype) == str(theirs[name].dtype)
        assert ours.state_dict()[name].stride() == expected.stride() == theirs[name].stride()
        assert expected.untyped_storage().tolist() == theirs[name].untyped_storage().tolist()


def test_tensors_without_elements_keep_their_strides(tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("part", torch.zeros(2, 3, 4)[:, :0])
        self.register_buffer("turned", torch.zeros(0, 5).t())
    def forward(self, x):
        self.part += 1
        return x
"""
    ours = optc.jit.load(io.BytesIO(archive_of(source, tmp_path)))
    ours(optc.ones(1))
    again = torch.jit.load(io.BytesIO(ours.save_to_buffer()))
    assert (ours.part.stride(), ours.turned.stride()) == ((12, 4, 1), (1, 5))
    assert (again.part.stride(), again.turned.stride()) == ((12, 4, 1), (1, 5))


@pytest.mark.parametrize(
    ("made", "what"),
    [
        ("torch.eye(3).to_sparse()", "a sparse tensor cannot be read"),
        ("torch.ones(3, device='meta')", "on the device meta, cannot be read"),
        (
            "torch.zeros(3, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)",
            "a tensor of Float4_e2m1fn_x2 cannot be read",
        ),
    ],
)
def test_tensors_that_optc_does_not_have_are_refused_in_words(made: str, what: str, tmp_path: Path) -> None:
    source = f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("b", {made})
    def forward(self, x):
        return x
"""
    with pytest.raises(ArchiveError, match=what):
        optc.jit.load(io.BytesIO(archive_of(source, tmp_path)))


@pytest.mark.parametrize("name", ["float8_e4m3fn", "complex32", "uint64"])
def test_compiled_code_gives_back_buffers_of_types_without_arithmetic(name: str, tmp_path: Path) -> None:
    source = f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("b", torch.arange(3.).to(torch.{name}))
    def forward(self, x):
        return x * 2, self.b
"""
    ours = optc.jit.load(io.BytesIO(archive_of(source, tmp_path)))
    compiled = optc.compile(ours, fallback="allow")
    doubled, held = compiled(optc.ones(2))
    assert doubled.tolist() == [2.0, 2.0]
    assert held.dtype is getattr(optc, name)
    assert held.to(optc.complex64).tolist() == [0, 1, 2]
    # Complex numbers are pairs of real ones to native code, which has half precision.
    expected = [] if name == "complex32" else ["prim::Constant"]
    assert [each.operator for each in compiled.fallbacks] == expected


def test_quantised_tensors_and_native_objects_pass_through() -> None:
    quantised = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(4, 4)))
    traced = torch.jit.trace(quantised, torch.ones(2, 4))
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    ours = optc.jit.load(io.BytesIO(buffer.getvalue()))
    expected = traced(torch.ones(2, 4)).numpy()
    assert np.allclose(ours(optc.ones(2, 4)).numpy(), expected, atol=1e-6)
    again = torch.jit.load(io.BytesIO(ours.save_to_buffer()))
    assert torch.equal(again(torch.ones(2, 4)), traced(torch.ones(2, 4)))


def test_what_autocast_would_compute_in_another_type_is_refused(tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def forward(self, x):
        with torch.autocast("cpu"):
            y = torch.mm(x, x)
        return y
"""
    ours = optc.jit.load(io.BytesIO(archive_of(source, tmp_path)))
    for program in (ours, optc.compile(ours, fallback="allow")):
        with pytest.raises(ExecutionError, match="does not compute in another type under autocast"):
            program(optc.ones(2, 2))


def test_errors_quote_the_archive_and_the_users_file(tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            raise ValueError("too large")
        return x
"""
    ours = optc.jit.load(io.BytesIO(archive_of(source, tmp_path)))
    with pytest.raises(ExecutionError) as caught:
        ours(optc.ones(1))
    text = str(caught.value)
    assert 'serialized code (most recent call last):\n  File "code/__torch__' in text
    assert "original code (most recent call last):" in text
    assert 'raise ValueError("too large")\n            ~~~~~' in text


def test_hooks_of_the_module_itself_run_in_compiled_code(tmp_path: Path) -> None:
    source = """
def before(self, input: Tuple[Tensor]) -> Tuple[Tensor]:
    return (input[0] * 2,)

def after(self, input: Tuple[Tensor], output: Tensor) -> Tensor:
    return output + input[0].sum()

class Hooked(AddOne):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1

def Net():
    net = Hooked()
    net.register_forward_pre_hook(before)
    net.register_forward_hook(after)
    return net
"""
    ours = optc.jit.load(io.BytesIO(archive_of(source, tmp_path)))
    assert ours(optc.ones(2)).tolist() == [7.0, 7.0]
    compiled = optc.compile(ours, fallback="error")
    assert compiled(optc.ones(2)).tolist() == [7.0, 7.0]
    assert ours.forward(optc.ones(2)).tolist() == [2.0, 2.0]


def test_objects_that_freezing_made_constants_are_read(tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = Scale(3, torch.ones(2))
    def forward(self, x):
        return self.scale.apply(x)
"""
    frozen = torch.jit.freeze(torch.jit.load(io.BytesIO(archive_of(source, tmp_path))).eval())
    buffer = io.BytesIO()
    torch.jit.save(frozen, buffer)
    ours = optc.jit.load(io.BytesIO(buffer.getvalue()))
    assert ours(optc.ones(2)).tolist() == [4.0, 4.0]
    assert optc.compile(ours, fallback="allow")(optc.ones(2)).tolist() == [4.0, 4.0]
    assert torch.jit.load(io.BytesIO(ours.save_to_buffer()))(torch.ones(2)).tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    "layer", ["Linear(8, 4)", "Conv1d(8, 4, 3)", "Conv2d(8, 4, 3, stride=2, padding=1, groups=2)", "Conv3d(8, 4, 1)"]
)
def test_modules_in_the_blocked_memory_of_onednn(layer: str) -> None:
    """Their `__setstate__` puts the weights there; here they stay where they are."""
    mkldnn = pytest.importorskip("torch.utils.mkldnn")

    shapes = {"Linear": (3, 8), "Conv1d": (1, 8, 6), "Conv2d": (1, 8, 6, 6), "Conv3d": (1, 8, 3, 3, 3)}
    x = torch.randn(shapes[layer.partition("(")[0]])
    original = eval(f"torch.nn.{layer}").eval()

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = mkldnn.to_mkldnn(original)

        def forward(self, x: Any) -> Any:
            return self.inner(x.to_mkldnn()).to_dense()

    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(Net(), (x,), check_trace=False), buffer)
    ours = optc.jit.load(io.BytesIO(buffer.getvalue()))
    expected = original(x).detach()
    for run in (ours, optc.compile(ours, fallback="error")):
        np.testing.assert_allclose(run(optc.from_numpy(x.numpy())).detach(), expected, rtol=1e-4, atol=1e-5)
    again = torch.jit.load(io.BytesIO(ours.save_to_buffer()))
    torch.testing.assert_close(again(x).detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wants_gradient", [True, False])
@pytest.mark.parametrize("frozen", [False, True])
def test_parameters_say_whether_they_require_gradients(wants_gradient: bool, frozen: bool) -> None:
    """Libraries add a bias `if bias.requires_grad`: archives keep that, frozen modules do not."""

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.bias = torch.nn.Parameter(torch.ones(3), requires_grad=wants_gradient)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.bias.requires_grad:
                x = x + self.bias
            return x * 2 if x.requires_grad else x

    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Net()), buffer)
    theirs, ours = torch.jit.load(io.BytesIO(buffer.getvalue())), optc.jit.load(io.BytesIO(buffer.getvalue()))
    if frozen:
        theirs, ours = torch.jit.freeze(theirs.eval()), optc.jit.freeze(ours.eval())
    with torch.no_grad():
        expected = theirs(torch.ones(2, 3)).tolist()
    for run in (ours, optc.compile(ours, fallback="error")):
        with optc.no_grad():
            assert run(optc.ones(2, 3)).tolist() == expected

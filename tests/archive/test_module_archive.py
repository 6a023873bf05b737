"""TorchScript archives: saved and loaded modules are the same; damaged and hostile files are refused."""

import contextlib
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import optc
from optc import nn
from optc.errors import ArchiveError, ExecutionError
from tests.archive.handmade import EMPTY_OBJECT, archive


class Pair(NamedTuple):
    first: optc.Tensor
    count: int


class State(nn.Module):
    """Attributes of many types, a buffer, a shared parameter, an exported method."""

    words: dict[str, list[int]]
    maybe: optc.Tensor | None
    pairs: list[tuple[int, float]]

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.tied = nn.Parameter(self.linear.weight.detach()[0])
        self.register_buffer("steps", optc.zeros(1, dtype=optc.int64))
        self.words = {"a": [1, 2], "b": []}
        self.maybe = None
        self.pairs = [(1, 0.5)]
        self.big = 2**40
        self.text = "ünïcode"
        self.rate = 0.1

    def forward(self, x: optc.Tensor, scale: float = 2.0) -> Pair:
        self.steps += 1
        total = 0
        for value in self.words["a"]:
            total += value
        for number, weight in self.pairs:
            x = x * weight + number
        maybe = self.maybe
        if maybe is not None:
            x = x + maybe
        return Pair(self.linear(x) * scale * self.rate, total + self.big)

    @optc.jit.export
    def describe(self, key: str) -> str:
        return self.text + key


def saved(module: Any) -> bytes:
    buffer = io.BytesIO()
    optc.jit.save(module, buffer)
    return buffer.getvalue()


def reloaded(module: Any) -> Any:
    return optc.jit.load(io.BytesIO(saved(module)))


def test_a_module_with_state_comes_back() -> None:
    module: Any = optc.jit.script(State())
    twin = reloaded(module)
    x = optc.full((2, 3), 0.25)
    first, count = module(x)
    again, count_again = twin(x)
    assert optc.equal(first, again)
    assert count == count_again == 2**40 + 3
    assert twin.describe("!") == "ünïcode!"
    assert twin.words == {"a": [1, 2], "b": []}
    assert twin.steps.tolist() == [1]
    assert list(twin.state_dict()) == list(module.state_dict())
    assert twin.code == module.code
    assert repr(twin) == repr(module)


def test_defaults_and_training_mode_are_kept() -> None:
    twin = reloaded(optc.jit.script(State().eval()))
    assert not twin.training
    x = optc.ones(1, 3)
    assert optc.equal(twin(x).first if hasattr(twin(x), "first") else twin(x)[0], twin(x, 2.0)[0])


def test_memory_shared_by_tensors_is_shared_again() -> None:
    twin = reloaded(optc.jit.script(State()))
    twin.tied.detach().fill_(7.0)
    assert twin.linear.weight[0].tolist() == [7.0, 7.0, 7.0]


def test_saving_what_was_loaded_gives_the_same_archive() -> None:
    once = optc.jit.load(io.BytesIO(saved(optc.jit.script(State()))))
    twice = optc.jit.load(io.BytesIO(saved(once)))
    assert twice.code == once.code
    assert optc.equal(twice(optc.ones(1, 3))[0], once(optc.ones(1, 3))[0])


def test_files_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    traced = optc.jit.trace(nn.Linear(3, 2), (optc.ones(3),))
    traced.save(path)
    assert zipfile.ZipFile(path).namelist()[0].startswith("model/")
    loaded = optc.jit.load(path)
    assert optc.equal(loaded(optc.ones(3)), traced(optc.ones(3)))
    assert loaded.weight._array.ctypes.data % 64 == 0
    assert [each.name for each in tmp_path.iterdir()] == ["model.pt"]


def test_functions_become_modules() -> None:
    unit = optc.jit.CompilationUnit("def f(x: Tensor, n: int) -> Tensor:\n  return x * n\n")
    loaded = reloaded(unit.f)
    assert loaded(optc.ones(2), 3).tolist() == [3.0, 3.0]


def test_extra_files() -> None:
    buffer = io.BytesIO()
    optc.jit.save(optc.jit.trace(nn.ReLU(), (optc.ones(1),)), buffer, _extra_files={"note.txt": "hello", "raw": b"\0"})
    wanted: dict[str, Any] = {"note.txt": "", "raw": "", "missing": ""}
    optc.jit.load(io.BytesIO(buffer.getvalue()), _extra_files=wanted)
    assert wanted == {"note.txt": b"hello", "raw": b"\0", "missing": b""}


def test_extra_files_are_text_or_bytes() -> None:
    with pytest.raises(TypeError, match="'count' is of type int"):
        optc.jit.save(optc.jit.trace(nn.ReLU(), (optc.ones(1),)), io.BytesIO(), _extra_files={"count": 5})


def test_a_name_that_the_process_uses_already_is_changed() -> None:
    module = optc.jit.trace(nn.ReLU(), (optc.ones(1),))
    outer = nn.Sequential(reloaded(module), reloaded(module))
    loaded = reloaded(optc.jit.script(outer))
    assert loaded(optc.full((1,), -1.0)).tolist() == [0.0]


# Archives of others: written by hand


def loads(data: bytes) -> Any:
    return optc.jit.load(io.BytesIO(data))


FORWARD = "class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor{}) -> Tensor:\n    return {}\n"


def test_a_minimal_archive() -> None:
    module = loads(archive({"__torch__.py": FORWARD.format("", "torch.relu(x)")}, EMPTY_OBJECT))
    assert module(optc.full((2,), -1.0)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("version", "dtype"), [("4", "float32"), ("5", "int64")])
def test_so_does_full(version: str, dtype: str) -> None:
    module = loads(archive({"__torch__.py": FORWARD.format("", "torch.full([2], 3)")}, EMPTY_OBJECT, version))
    assert module(optc.ones(1)).dtype.name == dtype


ITSELF = b"\x80\x02c__torch__\nM\n)\x81q\0}X\1\0\0\0mh\0sb."
RESTORED = (
    "class M(Module):\n  def __getstate__(self: __torch__.M) -> int:\n    return 1\n"
    '  def __setstate__(self: __torch__.M,\n    n: int) -> NoneType:\n    ops.prim.RaiseException("no")\n    return None\n'
)

DAMAGE = {
    "a module inside itself": (
        archive({"__torch__.py": "class M(Module):\n  m : __torch__.M\n"}, ITSELF),
        "m/data.pkl: the submodules are nested without end",
    ),
    "a state that cannot be restored": (
        archive({"__torch__.py": RESTORED}, b"\x80\x02c__torch__\nM\n)\x81K\1b."),
        "__setstate__ failed",
    ),
    "a pickle": (b"\x80\x02N.", "as torch.save wrote before PyTorch 1.6"),
    "an empty file": (b"", "this is no zip file"),
    "a NamedTuple inside itself": (
        archive(
            {"__torch__.py": "class N(NamedTuple):\n  n : __torch__.N\nclass M(Module):\n  n : __torch__.N\n"},
            EMPTY_OBJECT,
        ),
        "m/code/__torch__.py",
    ),
    "no code": (archive({}, EMPTY_OBJECT), "this is no TorchScript archive"),
    "an old layout": (archive({}, EMPTY_OBJECT, **{"model.json": b"{}"}), "PyTorch 1.0 and 1.1"),
    "version 11": (archive({"a.py": ""}, EMPTY_OBJECT, "11"), "m/version: version 11 is not supported"),
    "version x": (archive({"a.py": ""}, EMPTY_OBJECT, "x"), "m/version: 'x' is no version number"),
    "code that cannot be parsed": (
        archive({"__torch__.py": "class M("}, EMPTY_OBJECT),
        "m/code/__torch__.py: the code",
    ),
    "code nested too deeply": (archive({"__torch__.py": "x = " + "(" * 5000}, EMPTY_OBJECT), "m/code/__torch__.py"),
    "a class that is not there": (archive({"__torch__.py": "pass"}, EMPTY_OBJECT), "m/data.pkl: __torch__.M is not"),
    "an import": (archive({"__torch__.py": "pass"}, b"\x80\x02cos\nsystem\n."), "os.system is not allowed"),
    "a module that is no object": (archive({"__torch__.py": "pass"}, b"\x80\x02K\x01."), "holds no module"),
    "an attribute without value": (
        archive({"__torch__.py": "class M(Module):\n  n : int\n"}, EMPTY_OBJECT),
        "has no value for its attribute n",
    ),
    "a number for a tensor": (
        archive({"__torch__.py": "class M(Module):\n  w : Tensor\n"}, EMPTY_OBJECT.replace(b"}b", b"}X\1\0\0\0wK\1sb")),
        "m/data.pkl: the attribute w of",
    ),
    "an unknown type": (
        archive({"__torch__.py": "class M(Module):\n  n : Nothing\n"}, EMPTY_OBJECT),
        "Unknown type name 'Nothing'",
    ),
}


@pytest.mark.parametrize(("data", "reason"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_archives_are_refused_with_file_entry_and_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        loads(data)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("<stream>: ")


def test_code_that_means_nothing_is_refused_when_it_is_needed() -> None:
    module = loads(archive({"__torch__.py": FORWARD.format("", "no_such_thing(x)")}, EMPTY_OBJECT))
    with pytest.raises(ArchiveError, match=r"m/code/__torch__.py: .*no_such_thing"):
        module(optc.ones(1))


def test_operators_that_do_not_exist_fail_when_they_run() -> None:
    text = FORWARD.format("", "y").replace(
        "    return y",
        "    if bool(torch.gt(x, 0)):\n      _0, y, = torch.no_such_thing(x, 2, dim=1)\n    else:\n      y = x\n    return y",
    )
    module = loads(archive({"__torch__.py": text}, EMPTY_OBJECT))
    assert module(optc.tensor(-1.0)).item() == -1.0
    with pytest.raises(
        ExecutionError, match=r"no operator aten::no_such_thing\(Tensor, int, int\), which <stream> calls"
    ):
        module(optc.tensor(1.0))
    assert "torch.no_such_thing(x, 2, dim=1)" in loads(module.save_to_buffer()).code


def test_python_in_an_archive_is_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    text = f"open({str(marker)!r}, 'w').close()\n" + FORWARD.format("", f"open({str(marker)!r}, 'w')")
    module = loads(archive({"__torch__.py": text}, EMPTY_OBJECT))
    with pytest.raises(ArchiveError):
        module(optc.ones(1))
    assert not marker.exists()


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_byte_never_crashes(seed: int) -> None:
    data = bytearray(saved(optc.jit.trace(nn.Linear(3, 2), (optc.ones(3),))))
    place = int(np.random.default_rng(seed).integers(len(data)))
    data[place] ^= 0xFF
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(ArchiveError, RuntimeError, AttributeError):
            optc.jit.load(io.BytesIO(bytes(data)))(optc.ones(3))


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="The provided filename nowhere.pt does not exist"):
        optc.jit.load("nowhere.pt")


def test_a_tensor_as_a_default_is_written_again() -> None:
    code = FORWARD.format("", "torch.add(x, y)").replace("x: Tensor)", "x: Tensor,\n    y: Tensor=CONSTANTS.c0)")
    tensor = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000"
        b"X\3\0\0\0cpuK\1tQK\0K\1\x85K\1\x85\x89ccollections\nOrderedDict\n)RtR\x85."
    )
    data = zipfile_with(
        archive({"__torch__.py": code}, EMPTY_OBJECT), "m/constants.pkl", tensor, "m/constants/0", b"\0\0\0@"
    )
    once = loads(data)
    twice = loads(once.save_to_buffer())
    assert once(optc.ones(1)).tolist() == twice(optc.ones(1)).tolist() == [3.0]


def zipfile_with(data: bytes, *changes: Any) -> bytes:
    """An archive with other contents, or more entries."""
    entries = {
        name: zipfile.ZipFile(io.BytesIO(data)).read(name) for name in zipfile.ZipFile(io.BytesIO(data)).namelist()
    }
    entries.update(zip(changes[::2], changes[1::2]))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, content in entries.items():
            out.writestr(name, content)
    return buffer.getvalue()


def test_what_asks_for_the_mode_of_the_process_stays_in_the_code() -> None:
    text = "class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    a = torch.is_grad_enabled()\n    return x\n"
    module = optc.jit.load(io.BytesIO(archive({"__torch__.py": text}, EMPTY_OBJECT)))
    assert "torch.is_grad_enabled()" in module.code

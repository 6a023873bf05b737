"""optc.save and optc.load: what goes in comes out, views stay views, and torch reads and writes the same files."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optc
from optc.archive.state_dict import load, save
from optc.eager.dispatch import call, wrap
from optc.errors import ArchiveError
from optc.ir import dtypes
from optc.nn.parameter import Parameter
from optc.ops.held import numbers_of, record_of


def through_file(value: Any) -> Any:
    buffer = io.BytesIO()
    save(value, buffer)
    return load(buffer.getvalue())


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -(2**80), 1.5, "text", [1, [2]], (1,), (), {"a": {1: 2}}, OrderedDict(b=1, a=2), dtypes.INT8,
        Counter("hello"), b"a\xff\0", b"", bytearray(b"\x80"), {1, "a"}, set(), dtypes.FLOAT8_E5M2, optc.strided,
    ],
)  # fmt: skip
def test_plain_values(value: Any) -> None:
    result = through_file(value)
    assert result == value
    assert type(result) is type(value)


def test_expanded_tensors_are_written_once_and_kept_apart() -> None:
    """Copies that are made to be written must not lie where the one before them lay."""
    values = [optc.full((1, 3), float(number)).expand(1 << 20, 1 << 10, 3) for number in range(6)]
    buffer = io.BytesIO()
    save(values, buffer)
    assert len(buffer.getvalue()) < 10_000
    for number, result in enumerate(load(buffer.getvalue())):
        assert result.stride() == (0, 0, 1) and result[5, 7].tolist() == [float(number)] * 3
        assert repr(result).startswith(f"tensor([[[{number}., {number}.")


def test_a_module_with_an_expanded_tensor_is_saved_and_compiled() -> None:
    class Net(optc.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("first", optc.full((1,), 2.0).expand(1 << 20, 1 << 20))
            self.register_buffer("second", optc.full((1,), 3.0).expand(1 << 20, 1 << 20))

        def forward(self, x: optc.Tensor) -> optc.Tensor:
            return x + self.first[0, :2] * self.second[5, :2]

    loaded = optc.jit.load(io.BytesIO(optc.jit.script(Net()).save_to_buffer()))
    for program in (loaded, optc.compile(loaded, fallback="error"), optc.jit.freeze(loaded.eval())):
        assert program(optc.ones(2)).tolist() == [7.0, 7.0]


def test_a_list_inside_itself() -> None:
    value: list[Any] = [1]
    value.append(value)
    result = through_file({"a": value})["a"]
    assert result[1] is result


@pytest.mark.parametrize("dtype", dtypes.HELD, ids=lambda dtype: dtype.name)
def test_what_nothing_computes_with_is_kept_moved_and_converted(dtype: dtypes.DType) -> None:
    content = bytes(range(0, 36, 3)) * dtype.itemsize
    held = wrap(np.frombuffer(bytearray(content), record_of(dtype)).reshape(3, 4))
    result = through_file([held, wrap(held._array[1:])])
    assert result[0].dtype is dtype and result[0]._array.tobytes() == content
    assert result[0].untyped_storage().data_ptr() == result[1].untyped_storage().data_ptr()
    moved = result[0].t()[1:].clone()
    assert moved.dtype is dtype and moved.shape == (3, 3)
    expected = numbers_of(held._array).T[1:].astype(np.complex64)
    np.testing.assert_array_equal(moved.to(optc.complex64).numpy(), expected)
    assert str(dtype) in repr(moved)


@pytest.mark.parametrize("name", ["add", "matmul", "sort", "sum", "relu", "copy_", "eq", "item"])
def test_nothing_computes_with_what_is_only_held(name: str) -> None:
    held = wrap(np.zeros((2, 2), record_of(dtypes.FLOAT8_E4M3FN)))
    others = () if name in ("sort", "sum", "relu", "item") else (optc.ones(2, 2),)
    with pytest.raises(NotImplementedError, match=rf"aten::{name}.*Float8_e4m3fn"):
        call(f"aten::{name}", (held, *others))


def test_a_compiled_program_takes_what_is_only_held() -> None:
    held = wrap(np.ones((2, 2), record_of(dtypes.UINT16)))

    @optc.jit.script
    def twice(x: optc.Tensor) -> optc.Tensor:
        return x.to(optc.float32) * 2

    fast = optc.compile(twice, fallback="allow")
    assert fast(held).tolist() == [[2.0, 2.0], [2.0, 2.0]]


@pytest.mark.parametrize("dtype", [optc.uint16, optc.quint8], ids=str)
def test_no_tensor_is_made_in_a_type_that_nothing_computes_with(dtype: dtypes.DType) -> None:
    for make in (lambda: optc.ones(2).to(dtype), lambda: optc.zeros(2, dtype=dtype)):
        with pytest.raises(RuntimeError, match=f"cannot be made in, or converted to, {dtype}"):
            make()


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (2, 0, 4)])
def test_tensors_of_every_type(dtype: dtypes.DType, shape: tuple[int, ...]) -> None:
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype.numpy)
    result = through_file({"x": wrap(array)})["x"]
    assert result.dtype is dtype
    np.testing.assert_array_equal(result._array, array)


def test_views_of_one_tensor_still_share_memory() -> None:
    base = wrap(np.arange(6.0).reshape(2, 3))
    whole, row = through_file([base, wrap(base._array[1])])
    row._array[0] = 99
    assert whole._array[1, 0] == 99


def test_parameters_stay_parameters() -> None:
    parameter = through_file([Parameter(wrap(np.ones(3, np.float32)), requires_grad=False)])[0]
    assert type(parameter) is Parameter
    assert not parameter.requires_grad


def test_memory_is_mapped_from_the_file_and_the_file_never_changes(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    save({"w": wrap(np.zeros(1000, np.float32))}, path)
    before = path.read_bytes()
    weight = load(path)["w"]
    weight._array[:] = 1
    assert weight._array.ctypes.data % 64 == 0
    assert path.read_bytes() == before


def test_objects_of_classes_are_not_written_and_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="state_dict"):
        save(object(), tmp_path / "x.pt")
    assert list(tmp_path.iterdir()) == []


def archive_with(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", data)
        archive.writestr("a/data/0", b"\0" * 16)
    return buffer.getvalue()


def tensor_pickle(offset: int, sizes: tuple[int, ...], strides: tuple[int, ...], count: int = 4) -> bytes:
    def number(value: int) -> bytes:
        return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpu" + number(count) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    state = storage + number(offset) + numbers(sizes) + numbers(strides) + b"\x89" + hooks
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + state + b"tR."


@pytest.mark.parametrize(
    ("offset", "sizes", "strides", "count"),
    [
        (0, (5,), (1,), 4), (1, (4,), (1,), 4), (-1, (2,), (1,), 4), (0, (2, 2), (3, 1), 4), (0, (2,), (-1,), 4),
        (0, (2**40, 2**40), (0, 0), 4), (0, (2,), (1, 1), 4), (0, (5,), (1,), 5), (0, (1,), (1,), -1),
        (0, (-2,), (1,), 4),
    ],
)  # fmt: skip
def test_tensors_that_reach_outside_of_their_storage_are_refused(
    offset: int, sizes: tuple[int, ...], strides: tuple[int, ...], count: int
) -> None:
    data = tensor_pickle(offset, sizes, strides, count)
    with pytest.raises(ArchiveError, match=r"<bytes>: a/data.pkl"):
        load(archive_with(data))


def test_the_same_pickle_with_fitting_numbers_is_a_tensor() -> None:
    assert load(archive_with(tensor_pickle(1, (3,), (1,)))).shape == (3,)


def with_order(data: bytes, order: str, turned: Callable[[bytes], bytes] = bytes) -> bytes:
    """An archive that says so of the order of its bytes, its storages `turned`."""
    old, buffer = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in old.namelist():
            content = old.read(name)
            is_storage = "/data/" in name
            archive.writestr(name, order if name.endswith("/byteorder") else turned(content) if is_storage else content)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", [*dtypes.ALL, *dtypes.HELD], ids=lambda dtype: dtype.name)
def test_numbers_of_big_endian_machines_are_turned_around(dtype: dtypes.DType) -> None:
    content = bytes(range(0, 36, 3)) * dtype.itemsize if dtype.name != "bool" else bytes([0, 1] * 6)
    array = np.frombuffer(bytearray(content), record_of(dtype)).reshape(3, 4)
    buffer = io.BytesIO()
    save([wrap(array), wrap(array[1:])], buffer)
    number = dtype.itemsize // (1 + dtype.is_complex)
    turned = with_order(
        buffer.getvalue(), "big", lambda data: np.frombuffer(data, np.uint8).reshape(-1, number)[:, ::-1].tobytes()
    )
    whole, part = load(turned)
    assert whole.dtype is dtype and whole._array.tobytes() == content
    assert whole.untyped_storage().data_ptr() == part.untyped_storage().data_ptr()


def test_an_order_of_bytes_that_does_not_exist_is_refused() -> None:
    buffer = io.BytesIO()
    save(wrap(np.ones(2)), buffer)
    with pytest.raises(ArchiveError, match=r"archive/byteorder: 'middle' is no order of bytes"):
        load(with_order(buffer.getvalue(), "middle"))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (("x/code/a.py", "x/data.pkl"), "a TorchScript archive: read it with optc.jit.load"),
        (("x/models/model.json",), r"a program of torch.export: .* program.module\(\) and example inputs"),
        (("arr_0.npy",), "no TorchScript archive .* and no file of torch.save"),
    ],
)
def test_what_other_files_are_is_said(entries: tuple[str, ...], said: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for entry in entries:
            archive.writestr(entry, b"")
    with pytest.raises(ArchiveError, match=f"this is {said}"):
        load(buffer.getvalue())
    if "code" not in entries[0]:
        with pytest.raises(ArchiveError, match=f"this is {said}"):
            optc.jit.load(io.BytesIO(buffer.getvalue()))


def test_a_state_dict_is_not_read_as_a_module() -> None:
    buffer = io.BytesIO()
    save({"a": 1}, buffer)
    with pytest.raises(ArchiveError, match="no TorchScript archive .* but a file of torch.save: read a state_dict"):
        optc.jit.load(io.BytesIO(buffer.getvalue()))


@pytest.mark.parametrize("given", [None, 3, io.StringIO("text")], ids=["None", "a number", "a stream of text"])
def test_what_gives_no_bytes_is_refused(given: Any) -> None:
    for read in (load, optc.jit.load):
        with pytest.raises(TypeError, match="binary stream"):
            read(given)


def test_the_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "x.pt"
    with pytest.raises(FileNotFoundError, match=r"x\.pt'$"):
        save(1, path)
    with pytest.raises(IsADirectoryError):
        save(1, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_code_in_a_pickle_is_refused() -> None:
    with pytest.raises(ArchiveError, match=r"posix.system|os.system|nt.system"):
        load(archive_with(pickle.dumps(os.system, 2)))


@pytest.mark.parametrize("made", [b"cbuiltins\nset\n](%se\x85R.", b"ccollections\nOrderedDict\n](%sK\x01\x86e\x85R."])
def test_what_is_hashed_elsewhere_is_looked_at_as_well(made: bytes) -> None:
    assert load(archive_with(b"\x80\x02" + made % b"K\x01"))
    with pytest.raises(ArchiveError, match="1000 parts"):
        load(archive_with(b"\x80\x02" + made % (b")" + b"\x85" * 100_000)))


NAME_OF_A_SCHEME = b"ctorch\nper_tensor_affine\n"


@pytest.mark.parametrize(
    "made",
    [
        b"](%se",
        b"}(%sK\x01u",
        b"cbuiltins\nset\n](%se\x85R",
        b"ccollections\nOrderedDict\n)R}(X\x09\0\0\0_metadata}(%sK\1uub",
    ],
)
def test_what_only_tensors_are_made_of_is_found_everywhere(made: bytes) -> None:
    assert load(archive_with(b"\x80\x02" + made % b"K\x01" + b".")) is not None
    with pytest.raises(ArchiveError, match="per_tensor_affine itself is not read"):
        load(archive_with(b"\x80\x02" + made % NAME_OF_A_SCHEME + b"."))


def test_a_device_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ArchiveError, match="zzz"):
        load(archive_with(b"\x80\x02ctorch\ndevice\nX\x03\x00\x00\x00zzz\x85R."))


@pytest.mark.peers
def test_torch_reads_what_optc_writes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "state.pt"
    base = wrap(np.arange(6, dtype=np.float32).reshape(2, 3))
    save({"a": base, "b": wrap(base._array.T), "c": Parameter(wrap(np.ones(2))), "n": 3, "l": [1, (2,)]}, path)
    state = torch.load(path)
    assert torch.equal(state["b"], state["a"].T)
    assert state["a"].untyped_storage().data_ptr() == state["b"].untyped_storage().data_ptr()
    assert isinstance(state["c"], torch.nn.Parameter)
    assert (state["n"], state["l"]) == (3, [1, (2,)])


@pytest.mark.peers
def test_optc_reads_what_torch_writes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "state.pt"
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).to(torch.bfloat16)
    torch.save(module.state_dict(), path)
    state = load(path)
    assert list(state) == list(module.state_dict())
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(state[name]._array.astype(float), tensor.double().numpy())
    torch.save({"size": torch.Size([1, 2]), "dtype": torch.float16, "p": torch.nn.Parameter(torch.ones(2))}, path)
    assert load(path)["dtype"] is dtypes.FLOAT16


@pytest.mark.peers
@pytest.mark.parametrize("is_zip", [True, False])
def test_what_protocol_2_calls_by_its_old_name_is_read(is_zip: bool) -> None:
    torch = pytest.importorskip("torch")
    marked = torch.nn.Parameter(torch.ones(2))
    marked.group = "weights"  # a state that only Python's side has
    buffer = io.BytesIO()
    torch.save({"z": 1 + 2j, "s": {1, 2}, "p": marked}, buffer, _use_new_zipfile_serialization=is_zip)
    found = load(buffer.getvalue())
    assert (found["z"], found["s"]) == (1 + 2j, {1, 2})
    assert type(found["p"]) is Parameter and found["p"].tolist() == [1, 1]


TORCH_VALUES = {
    **{
        f"{name}": f"torch.arange(6).reshape(2, 3).to(torch.float32).to(torch.{name})"
        for name in (
            "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
            "float8_e8m0fnu", "complex32",
        )
    },
    "counter": "{'milestones': Counter({10: 1, 20: 2}), 'x': torch.ones(2)}",
    "bytes": "[b'a\\xff', bytearray(b'b\\x80'), bytearray()]",
    "layout": "torch.strided",
    "attributes": "(setattr(p := torch.ones(2), 'mark', 3), p)[1]",
    "conjugated": "torch.tensor([1 + 2j, 3 - 1j]).conj()",
    "negated": "torch.tensor([1 + 2j, 3 - 1j]).conj().imag.clone()",
    "quantised": "torch.quantize_per_tensor(torch.arange(4.0), 0.1, 3, torch.quint8)",
    "quantised by channel":
        "torch.quantize_per_channel(torch.ones(2, 2), torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8)",
    "quantised with float points":
        "torch.quantize_per_channel(torch.ones(2, 2), torch.tensor([0.1, 0.2]), torch.tensor([0.5, 1]), 1, torch.quint8)",
    "optimizer": "torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.1, momentum=0.9).state_dict()",
}  # fmt: skip


def equal(torch: Any, left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        if left.is_quantized:
            same = str(left) == str(right)
        else:
            same = left.resolve_conj().contiguous().view(torch.uint8).equal(right.contiguous().view(torch.uint8))
        return same and left.dtype == right.dtype and left.shape == right.shape
    if isinstance(left, dict):
        return list(left) == list(right) and all(equal(torch, left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(equal(torch, *pair) for pair in zip(left, right))
    return type(left) is type(right) and bool(left == right)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TORCH_VALUES)
def test_torch_reads_again_what_it_wrote_and_optc_rewrote(name: str) -> None:
    torch = pytest.importorskip("torch")
    value = eval(TORCH_VALUES[name], {"torch": torch, "Counter": Counter})
    written, rewritten = io.BytesIO(), io.BytesIO()
    torch.save(value, written)
    save(load(written.getvalue()), rewritten)
    assert equal(torch, torch.load(io.BytesIO(written.getvalue())), torch.load(io.BytesIO(rewritten.getvalue())))


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("torch.eye(3).to_sparse()", "a sparse tensor cannot be read"),
        ("torch.ones(2, device='meta')", "a tensor without numbers, on the device meta,"),
        ("torch.ones(3).storage()", "a storage without a tensor"),
        ("{'a': [torch.per_tensor_affine]}", "per_tensor_affine itself is not read"),
        ("torch.zeros(2, dtype=torch.uint8).view(torch.bits8)", "a tensor of bits8 cannot be read"),
        ("torch.sparse_coo", "the layout torch.sparse_coo is not known"),
        ("torch.nn.Linear(1, 1)", r"torch.nn.modules.linear.Linear is not allowed .* save the state_dict\(\) of a"),
    ],
)
def test_what_optc_has_no_equivalent_of_is_refused_by_name(made: str, said: str) -> None:
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save(eval(made), buffer)
    with pytest.raises(ArchiveError, match=rf"archive/data.pkl: {said}"):
        load(buffer.getvalue())


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_a_whole_module_in_an_old_file_is_refused_by_name() -> None:
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save(torch.nn.Linear(1, 1), buffer, _use_new_zipfile_serialization=False)
    with pytest.raises(ArchiveError, match=r"a module of class Linear is not allowed .* save the state_dict\(\)"):
        load(buffer.getvalue())


@pytest.mark.peers
def test_files_from_before_the_zip_format_are_read() -> None:
    torch = pytest.importorskip("torch")
    base = torch.arange(12.0).reshape(3, 4)
    values = {"x": base, "view": base[1:].t(), "words": ["a", 1, None], "half": torch.ones(2, dtype=torch.float16)}
    buffer = io.BytesIO()
    torch.save(values, buffer, _use_new_zipfile_serialization=False)
    found = load(buffer.getvalue())
    assert found["words"] == ["a", 1, None]
    assert found["view"].stride() == (1, 4)
    for name in ("x", "view", "half"):
        np.testing.assert_array_equal(found[name]._array, values[name].numpy())
    found["x"]._array[1, 0] = -1
    assert found["view"]._array[0, 0] == -1
    for length in range(0, len(buffer.getvalue()), 7):
        with pytest.raises(ArchiveError):
            load(buffer.getvalue()[:length])


@pytest.mark.peers
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_old_files_are_read_in_every_protocol_that_torch_may_be_asked_for(protocol: int) -> None:
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    values = {"x": torch.arange(3.0), "n": [1, "a"]}
    torch.save(values, buffer, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    found = load(buffer.getvalue())
    assert (found["x"].tolist(), found["n"]) == ([0.0, 1.0, 2.0], [1, "a"])


@pytest.mark.peers
def test_objects_in_one_old_stream_are_read_in_turn(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    values: list[Any] = [{"x": torch.arange(3.0)}, [torch.zeros(2), 5], "text"]
    path = tmp_path / "several"
    with path.open("wb") as file:
        for value in values:
            torch.save(value, file, _use_new_zipfile_serialization=False)
    with path.open("rb") as file:
        first, second, third = (load(file) for _ in values)
        assert file.read() == b""
    assert (first["x"].tolist(), second[0].tolist(), second[1], third) == ([0.0, 1.0, 2.0], [0.0, 0.0], 5, "text")
    assert load(path)["x"].tolist() == [0.0, 1.0, 2.0]

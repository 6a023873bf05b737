"""Archives made to do harm: each is refused with an ArchiveError, or loads as something harmless, in bounded time and
memory. CI runs a part of the corpus; `-m exhaustive` runs all of it. Both print how many files were refused."""

from __future__ import annotations

import io
import pickle
import random
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import optc
from optc import nn
from optc.archive.legacy_state import MAGIC_NUMBER, PROTOCOL_VERSION
from optc.errors import ArchiveError, OptcError
from optc.jit.code_printer import print_function
from tests.archive.handmade import EMPTY_OBJECT, archive

SECONDS, BYTES = 5.0, 1 << 30
"""What one file may take, in seconds of the processor; the memory is that of the whole process, Python included."""

METHOD = "class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return {}\n"


def small_archive() -> bytes:
    module = optc.jit.script(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    buffer = io.BytesIO()
    module.save(buffer)
    return buffer.getvalue()


def outcome(data: bytes) -> str:
    """Load, print and run: "loaded", or the name of the error. Anything but an OptcError fails the test."""
    try:
        module = optc.jit.load(io.BytesIO(data))
        _ = [print_function(method) for method in module._c.type.methods.values()], repr(module), module.state_dict()
        if "forward" in module._c.type.methods:  # a damaged name is as good as another
            module(optc.ones(1, 2))
    except OptcError as error:
        return type(error).__name__
    return "loaded"


def count_outcomes(files: Iterator[bytes], name: str, outcome: Callable[[bytes], str] = outcome) -> Counter[str]:
    counts: Counter[str] = Counter()
    for data in files:
        started = time.process_time()
        counts[outcome(data)] += 1
        assert time.process_time() - started < SECONDS
    print(f"{name}: {sum(counts.values())} files, {dict(counts)}")
    return counts


def truncated(data: bytes, step: int) -> Iterator[bytes]:
    return (data[:length] for length in range(0, len(data), step))


def flipped(data: bytes, count: int) -> Iterator[bytes]:
    generator = random.Random(0)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(generator.choice((1, 1, 1, 2, 8))):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        yield bytes(damaged)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("step", [37, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_cut_off_anywhere(step: int) -> None:
    counts = count_outcomes(truncated(small_archive(), step), "cut off")
    assert set(counts) == {"ArchiveError"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [300, pytest.param(100_000, marks=pytest.mark.exhaustive)])
def test_flipped_bytes(count: int) -> None:
    counts = count_outcomes(flipped(small_archive(), count), "flipped")
    assert counts["ArchiveError"] > count // 5


def tensors_in_a_zip() -> bytes:
    """A file of `optc.save` with every kind of thing that it holds."""
    state = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).state_dict()
    base = optc.arange(6.0).reshape(2, 3)
    values = [
        base,
        base.t()[1:],
        nn.Parameter(optc.ones(2)),
        optc.float16,
        optc.Size([1]),
        {1, "a"},
        b"x",
        2**80,
        1j,
        None,
    ]
    buffer = io.BytesIO()
    optc.save({"state": state, "values": values, "half": optc.ones(3, dtype=optc.bfloat16)}, buffer)
    return buffer.getvalue()


def tensors_in_the_old_format() -> bytes:
    """What `torch.save` wrote before PyTorch 1.6: a dictionary with a tensor and a view of it."""
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\6NtQ"

    def tensor(offset: int, size: int) -> bytes:
        place = b"K%cK%c\x85K\1\x85" % (offset, size)
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + place + b"\x89ccollections\nOrderedDict\n)RtR"

    start = b"".join(pickle.dumps(value, 2) for value in (MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": True}))
    content = b"\x80\x02}(X\1\0\0\0a" + tensor(0, 6) + b"X\1\0\0\0b" + tensor(2, 3) + b"u."
    return start + content + pickle.dumps(["0"], 2) + struct.pack("<q6f", 6, *range(6))


TENSORS = {"zip": tensors_in_a_zip, "old": tensors_in_the_old_format}


def outcome_of_tensors(data: bytes) -> str:
    """Load and print: "loaded", or "ArchiveError". Anything else fails the test."""
    try:
        repr(optc.load(data))
    except ArchiveError:
        return "ArchiveError"
    return "loaded"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TENSORS)
def test_files_of_tensors_that_are_cut_off(kind: str) -> None:
    assert outcome_of_tensors(TENSORS[kind]()) == "loaded"
    counts = count_outcomes(truncated(TENSORS[kind](), 1), f"tensors ({kind}), cut off", outcome_of_tensors)
    assert set(counts) == {"ArchiveError"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("count", [1000, pytest.param(100_000, marks=pytest.mark.exhaustive)])
def test_files_of_tensors_with_flipped_bytes(kind: str, count: int) -> None:
    counts = count_outcomes(flipped(TENSORS[kind](), count), f"tensors ({kind}), flipped", outcome_of_tensors)
    assert counts["ArchiveError"] > count // 5


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("m/version", "3")
        out.writestr("m/constants.pkl", b"\x80\x02).")
        out.writestr("m/code/__torch__.py", METHOD.format("x") + "#" + " " * (70 << 20))
        out.writestr("m/data.pkl", EMPTY_OBJECT)
    return buffer.getvalue()


def overlapping_entries() -> bytes:
    """Two directory entries for the same bytes."""
    data = bytearray(archive({"__torch__.py": METHOD.format("x")}, EMPTY_OBJECT))
    first = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def nested_tuples(depth: int) -> bytes:
    return b"\x80\x02" + b")" + b"\x85" * depth + b"."


def nested_in_attribute(depth: int) -> bytes:
    return b"\x80\x02c__torch__\nM\n)\x81}X\x01\x00\x00\x00a" + b"]" * depth + b"a" * (depth - 1) + b"sb."


def cyclic_list() -> bytes:
    return b"\x80\x02c__torch__\nM\n)\x81}X\x01\x00\x00\x00a]q\x00h\x00asb."


def billion_laughs() -> bytes:
    """A list of two references to a list of two references ..., 60 levels deep."""
    body = b"]q\x00"
    for level in range(60):
        body += b"](" + b"h" + bytes([level]) + b"h" + bytes([level]) + b"eq" + bytes([level + 1])
    return b"\x80\x02c__torch__\nM\n)\x81}X\x01\x00\x00\x00a" + body + b"sb."


def tensor_data(offset: int, size: int, stride: int, count: int) -> bytes:
    def number(value: int) -> bytes:
        return b"\x8a\x08" + struct.pack("<q", value)

    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + number(count) + b"tQ"
    )
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + number(size) + b"\x85"
    tensor += number(stride) + b"\x85\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02c__torch__\nM\n)\x81}X\x01\x00\x00\x00a" + tensor + b"sb."


def with_attribute(type_: str, data: bytes, **others: bytes) -> bytes:
    code = METHOD.format("x").replace("(Module):\n", f"(Module):\n  a : {type_}\n")
    return archive({"__torch__.py": code}, data, **others)


def with_code(expression: str) -> bytes:
    return archive({"__torch__.py": METHOD.format(expression)}, EMPTY_OBJECT)


def restored_by(body: str, functions: str = "") -> bytes:
    """A module that runs this code while it is loaded."""
    code = (
        f"{functions}class M(Module):\n  a : int\n"
        "  def __getstate__(self: __torch__.M) -> int:\n    return self.a\n"
        f"  def __setstate__(self: __torch__.M,\n    s: int) -> NoneType:\n{body}    return None\n"
    )
    return archive({"__torch__.py": code}, b"\x80\x02c__torch__\nM\n)\x81K\x03b.")


def calls_that_double(depth: int) -> str:
    lines = [
        f"def f{place}(x: int) -> int:\n  return torch.add(__torch__.f{place + 1}(x, ), __torch__.f{place + 1}(x, ))\n"
        for place in range(depth)
    ]
    return "".join(lines) + f"def f{depth}(x: int) -> int:\n  return x\n"


def types_that_double(depth: int) -> bytes:
    lines = [
        f"class N{place}(NamedTuple):\n  a : __torch__.N{place + 1}\n  b : __torch__.N{place + 1}\n"
        for place in range(depth)
    ]
    last = f"class N{depth}(NamedTuple):\n  a : int\nclass M(Module):\n  a : __torch__.N0\n"
    return archive({"__torch__.py": "".join(lines) + last}, plain_attribute(b")"))


def with_object(state: bytes, then: bytes = b"") -> bytes:
    """A module with a list of numbers and an object, filled with this state; what follows it in the pickle."""
    code = (
        "class C(Module):\n  b : int\nclass M(Module):\n  a : List[int]\n  c : Optional[__torch__.C]\n"
        "  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return torch.mul(x, (self.a)[0])\n"
    )
    return archive({"__torch__.py": code}, b"\x80\x02c__torch__\nM\n)\x81}(" + state + b"ub" + then + b".")


def with_enumeration(value: bytes, **others: bytes) -> bytes:
    code = "class E(Enum):\n  A = 1\nclass M(Module):\n  a : __torch__.E\n"
    return archive({"__torch__.py": code}, plain_attribute(b"c__torch__\nE\n" + value + b"\x85R"), **others)


def with_constant(type_: str, value: str) -> bytes:
    return archive({"__torch__.py": f"class M(Module):\n  a : Final[{type_}] = {value}\n"}, EMPTY_OBJECT)


def deflated(entry: str, content: bytes) -> bytes:
    """An archive whose entries are packed, one of them with this content."""
    entries = {
        "version": b"3",
        "constants.pkl": b"\x80\x02).",
        "data.pkl": EMPTY_OBJECT,
        "code/__torch__.py": METHOD.format("x").encode(),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in {**entries, entry: content}.items():
            out.writestr(f"m/{name}", data)
    return buffer.getvalue()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def size_of(made: str) -> bytes:
    """A module that makes a tensor while it is loaded."""
    return restored_by(f"    self.a = torch.len(torch.size({made}))\n")


def many_that_restore_themselves(count: int) -> bytes:
    """Each does what one may do."""
    code = (
        "class C(Module):\n  a : int\n  def __getstate__(self: __torch__.C) -> int:\n    return self.a\n"
        "  def __setstate__(self: __torch__.C,\n    s: int) -> NoneType:\n    for i in range(90000):\n"
        "      s = torch.add(s, 1)\n    self.a = s\n    return None\nclass M(Module):\n  pass\n"
    )
    objects = b"".join([b"c__torch__\nC\n)\x81K\x03b"] * count)
    return archive({"__torch__.py": code}, b"\x80\x02" + objects + b"c__torch__\nM\n)\x81}b.")


def plain_attribute(value: bytes) -> bytes:
    return b"\x80\x02c__torch__\nM\n)\x81}X\x01\x00\x00\x00a" + value + b"sb."


FLOATS = {"data/0": b"\0" * 16}
THREE_FLOATS = tensor_data(0, 3, 1, 4)[len(plain_attribute(b"")) - 3 : -3]
LISTS = "List[List[int]]"
REFUSED = {
    "a zip bomb": zip_bomb,
    "entries that overlap": overlapping_entries,
    "a million nested tuples": lambda: archive({"__torch__.py": METHOD.format("x")}, nested_tuples(1_000_000)),
    "a storage shorter than its tensor": lambda: with_attribute("Tensor", tensor_data(0, 5, 1, 5), **FLOATS),
    "a tensor beyond its storage": lambda: with_attribute("Tensor", tensor_data(2, 3, 1, 4), **FLOATS),
    "a negative offset": lambda: with_attribute("Tensor", tensor_data(-1, 1, 1, 4), **FLOATS),
    "a negative size": lambda: with_attribute("Tensor", tensor_data(0, -1, 1, 4), **FLOATS),
    "a negative stride": lambda: with_attribute("Tensor", tensor_data(3, 2, -1, 4), **FLOATS),
    "an enormous size": lambda: with_attribute("Tensor", tensor_data(0, 1 << 62, 0, 4), **FLOATS),
    "an enormous stride": lambda: with_attribute("Tensor", tensor_data(0, 2, (1 << 63) - 1, 4), **FLOATS),
    "a storage that is not there": lambda: with_attribute("Tensor", tensor_data(0, 1, 1, 4)),
    "an import": lambda: with_attribute("int", b"\x80\x02c__torch__\nM\n)\x81}X\x01\x00\x00\x00acos\nsystem\nsb."),
    "a call of eval": lambda: with_attribute("int", b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R."),
    "a hundred thousand parentheses": lambda: with_code("(" * 100_000 + "x" + ")" * 100_000),
    "a hundred thousand calls inside each other": lambda: with_code("torch.neg(" * 100_000 + "x" + ")" * 100_000),
    "a name that shadows a builtin": lambda: with_code("open('/etc/passwd')"),
    "an object that restores itself for ever": lambda: restored_by("    while True:\n      s = torch.add(s, 1)\n"),
    "an object that restores itself for long": lambda: restored_by("    for i in range(1000000000):\n      pass\n"),
    "calls that double": lambda: restored_by("    self.a = __torch__.f0(s, )\n", calls_that_double(60)),
    "types that double": lambda: types_that_double(60),
    "an object that restores nothing": lambda: restored_by(""),
    "an integer of 200 bytes": lambda: with_attribute("int", plain_attribute(b"\x8a\xc8" + b"\x01" * 200)),
    "text for a number": lambda: with_attribute("float", plain_attribute(b"X\x01\x00\x00\x00a")),
    "text in a list of numbers": lambda: with_attribute("List[int]", plain_attribute(b"](X\x01\x00\x00\x00ae")),
    "a list as a key": lambda: with_attribute("Dict[str, int]", plain_attribute(b"}(]K\x01u")),
    "a tuple that is too short": lambda: with_attribute("Tuple[int, int]", plain_attribute(b"K\x01\x85")),
    "a module inside itself": lambda: archive(
        {"__torch__.py": "class M(Module):\n  a : __torch__.M\n"},
        b"\x80\x02c__torch__\nM\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb.",
    ),
    "a tensor for a flag": lambda: with_attribute("bool", plain_attribute(THREE_FLOATS), **FLOATS),
    "a tensor for a member": lambda: with_enumeration(THREE_FLOATS, **FLOATS),
    "a member nested without end": lambda: with_enumeration(b")" + b"\x85" * 100_000),
    "a list that changes once it is an attribute": lambda: with_object(
        text("a") + b"]q\x01K\x01a" + text("c") + b"N", b"h\x01" + text("no number") + b"a"
    ),
    "an object without state": lambda: with_object(text("a") + b"]" + text("c") + b"c__torch__\nC\n)\x81"),
    "a constant of another type": lambda: with_constant("int", "'text'"),
    "a constant that no number holds": lambda: with_constant("float", "0x" + "f" * 100_000),
    "a packed pickle of lists": lambda: deflated("data.pkl", b"\x80\x02" + b"]" * (60 << 20)),
    "packed code": lambda: deflated("code/__torch__.py", b"x\n" * 1_000_000),
    "code that is only long": lambda: deflated("code/__torch__.py", b"#" * (9 << 20)),
    "an enormous tensor at load": lambda: size_of("torch.zeros([1000000, 1000000])"),
    "a large tensor at load": lambda: size_of("torch.ones([40000, 50000])"),
    "a tensor as large as a number at load": lambda: size_of("torch.bincount(torch.full([1], 2000000000, dtype=4))"),
    "as many products as there are places at load": lambda: restored_by(
        "    t = torch.ones([10])\n"
        f"    self.a = torch.len(torch.size(torch.einsum('a,b,c,d,e,f,g,h,i,j->', [{', '.join('t' * 10)}])))\n"
    ),
    "products of matrices at load": lambda: restored_by(
        "    t = torch.ones([3000, 3000])\n    for i in range(100):\n      t = torch.matmul(t, t)\n"
        "    self.a = torch.len(torch.size(t))\n"
    ),
    "large tensors again and again at load": lambda: restored_by(
        "    for i in range(9000):\n      s = torch.add(s, torch.len(torch.size(torch.ones([3000, 3000]))))\n"
        "    self.a = s\n"
    ),
    "text that doubles at load": lambda: restored_by(
        "    t = 'ab'\n    for i in range(60):\n      t = torch.add(t, t)\n    self.a = torch.len(t)\n"
    ),
    "a list that doubles at load": lambda: restored_by(
        "    t = [1]\n    for i in range(60):\n      t = torch.add(t, t)\n    self.a = torch.len(t)\n"
    ),
    "a text as long as a number at load": lambda: restored_by(
        "    self.a = torch.len(torch.rjust('a', 10000000000))\n"
    ),
    "many objects that restore themselves for long": lambda: many_that_restore_themselves(1000),
    "a parameter called like a module": lambda: archive(
        {"__torch__.py": METHOD.format("torch.relu(x)").replace("x: Tensor", "torch: Tensor")}, EMPTY_OBJECT
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(name: str) -> None:
    data = REFUSED[name]()
    started = time.process_time()
    with pytest.raises(ArchiveError):
        optc.jit.load(io.BytesIO(data)).code
    assert time.process_time() - started < SECONDS


ACCEPTABLE = ("loaded", "ArchiveError", "ExecutionError")
OUTSIDE = Path(tempfile.gettempdir(), "escaped")

HARMLESS = {
    "a name of a megabyte": lambda: with_code(f"torch.{'a' * 1_000_000}(x)"),
    "a tensor with room for nobody": lambda: with_attribute("Tensor", tensor_data(0, 1 << 50, 0, 4), **FLOATS),
    "a packed pickle of places": lambda: deflated("code/__torch__.py.debug_pkl", b"\x80\x02" + b"]" * (60 << 20)),
    "deep lists": lambda: with_attribute(LISTS, nested_in_attribute(100_000)),
    "a list inside itself": lambda: with_attribute(LISTS, cyclic_list()),
    "a billion laughs": lambda: with_attribute(LISTS, billion_laughs()),
    "a path that climbs": lambda: archive(
        {"__torch__.py": METHOD.format("x")}, EMPTY_OBJECT, **{"../../escaped": b"x", str(OUTSIDE): b"x"}
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HARMLESS)
def test_does_no_harm(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    started = time.process_time()
    assert outcome(HARMLESS[name]()) in ACCEPTABLE
    assert time.process_time() - started < SECONDS
    assert list(tmp_path.iterdir()) == [] and not OUTSIDE.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory this way")
def test_the_whole_corpus_fits_the_stated_memory() -> None:
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({BYTES}, {BYTES}))\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "from tests.archive.test_hostile import HARMLESS, REFUSED, outcome\n"
        "print({outcome(make()) for name, make in {**REFUSED, **HARMLESS}.items()})\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert set(run.stdout.strip("{}\n").split(", ")) <= {repr(name) for name in ACCEPTABLE}


def test_the_limit_of_unpacking_can_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zip_bomb()
    assert len(data) < 1 << 20
    monkeypatch.setenv("OPTC_UNPACK_RATIO", "5000")
    assert outcome(data) == "loaded"


def test_long_text_is_not_made_while_code_is_read() -> None:
    module = optc.jit.load(io.BytesIO(with_code("torch.add(x, torch.len(torch.rjust('a', 100000000)))")))
    tracemalloc.start()
    assert "rjust" in module.code and "rjust" in str(module.inlined_graph)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 50 << 20


def test_the_limit_of_what_runs_at_load_can_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    data = size_of("torch.ones([100, 1000, 1000])")
    assert outcome(data) == "ArchiveError"
    monkeypatch.setenv("OPTC_RESTORE_EFFORT", "1000")
    assert outcome(data) == "loaded"


def test_what_objects_really_do_at_load_is_no_effort() -> None:
    """Weights that are taken apart, looped over, joined and converted."""
    body = (
        "    t = torch.ones([64, 64])\n    parts = annotate(List[Tensor], [])\n    for i in range(64):\n"
        "      _0 = torch.append(parts, torch.slice(t, 0, i, torch.add(i, 1)))\n"
        "    u = torch.t(torch.matmul(torch.cat(parts), t))\n    self.a = int(torch.sum(torch.to(u, 4)))\n"
    )
    assert optc.jit.load(io.BytesIO(restored_by(body))).a == 64**3


def test_a_claimed_size_is_not_believed() -> None:
    packed = zlib.compress(b"x" * 100)[2:-4]
    data = bytearray(archive({"__torch__.py": METHOD.format("x")}, EMPTY_OBJECT))
    assert packed not in data
    first = data.find(b"PK\x01\x02")
    data[first + 24 : first + 28] = struct.pack("<I", 1 << 31)
    assert outcome(bytes(data)) == "ArchiveError"

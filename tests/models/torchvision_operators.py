"""Makes torchvision importable beside a PyTorch without CUDA. Import this before torchvision, or what imports it.

torchvision's wheels are built for CUDA, and its C++ part does not load where there is none, although the operators for
the CPU in it need nothing but PyTorch. Where a C compiler is at hand, libraries with nothing but the names that are
missing stand in for CUDA's (`COMPUTES` says so). Elsewhere the operators are only declared: what uses none of them runs.
"""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
)
TOOLS = ("cc", "nm", "objdump")


def extension() -> Path | None:
    """Where torchvision's C++ part lies."""
    found = importlib.util.find_spec("torchvision")
    folder = found.submodule_search_locations[0] if found and found.submodule_search_locations else None
    path = Path(folder or ".") / "_C.so"
    return path if path.exists() else None


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def stand_in_for_cuda(path: Path) -> None:
    """Load libraries that have the names which the C++ part takes from CUDA's; nobody calls them on a CPU."""
    needed = [line.split()[1] for line in output("objdump", "-p", str(path)).splitlines() if "NEEDED" in line]
    undefined = [
        line.split()[-1].split("@")[0] for line in output("nm", "-D", "--undefined-only", str(path)).splitlines()
    ]
    names = sorted({name for name in undefined if "cuda" in name})
    with tempfile.TemporaryDirectory() as folder:
        source, version = Path(folder, "names.c"), Path(folder, "version")
        source.write_text("".join(f"void *{name}(void) {{ static long place[64]; return place; }}\n" for name in names))
        for library in [name for name in needed if "cuda" in name]:
            version.write_text(f"{library} {{ global: *; }};\n")
            versioned = [f"-Wl,--version-script={version}"] if "cudart" in library else []
            made = str(Path(folder, library))
            output("cc", "-w", "-shared", "-fPIC", f"-Wl,-soname,{library}", *versioned, "-o", made, str(source))
            ctypes.CDLL(made, mode=ctypes.RTLD_GLOBAL)


def make_importable() -> bool:
    """Whether torchvision's operators compute."""
    path = extension()
    if path is None:
        return False
    if torch.version.cuda is not None or b"libtorch_cuda.so" not in path.read_bytes():
        return True
    if all(map(shutil.which, TOOLS)):
        stand_in_for_cuda(path)
        return True
    for schema in SCHEMAS:
        library.define(schema)
    return False


library = torch.library.Library("torchvision", "FRAGMENT")
"""Keeps the declarations alive."""

COMPUTES = make_importable()

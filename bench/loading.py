"""How long an archive takes to load and what memory it needs, against `torch.jit.load`: `python -m bench.loading`.

Archives of two sizes are written to a temporary folder and loaded in fresh processes, each engine in turn; the modules
are imported before the clock starts. Memory is what the process has of its own (anonymous pages), not what it shares
with the file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import optc
from optc import nn

_MEGABYTES = (100, 440)
_TURNS = 5
_LAYER = 20
"""Megabytes of one layer's weights."""

_PROGRAM = """
import json, sys, time
import {engine} as engine, {engine}.jit

def own_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0

engine.jit.load(sys.argv[2])
before = own_bytes()
started = time.perf_counter()
module = engine.jit.load(sys.argv[1])
seconds = time.perf_counter() - started
print(json.dumps([seconds, own_bytes() - before]))
"""


def write_archive(path: Path, megabytes: int) -> None:
    """A stack of linear layers with so many megabytes of weights."""
    width = 1 << 10
    layers = [nn.Linear(width, _LAYER * 256, bias=False) for _ in range(max(megabytes // _LAYER, 1))]
    optc.jit.script(nn.ModuleList(layers)).save(path)


def loading(engine: str, path: Path, warm: Path, turns: int = _TURNS) -> tuple[float, int]:
    """Median seconds and bytes that `engine` ("optc" or "torch") takes to load an archive, after loading `warm` once."""
    program = _PROGRAM.format(engine=engine)
    command = [sys.executable, "-W", "ignore", "-c", program, str(path), str(warm)]
    runs = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(turns)]
    seconds, sizes = zip(*runs)
    return statistics.median(seconds), int(statistics.median(sizes))


def main() -> None:
    """Print a table."""
    argparse.ArgumentParser(prog="python -m bench.loading", description=__doc__).parse_args()
    print(f"{'archive':>8} {'optc':>10} {'torch':>10} {'faster':>7} {'optc owns':>10} {'torch owns':>11}")
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder, "warm.pt")
        write_archive(warm, 1)
        for megabytes in _MEGABYTES:
            path = Path(folder, f"{megabytes}.pt")
            write_archive(path, megabytes)
            mine, own = loading("optc", path, warm)
            theirs, other = loading("torch", path, warm)
            print(
                f"{megabytes:5} MB {mine * 1e3:7.1f} ms {theirs * 1e3:7.1f} ms {theirs / mine:6.1f}x "
                f"{own / 1e6:7.1f} MB {other / 1e6:8.1f} MB"
            )
            path.unlink()


if __name__ == "__main__":
    main()

"""Processes without PyTorch, which run what PyTorch has saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def outcome(folder: Path) -> dict[str, Any]:
    """What `run_archive.py` says about the archive in a folder."""
    command = [sys.executable, str(ROOT / "tests" / "models" / "run_archive.py"), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPTC_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result

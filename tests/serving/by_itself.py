"""Runs a module of the tests in a process of its own, which may fork and be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def counts_of(module: str, *given: object) -> list[int]:
    """The numbers that it prints; its last words where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, given)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return [int(word) for word in done.stdout.split()]

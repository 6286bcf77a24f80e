"""Kill -9 at any moment, or a disk that is full at any write, leaves a registry that loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_a_registry_survives(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.serving.registry.kills", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    killed, failed, at_random = map(int, done.stdout.split())
    assert min(killed, failed) > 60
    assert at_random == 20

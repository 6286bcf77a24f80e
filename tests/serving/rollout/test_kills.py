"""A controller that is killed at any moment, or beside which a person moves the pointer, promotes
nothing twice and loses no step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_a_rollout_survives(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.serving.rollout.kills", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    forward, back, by_hand = map(int, done.stdout.split())
    assert min(forward, back) > 60  # changes of the disk
    assert by_hand > 30

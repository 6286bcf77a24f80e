"""One seed, the same bytes: in another process, under other hashes, threads, names and locales."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from policies import build, collect
from tests.experiments.reliability.made import hashes, world

ROOT = Path(__file__).resolve().parents[3]
ELSEWHERE = {  # what another machine's user may have set, and no home
    "PYTHONHASHSEED": "7",
    "OMP_NUM_THREADS": "2",
    "NUMBA_NUM_THREADS": "2",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONPATH": str(ROOT),
    "TZ": "Asia/Tokyo",
    "MPLBACKEND": "Agg",
}


def test_a_seed_makes_the_same_bytes_wherever_it_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "hier \u00e9t\u00e9", tmp_path / "over there"
    here.mkdir(), there.mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "tests.experiments.reliability.made", str(there)],
        env={name: os.environ[name] for name in ("PATH",) if name in os.environ} | ELSEWHERE,
        cwd=there,
        capture_output=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = hashes(here)
    assert {name.split("/")[0] for name in told} == {"log", "encoder", "runs", "report"}
    elsewhere = json.loads((there / "hashes.json").read_text())
    verdict = "report/report.json"  # of sums by BLAS, whose order goes by the number of threads
    assert verdict in told
    told.pop(verdict), elsewhere.pop(verdict)
    assert elsewhere == told
    reports = [json.loads((folder / verdict).read_text()) for folder in (here, there)]
    _assert_close(*reports)
    assert "caf" in (there / "plays.csv").read_text("utf-8")


def _assert_close(one: object, other: object) -> None:
    """The same up to the last digits of its numbers."""
    if isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, nan_ok=True)
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for name, value in one.items():
            _assert_close(value, other[name])
    elif isinstance(one, list):
        assert isinstance(other, list)
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            _assert_close(a, b)
    else:
        assert one == other


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_of_a_used_environment_gives_the_same_log(copied: object) -> None:
    env = world()
    uniform = build("uniform", env)
    collect(env, uniform, n_sessions=3, seed=9)
    again = copied(env)  # type: ignore[operator]
    logs = [collect(one, uniform, n_sessions=20, seed=3) for one in (env, again)]
    env.close(), again.close()
    for name in ("slate", "propensity", "reward", "context"):
        np.testing.assert_array_equal(*(getattr(log, name) for log in logs))

"""Worker processes do not outlive the run that started them, and a run keeps to one thread."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = """
import os, time
from offpolicy.executors.pools import pool

if __name__ == "__main__":
    with pool(1) as processes:
        print(processes.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_ends_when_its_run_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        worker = int(run.stdout.readline())
        assert alive(worker)
        run.kill()
    for _ in range(100):
        if not alive(worker):
            return
        time.sleep(0.1)
    raise AssertionError(f"worker {worker} is still there")


@pytest.mark.parametrize(("asked", "threads"), [(None, "1"), ("2", "2")])
def test_the_command_has_one_thread_of_blas_unless_more_are_asked_for(
    asked: str | None, threads: str
) -> None:
    """The variable counts only if it stands before numpy is imported."""
    said = (
        "import os, sys; from experiments.__main__ import main; assert 'numpy' not in sys.modules;"
        "main(['--help']); print(os.environ['OMP_NUM_THREADS'])"
    )
    given = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    given |= {} if asked is None else {"OMP_NUM_THREADS": asked}
    out = subprocess.run(
        [sys.executable, "-c", said], env=given, capture_output=True, text=True, check=True
    )
    assert out.stdout.splitlines()[-1] == threads


def test_torch_is_left_out_until_it_is_needed_and_then_has_its_threads(tmp_path: Path) -> None:
    """A package of that name stands in for it, and records what it is asked for."""
    package = tmp_path / "torch" / "__init__.py"
    package.parent.mkdir()
    package.write_text("asked = []\nset_num_threads = asked.append\n")
    (package.parent / "nn.py").touch()
    script = (
        "import sys, experiments.compare.stages, experiments.study.cells, experiments.train.stages;"
        "from experiments.common.workers import torch_threads;"
        "before = list(sys.meta_path); torch_threads(3); torch_threads(2);"
        "assert 'torch' not in sys.modules; import torch.nn;"
        "assert torch.asked == [2] and sys.meta_path == before, torch.asked;"
        "torch_threads(5); assert torch.asked == [2, 5] and sys.meta_path == before"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).resolve().parents[3])])
    given = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", script], env=given, check=True)

"""A run that is stopped ends at once, with its workers, and says how to go on; one job that fails
does not stop the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.common.run_folder import RunFolder, new_folder
from experiments.common.workers import JobsError, results


def tripled(x: int) -> int:
    if x == 2:
        raise RuntimeError("two is no good")
    return 3 * x


@pytest.mark.filterwarnings("ignore")  # of the clusters' own libraries
@pytest.mark.parametrize("executor", ["serial", "processes:2", "ray", "dask"])
def test_a_job_that_fails_is_told_and_the_others_go_on(
    executor: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its traceback, with the line that raised, is in the run folder."""
    if executor in ("ray", "dask"):
        pytest.importorskip({"dask": "distributed"}.get(executor, executor))
    coming = results(tripled, [(x,) for x in range(5)], executor, RunFolder(tmp_path))
    done = [next(coming) for _ in range(4)]
    assert sorted(done) == [((0,), 0), ((1,), 3), ((3,), 9), ((4,), 12)]
    with pytest.raises(JobsError, match="1 of 5 jobs failed, the first with: two is no good"):
        next(coming)
    (file,) = (tmp_path / "failed").iterdir()
    assert 'raise RuntimeError("two is no good")' in file.read_text()
    told = capsys.readouterr().err
    assert f"failed: 2: two is no good (traceback: {file})" in told


def dies(x: int) -> int:
    if x == 2:
        os._exit(9)
    return 3 * x


def test_a_process_that_dies_takes_no_other_job_with_it(tmp_path: Path) -> None:
    coming = results(dies, [(x,) for x in range(12)], "processes:2", RunFolder(tmp_path))
    done = [next(coming) for _ in range(11)]
    with pytest.raises(JobsError, match="1 of 12 jobs failed, the first with: its process died"):
        next(coming)
    assert sorted(done) == [((x,), 3 * x) for x in range(12) if x != 2]
    assert [f.name for f in (tmp_path / "failed").iterdir()] == ["001-2.txt"]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes begun here mind SIGINT, also where this one was begun to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_ends_with_its_workers(
    number: signal.Signals, status: int, interruptible: None, tmp_path: Path
) -> None:
    """SIGINT reaches the whole group, as from a terminal; SIGTERM the run alone."""
    sizes = "--seeds 8 --rounds 3 --sessions 40 --truth-sessions 400000 --workers 2"
    command = [sys.executable, "-m", "experiments", "climb", *sizes.split(), "--out", str(tmp_path)]
    with subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as run:  # fmt: skip
        try:
            until = time.monotonic() + 60
            while len(children(run.pid)) < 3 and time.monotonic() < until:
                time.sleep(0.1)
            group = children(run.pid)
            assert len(group) >= 3, "two workers, and what keeps their locks"
            time.sleep(1.0)
            if number == signal.SIGINT:
                os.killpg(run.pid, number)
            else:
                run.send_signal(number)
            assert run.wait(timeout=30) == status
            assert run.stderr is not None
            folder = next(tmp_path.iterdir())
            assert f"stopped; go on with --resume {folder}" in run.stderr.read()
            until = time.monotonic() + 20
            while any(map(alive, group)) and time.monotonic() < until:
                time.sleep(0.1)
            assert not any(map(alive, group))
        finally:
            run.kill()


def children(pid: int) -> list[int]:
    """Processes that a process has started, on Linux."""
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        pytest.skip("this system does not list the children of a process")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_two_runs_of_one_second_have_a_folder_each(tmp_path: Path) -> None:
    assert [new_folder(tmp_path, "run").name for _ in range(3)] == ["run", "run-2", "run-3"]

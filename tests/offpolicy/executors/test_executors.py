"""Clusters, started on this machine, give the numbers of one reading; where the extras are."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from offpolicy.executors.running import attempts, run_on
from offpolicy.streaming.stream import stream_estimates
from tests.offpolicy.factories import STREAM, raw_files

CLUSTERS = {"ray:": "ray", "dask:": "dask.distributed"}


@pytest.mark.filterwarnings("ignore")  # of the clusters' own libraries
@pytest.mark.parametrize("executor", CLUSTERS)
def test_a_cluster_gives_the_numbers_of_one_reading(tmp_path: Path, executor: str) -> None:
    pytest.importorskip(CLUSTERS[executor])
    raw_files(tmp_path / "raw", sessions=50)
    here, lines = stream_estimates(tmp_path / "raw", STREAM, executor="threads:1")
    there, others = stream_estimates(tmp_path / "raw", STREAM, executor=executor)
    assert there.rows == here.rows
    for line, other in zip(lines, others, strict=True):
        for field in ("value", "uplift"):
            mine, theirs = getattr(line, field), getattr(other, field)
            assert theirs.value == pytest.approx(mine.value, abs=1e-9)
            assert theirs.low == pytest.approx(mine.low, abs=1e-9)


@pytest.mark.parametrize("executor", ["serial", "threads:1", "threads:3"])
def test_results_come_in_order_and_do_not_pile_up(executor: str) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item

    for k, result in enumerate(run_on(executor, work, range(100))):
        assert result == k
        assert max(begun) <= k + 2 * 3


def test_a_failure_stops_the_rest() -> None:
    begun: list[int] = []

    def work(item: int) -> float:
        begun.append(item)
        return 1 / (item - 5)

    with pytest.raises(ZeroDivisionError) as raised:
        list(run_on("threads:2", work, range(1000)))
    assert len(begun) < 20
    at = raised.value.__traceback__  # it keeps the frames of the run, and with them its threads
    assert at is not None
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


@pytest.mark.parametrize("executor", CLUSTERS)
def test_a_missing_extra_says_what_to_install(
    executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, CLUSTERS[executor], None)
    with pytest.raises(ImportError, match=r"pip install 'longplay\["):
        run_on(executor, len, [[1]])


@pytest.mark.parametrize(
    ("executor", "says"),
    [
        ("boats", "no executor 'boats'; there are serial, threads:N"),
        ("serial:2", "no executor 'serial:2'"),
        ("processes", "needs a number of workers, such as processes:2"),
        ("processes:0", "needs a number of workers"),
        ("threads:-1", "needs a number of workers"),
    ],
)
def test_an_executor_that_is_none_is_refused_before_anything_runs(executor: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        run_on(executor, len, [[1]])


def test_whoever_is_first_is_read_first() -> None:
    """The slow item holds no other up, where order is not asked for."""
    held = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            held.wait(30)
        return item

    coming = attempts("threads:2", work, range(6))
    first = [next(coming)[1]() for _ in range(3)]
    held.set()
    assert 0 not in first
    assert sorted([*first, *(attempt() for _, attempt in coming)]) == [*range(6)]

"""Worker processes of long runs, which end when their run does, or when it is stopped."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import TypeVar, TypeVarTuple

GRACE = 5.0  # s that workers have to end
Job = TypeVarTuple("Job")
Result = TypeVar("Result")


class JobsError(ValueError):
    """Some jobs of a run failed; all others are done."""


def results(
    work: Callable[[*Job], Result], jobs: Iterable[tuple[*Job]], workers: int
) -> Iterator[tuple[tuple[*Job], Result]]:
    """Each job and what `work` returns of it, as they are done: here, or in so many processes.

    An error in one job is told on stderr at once and the others go on. Whoever stops this, by a
    signal or by reading no further, stops the processes and all jobs that wait.

    Raises:
        JobsError: jobs failed, after all others are done.
    """
    todo, failed = [*jobs], list[Exception]()
    for job, attempt in _attempts(work, todo, workers):
        try:
            result = attempt()
        except Exception as error:  # noqa: BLE001  (raised below, after the others)
            failed.append(error)
            said = ", ".join(repr(part) for part in job if isinstance(part, str | int))
            print(f"failed: {said or work.__name__}: {error}", file=sys.stderr, flush=True)
        else:
            yield job, result
    if failed:
        raise JobsError(
            f"{len(failed)} of {len(todo)} jobs failed, the first with: {failed[0]}. What was done "
            "is kept"
        ) from failed[0]


def _attempts(
    work: Callable[[*Job], Result], jobs: list[tuple[*Job]], workers: int
) -> Iterator[tuple[tuple[*Job], Callable[[], Result]]]:
    """Each job with what returns its result, or raises its error."""
    if workers == 1:
        for job in jobs:
            yield job, lambda job=job: work(*job)  # type: ignore[misc]
        return
    with pool(workers) as processes:
        tasks = {processes.submit(work, *job): job for job in jobs}
        yield from ((tasks[task], task.result) for task in as_completed(tasks))


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes; a run that is killed outright leaves none behind, with its memory. When the
    run is stopped, what waits is cancelled and what is being worked on is broken off."""
    before = {child.pid for child in active_children()}
    processes = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin)
    try:
        yield processes
    except BaseException:
        processes.shutdown(wait=False, cancel_futures=True)
        _end({child.pid for child in active_children()} - before)
        raise
    finally:
        processes.shutdown()


def _end(pids: set[int | None]) -> None:
    """End processes that belong to nobody any more; kill those that do not end in time."""
    until = time.monotonic() + GRACE
    while left := [child for child in active_children() if child.pid in pids]:
        for child in left:
            child.terminate() if time.monotonic() < until else child.kill()
        left[0].join(0.1)


def _begin() -> None:
    """In a worker: the run it belongs to decides when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the run, too
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()

"""Worker processes of long runs, which end when their run does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar, TypeVarTuple

Job = TypeVarTuple("Job")
Result = TypeVar("Result")


def results(
    work: Callable[[*Job], Result], jobs: Iterable[tuple[*Job]], workers: int
) -> Iterator[tuple[tuple[*Job], Result]]:
    """Each job and what `work` returns of it, as they are done: here, or in so many processes."""
    if workers == 1:
        yield from ((job, work(*job)) for job in jobs)
        return
    with pool(workers) as processes:
        tasks = {processes.submit(work, *job): job for job in jobs}
        yield from ((tasks[task], task.result()) for task in as_completed(tasks))


def pool(workers: int) -> ProcessPoolExecutor:
    """Fresh processes; a run that is killed outright leaves none behind, with its memory."""
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()

"""Threads, and worker processes that end when their run does, or when it is stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import Any

from offpolicy.executors.backend import Backend

GRACE = 5.0  # s that workers have to end


@contextmanager
def on_threads(workers: int, work: Callable[[Any], Any]) -> Iterator[Backend]:
    """So many threads of this process."""
    threads = ThreadPoolExecutor(workers)
    try:
        yield _backend(threads, workers, work)
    finally:
        threads.shutdown(cancel_futures=True)


@contextmanager
def on_processes(workers: int, work: Callable[[Any], Any]) -> Iterator[Backend]:
    """So many processes; when one of them dies, all tasks that are left fail as broken."""
    with pool(workers) as processes:
        yield _backend(processes, workers, work)


def _backend(executor: Executor, workers: int, work: Callable[[Any], Any]) -> Backend:
    def submit(item: Any) -> Future[Any]:
        try:
            return executor.submit(work, item)
        except BrokenProcessPool as error:
            broken = Future[Any]()
            broken.set_exception(error)
            return broken

    def first(tasks: list[Future[Any]]) -> Future[Any]:
        return next(iter(wait(tasks, return_when=FIRST_COMPLETED).done))

    return Backend(submit, Future.result, first, workers)


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

    def wait_for_end() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait_for_end, daemon=True).start()

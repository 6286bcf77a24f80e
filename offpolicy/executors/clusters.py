"""Ray and Dask, at an address or started on this machine."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from offpolicy.executors.backend import Backend, extra


@contextmanager
def on_ray(address: str, work: Callable[[Any], Any]) -> Iterator[Backend]:
    """Tasks of a Ray cluster; without an address of one that is started here, and ended after.

    A task whose worker dies is not tried again: it fails, and the others go on.
    """
    ray = extra("ray", "ray")
    started = not ray.is_initialized()
    if started:
        with _own_signals():
            ray.init(address=address or None, log_to_driver=False)

    def task(item: Any) -> Any:  # Ray takes functions, not other callables
        return work(item)

    def result(ref: Any) -> Any:
        try:
            return ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, Exception):  # as `work` raised it; Ray's text has its lines
                raise error.cause from error
            raise

    submitted = set[Any]()
    remote = ray.remote(max_retries=0)(task)

    def submit(item: Any) -> Any:
        ref = remote.remote(item)
        submitted.add(ref)
        return ref

    def first(refs: list[Any]) -> Any:
        done, _ = ray.wait(refs, num_returns=1)
        return done[0]

    workers = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    try:
        yield Backend(submit, result, first, workers)
    except BaseException:
        if not started:  # a cluster of others goes on, without what it does for this run
            for ref in submitted:
                ray.cancel(ref, force=True)
        raise
    finally:
        if started:
            ray.shutdown()


@contextmanager
def on_dask(address: str, work: Callable[[Any], Any]) -> Iterator[Backend]:
    """Tasks of a Dask cluster; without an address of one that is started here, and ended after:
    a process for each core, one thread each."""
    distributed = extra("dask.distributed", "dask")
    local: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(address) if address else distributed.Client(**local) as client:
        submitted = set[Any]()

        def submit(item: Any) -> Any:  # bound, so that Dask looks into no argument
            future = client.submit(partial(work, item), pure=False, retries=0)
            submitted.add(future)
            return future

        def result(future: Any) -> Any:
            submitted.discard(future)
            return future.result()

        def first(futures: list[Any]) -> Any:
            return next(iter(distributed.wait(futures, return_when="FIRST_COMPLETED").done))

        workers = max(sum(client.nthreads().values()), 1)
        try:
            yield Backend(submit, result, first, workers)
        except BaseException:
            client.cancel([*submitted], force=True)
            raise


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray answers SIGTERM by leaving the interpreter; a run has its own way to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

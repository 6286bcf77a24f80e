"""Where shards are worked on: this machine's threads or processes, a Ray or a Dask cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
AHEAD = 2  # items per worker that are worked on, or done and not yet taken


def run_on(executor: str, work: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """Results one after another, in the order of the items; few are there at a time. `executor`:
    threads:N, processes:N, ray:ADDRESS, dask:ADDRESS ("ray:" and "dask:" alone start a local one).

    Raises:
        ValueError: an executor of another kind, or a number of workers that is none.
        ImportError: ray or dask is not installed; the message says what to install.
    """
    kind, _, where = executor.partition(":")
    if kind in ("threads", "processes"):
        workers = _workers(executor, where)
        return map(work, items) if workers == 1 else _on_pool(kind, workers, work, items)
    if kind == "ray":
        return _on_ray(_extra("ray", "ray"), where, work, items)
    if kind == "dask":
        return _on_dask(_extra("dask.distributed", "dask"), where, work, items)
    raise ValueError(
        f"no executor {executor!r}; there are threads:N, processes:N, ray:ADDRESS, dask:ADDRESS"
    )


def _in_flight(
    submit: Callable[[In], Any], result: Callable[[Any], Out], items: Iterable[In], limit: int
) -> Iterator[Out]:
    """At most `limit` items submitted and not yet taken, so that results do not pile up."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(submit(item))
        if len(waiting) >= limit:
            yield result(waiting.popleft())
    while waiting:
        yield result(waiting.popleft())


def _workers(executor: str, where: str) -> int:
    if not where.isdecimal() or int(where) < 1:
        raise ValueError(f"executor {executor!r} needs a number of workers, such as threads:2")
    return int(where)


def _on_pool(
    kind: str, workers: int, work: Callable[[In], Out], items: Iterable[In]
) -> Iterator[Out]:
    pool = ThreadPoolExecutor(workers) if kind == "threads" else ProcessPoolExecutor(workers)

    def submit(item: In) -> Future[Out]:
        return pool.submit(work, item)

    try:
        yield from _in_flight(submit, Future.result, items, AHEAD * workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _on_ray(
    ray: Any, address: str, work: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[Any]:
    started = not ray.is_initialized()
    if started:
        ray.init(address=address or None, log_to_driver=False)

    def task(item: Any) -> Any:  # Ray takes functions, not other callables
        return work(item)

    try:
        remote = ray.remote(task)
        workers = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        yield from _in_flight(remote.remote, ray.get, items, AHEAD * workers)
    finally:
        if started:
            ray.shutdown()


def _on_dask(
    distributed: Any, address: str, work: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[Any]:
    with distributed.Client(address or None) as client:

        def submit(item: Any) -> Any:  # bound, so that Dask looks into no argument
            return client.submit(partial(work, item), pure=False)

        workers = max(sum(client.nthreads().values()), 1)
        yield from _in_flight(submit, lambda future: future.result(), items, AHEAD * workers)


def _extra(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        message = f"executor {name}:… needs the extra: pip install 'longplay[{name}]'"
        raise ImportError(message) from None

"""Where shards are worked on: this machine's threads or processes, a Ray or a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from importlib import import_module
from typing import Any, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def run_on(executor: str, work: Callable[[In], Out], items: Iterable[In]) -> list[Out]:
    """Results in the order of the items. `executor`: threads:N, processes:N, ray:ADDRESS,
    dask:ADDRESS ("ray:" and "dask:" alone start a local one).

    Raises:
        ValueError: an executor of another kind, or a number of workers that is none.
        ImportError: ray or dask is not installed; the message says what to install.
    """
    kind, _, where = executor.partition(":")
    items = list(items)
    if kind in ("threads", "processes"):
        workers = _workers(executor, where)
        pool: type[ThreadPoolExecutor | ProcessPoolExecutor] = (
            ThreadPoolExecutor if kind == "threads" else ProcessPoolExecutor
        )
        if workers == 1:
            return [work(item) for item in items]
        with pool(workers) as open_pool:
            return list(open_pool.map(work, items))
    if kind == "ray":
        return _on_ray(where, work, items)
    if kind == "dask":
        return _on_dask(where, work, items)
    raise ValueError(
        f"no executor {executor!r}; there are threads:N, processes:N, ray:ADDRESS, dask:ADDRESS"
    )


def _workers(executor: str, where: str) -> int:
    if not where.isdecimal() or int(where) < 1:
        raise ValueError(f"executor {executor!r} needs a number of workers, such as threads:2")
    return int(where)


def _on_ray(address: str, work: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    ray = _extra("ray", "ray")
    started = not ray.is_initialized()
    if started:
        ray.init(address=address or None, log_to_driver=False)

    def task(item: Any) -> Any:  # Ray takes functions, not other callables
        return work(item)

    try:
        remote = ray.remote(task)
        return list(ray.get([remote.remote(item) for item in items]))
    finally:
        if started:
            ray.shutdown()


def _on_dask(address: str, work: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    distributed = _extra("dask.distributed", "dask")
    with distributed.Client(address or None) as client:
        return list(client.gather(client.map(work, items)))


def _extra(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        message = f"executor {name}:… needs the extra: pip install 'longplay[{name}]'"
        raise ImportError(message) from None

"""A function on many items, on an executor that a text names: the one way to work in parallel."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeVar

from offpolicy.executors.backend import Backend, extra
from offpolicy.executors.clusters import on_dask, on_ray
from offpolicy.executors.pools import on_processes, on_threads

In = TypeVar("In")
Out = TypeVar("Out")
AHEAD = 2  # items per worker that are worked on, or done and not yet taken
KINDS = "serial, threads:N, processes:N, ray[:ADDRESS], dask[:ADDRESS]"


class Executor(NamedTuple):
    """What the text of an executor says."""

    kind: str  # serial, threads, processes, ray, dask
    workers: int  # of threads and processes
    address: str  # of a cluster; "" = one that is started here


def parse(executor: str) -> Executor:
    """Read serial, threads:N, processes:N, ray[:ADDRESS] or dask[:ADDRESS].

    Raises:
        ValueError: an executor of another kind, or a number of workers that is none.
        ImportError: ray or dask is not installed; the message says what to install.
    """
    kind, colon, where = executor.partition(":")
    if kind == "serial" and not colon:
        return Executor(kind, 1, "")
    if kind in ("threads", "processes"):
        if not where.isdecimal() or int(where) < 1:
            raise ValueError(f"executor {executor!r} needs a number of workers, such as {kind}:2")
        return Executor(kind, int(where), "")
    if kind in ("ray", "dask"):
        extra({"ray": "ray", "dask": "dask.distributed"}[kind], kind)
        return Executor(kind, 0, where)
    raise ValueError(f"no executor {executor!r}; there are {KINDS}")


def run_on(executor: str, work: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """Results one after another, in the order of the items; few are there at a time. The first
    error ends the run.

    executor: serial, threads:N, processes:N, ray[:ADDRESS], dask[:ADDRESS]; a cluster without an
        address is started on this machine. Processes and clusters take functions and items that
        can be pickled; processes import the main module again, so that a script that uses them
        stands under `if __name__ == "__main__":`.

    Raises:
        ValueError: an executor of another kind, or a number of workers that is none.
        ImportError: ray or dask is not installed; the message says what to install.
    """
    parse(executor)  # at the call, not when the first result is read
    return _read(attempts(executor, work, items, ordered=True))


def _read(coming: Generator[tuple[In, Callable[[], Out]], None, None]) -> Iterator[Out]:
    """Results; at the first error the workers end at once, and not when somebody collects them."""
    with closing(coming):
        for _, attempt in coming:
            yield attempt()


def attempts(
    executor: str, work: Callable[[In], Out], items: Iterable[In], *, ordered: bool = False
) -> Generator[tuple[In, Callable[[], Out]], None, None]:
    """Each item with what returns its result or raises its error: as they are done, or in order.

    Whoever reads no further, or is stopped, stops the workers and all items that wait.
    """
    with _open(parse(executor), work) as backend:
        waiting: dict[Any, In] = {}

        def taken() -> tuple[In, Callable[[], Out]]:
            task = next(iter(waiting)) if ordered else backend.first([*waiting])
            return waiting.pop(task), partial(backend.result, task)

        for item in items:
            waiting[backend.submit(item)] = item
            if len(waiting) >= AHEAD * backend.workers:
                yield taken()
        while waiting:
            yield taken()


def _open(executor: Executor, work: Callable[[Any], Any]) -> AbstractContextManager[Backend]:
    match executor.kind:
        case "threads" if executor.workers > 1:
            return on_threads(executor.workers, work)
        case "processes":
            return on_processes(executor.workers, work)
        case "ray":
            return on_ray(executor.address, work)
        case "dask":
            return on_dask(executor.address, work)
    return nullcontext(_serial(work))


def _serial(work: Callable[[Any], Any]) -> Backend:
    """Here, when the result is read."""
    return Backend(lambda item: partial(work, item), lambda task: task(), lambda tasks: tasks[0], 0)

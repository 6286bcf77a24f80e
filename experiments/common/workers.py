"""The jobs of a run on its executor: failures are recorded, and the other jobs go on."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar, TypeVarTuple

from experiments.common.run_folder import FAILED, RunFolder
from offpolicy.executors.running import AHEAD, attempts, parse

Job = TypeVarTuple("Job")
Result = TypeVar("Result")
ALONE = "processes:1"


class JobsError(ValueError):
    """Some jobs of a run failed; all others are done."""


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """Options of a command whose jobs may run at the same time, into a run folder."""

    workers: int = 2
    """Processes of this computer, one thread each; short for --executor processes:N."""
    executor: str | None = None
    """Where the work runs: serial, processes:N, ray[:ADDRESS] or dask[:ADDRESS], with equal
    results; by default so many processes of this computer as --workers says."""
    out: Path = Path("results")
    """Where run folders are made."""
    resume: Path | None = None
    """A run folder to go on with; it has the settings, and none is given again."""


def executor_of(settings: Parallel) -> str:
    """The text of the executor: as it was asked for, or `workers` processes of this computer."""
    return settings.executor or f"processes:{settings.workers}"


def results(
    work: Callable[[*Job], Result],
    jobs: Iterable[tuple[*Job]],
    executor: str,
    folder: RunFolder | None = None,
) -> Iterator[tuple[tuple[*Job], Result]]:
    """Each job and what `work` returns of it, as they are done, on an executor of
    `offpolicy.executors.running`. One process, and one job in processes, is this process.

    An error in one job is told on stderr at once, and written with its traceback into the folder
    of the run; the others go on. A process that dies takes no other job with it: those that were
    worked on are tried again, each in a process of its own. Whoever stops this, by a signal or by
    reading no further, stops the workers and all jobs that wait.

    Raises:
        JobsError: jobs failed, after all others are done.
    """
    todo, failed, starred = [*jobs], list[Exception](), _Starred(work)
    total = len(todo)

    def run(text: str, some: list[tuple[*Job]]) -> Iterator[tuple[tuple[*Job], Result]]:
        for job, attempt in attempts(text, starred, some):
            try:
                result = attempt()
            except BrokenExecutor:
                lost.append(job)
            except Exception as error:  # noqa: BLE001  (raised below, after the others)
                failed.append(error)
                _record(error, work, job, len(failed), folder)
            else:
                yield job, result

    while todo:
        lost = list[tuple[*Job]]()
        text = _here(executor, len(todo))
        yield from run(text, todo)
        suspects, todo = lost[: AHEAD * parse(text).workers], lost[AHEAD * parse(text).workers :]
        for job in suspects:
            lost = []
            yield from run(ALONE, [job])
            if lost:
                failed.append(BrokenExecutor("its process died: killed from outside, or no memory"))
                _record(failed[-1], work, job, len(failed), folder)
    if failed:
        raise JobsError(
            f"{len(failed)} of {total} jobs failed, the first with: {failed[0]}. What was done "
            "is kept"
        ) from failed[0]


class _Starred(Generic[*Job, Result]):
    """A function of several arguments as one of their tuple, which can be pickled."""

    def __init__(self, work: Callable[[*Job], Result]) -> None:
        self.work = work

    def __call__(self, job: tuple[*Job]) -> Result:
        return self.work(*job)


def _here(executor: str, jobs: int) -> str:
    """The executor, with no more processes than there are jobs; a single one is this process."""
    asked = parse(executor)
    if asked.kind != "processes":
        return executor
    workers = min(asked.workers, jobs)
    return f"processes:{workers}" if workers > 1 else "serial"


def torch_threads(n: int) -> None:
    """Torch computes with `n` threads in this process: now, or from its import on.

    A process whose policies need no torch is spared the seconds that importing it takes.
    """
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Torch)]
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)
    else:
        sys.meta_path.insert(0, _Torch(n))


class _Torch(MetaPathFinder):
    """Finds torch where it is, once, and sets its threads when it has been imported."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of torch alone; None of every other module."""
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        found = PathFinder.find_spec(name, path)
        if found is None or found.origin is None:
            return found
        loader = _TorchLoader(name, found.origin, self.threads)
        inside = found.submodule_search_locations
        return spec_from_file_location(
            name, found.origin, loader=loader, submodule_search_locations=inside
        )


class _TorchLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, threads: int) -> None:
        super().__init__(name, path)
        self.threads = threads

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.set_num_threads(self.threads)


def _record(
    error: Exception,
    work: Callable[..., object],
    job: tuple[object, ...],
    nth: int,
    folder: RunFolder | None,
) -> None:
    """Tell of a failed job; its traceback is written where there is a run folder."""
    said = ", ".join(repr(part) for part in job if isinstance(part, str | int))
    where = ""
    if folder is not None:
        name = re.sub(r"[^\w.=-]+", "-", said).strip("-")[:80]
        text = "".join(traceback.format_exception(error))
        where = f" (traceback: {folder.write_text(f'{FAILED}/{nth:03d}-{name}.txt', text)})"
    told = f"failed: {said or work.__name__}: {error}{where}"
    print(told, file=sys.stderr, flush=True)

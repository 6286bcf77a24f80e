"""`longplay sweep FILE`: seeds x policies x worlds x settings, as a file says, in one table.

Every run has a folder of its own under the sweep's, where it goes on when the sweep was stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from experiments.common.run_folder import open_run
from experiments.common.show import Show
from experiments.common.workers import Parallel, executor_of, results

PLAN, CELLS = "sweep.yaml", "cells"


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Run compare or train-policy for every combination of settings in a file; one table."""

    file: tyro.conf.Positional[Path]
    """YAML: `command`, `settings` of every run, and `over`, lists of settings of which every
    combination is a run."""
    level: float = 0.95
    """Of the intervals over seeds."""
    shard: str | None = None
    """I/N: do only every N-th run, from the I-th; `longplay runs join` makes one of the folders."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}; it must be at least 1")
        if not 0 < self.level < 1:
            raise ValueError(f"level is {self.level}; it lies between 0 and 1, 0.95 is usual")
        shard_of(self.shard)


def shard_of(text: str | None) -> tuple[int, int]:
    """(i, n) of "i/n": 1 <= i <= n; ValueError for another text."""
    if text is None:
        return 1, 1
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise ValueError(f"shard is {text!r}; write I/N, such as 2/3: the second of three parts")
    return int(first), int(count)


def run(settings: Settings) -> int:
    """All runs of the shard; the table, where all runs of the sweep are done."""
    from experiments.sweeps.plan import read_plan
    from experiments.sweeps.swept import run_in
    from experiments.sweeps.table import table, to_csv

    own = None if settings.resume is None else settings.resume / PLAN
    file = own if own is not None and own.is_file() else settings.file
    plan, text = read_plan(file), file.read_text(encoding="utf-8")
    show, folder = Show(), open_run(settings.out, "sweep", settings, settings.resume)
    folder.write_text(PLAN, text)  # what is gone on with, also when the file changes
    show.note(f"run folder: {folder.path} (if stopped, go on with --resume {folder.path})")
    first, count = shard_of(settings.shard)
    mine = plan.cells[first - 1 :: count]
    todo = [cell for cell in mine if not folder.has(cell.name)]
    jobs = [(plan.command, cell.settings, folder.path / CELLS / cell.name) for cell in todo]
    with show.stage(f"{len(todo)} of {len(mine)} runs of longplay {plan.command}") as update:
        done = enumerate(results(run_in, jobs, executor_of(settings), folder), 1)
        for nth, ((_, _, path), rows) in done:
            folder.write_json(f"stages/{path.name}.json", rows)
            show.note(f"  done: {path.name} ({nth} of {len(todo)})")
            update(nth / len(todo))
    missing = [cell.name for cell in plan.cells if not folder.has(cell.name)]
    if missing:
        print(
            f"shard {settings.shard} is done; {len(missing)} runs are of other shards: when these "
            "are done, longplay runs join FOLDERS, then longplay sweep --resume the folder it makes"
        )
        return 0
    every = [folder.read_json(f"stages/{cell.name}.json") for cell in plan.cells]
    print(written := table(plan, every, settings.level))
    for name, content in (("table.md", written), ("sweep.csv", to_csv(plan, every))):
        print(f"written: {folder.write_text(name, content)}")
    return 0

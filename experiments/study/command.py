"""`longplay study`: which supervised sequence encoder pays under which agent, and where?

Every cell is an encoder (or none) under an agent in a world: the agent learns on the encoder's
frozen state, and is then served to other users. Users and random streams are the same for every
cell of a world and seed, so cells are compared on pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import as_completed
from itertools import accumulate, groupby
from pathlib import Path

from experiments.common.run_folder import open_run
from experiments.common.show import Show
from experiments.common.workers import pool
from experiments.study.settings import Cell, Settings, cells

__all__ = ["Settings", "run"]


def run(settings: Settings) -> int:
    """All cells, then the tables; a stopped run goes on with --resume FOLDER."""
    from experiments.study.cells import check
    from experiments.study.tables import tables

    check(settings)
    show, folder = Show(), open_run(settings.out, "study", settings, settings.resume)
    show.console.print(f"run folder: {folder.path}", markup=False)
    every = cells(settings)
    todo = [cell for cell in every if not folder.has(cell.stage)]
    with show.stage(f"{len(todo)} of {len(every)} cells") as update:
        for done in computed(settings, todo, folder.path):
            update(done / len(todo))
    results = {cell: folder.read_json(f"stages/{cell.stage}.json") for cell in every}
    text = tables(settings, results)
    folder.write_text("tables.md", text)
    print(text)
    print(f"written: {folder.path / 'tables.md'}")
    return 0


def computed(settings: Settings, todo: list[Cell], folder: Path) -> Iterator[int]:
    """Compute every cell into the folder, and say how many are done.

    A process takes a column at a time: its agents share the encoder and the logs.
    """
    from experiments.study.cells import compute_all

    alike = groupby(todo, key=lambda cell: (cell.seed, cell.world, cell.encoder))
    columns = [list(column) for _, column in alike]
    if settings.workers == 1:
        yield from accumulate(compute_all(settings, column, folder) for column in columns)
        return
    with pool(settings.workers) as processes:
        jobs = [processes.submit(compute_all, settings, column, folder) for column in columns]
        yield from accumulate(job.result() for job in as_completed(jobs))

"""`longplay study`: which supervised sequence encoder pays under which agent, and where?

Every cell is an encoder (or none) under an agent in a world: the agent learns on the encoder's
frozen state, and is then served to other users. Users and random streams are the same for every
cell of a world and seed, so cells are compared on pairs.
"""

from __future__ import annotations

from itertools import accumulate, groupby

from experiments.common.run_folder import open_run
from experiments.common.show import Show
from experiments.common.workers import executor_of, results
from experiments.study.settings import Cell, Settings, cells

__all__ = ["Settings", "run"]


def run(settings: Settings) -> int:
    """All cells, then the tables; a stopped run goes on with --resume FOLDER."""
    from experiments.study.cells import check, compute_all
    from experiments.study.page import study_page
    from experiments.study.tables import tables

    check(settings)
    show, folder = Show(), open_run(settings.out, "study", settings, settings.resume)
    show.console.print(f"run folder: {folder.path}", markup=False)
    every = cells(settings)
    todo = [cell for cell in every if not folder.has(cell.stage)]
    with show.stage(f"{len(todo)} of {len(every)} cells") as update:
        jobs = [(settings, column, folder.path) for column in columns(todo)]
        counts = (count for _, count in results(compute_all, jobs, executor_of(settings), folder))
        for done in accumulate(counts):
            update(done / len(todo))
    computed = {cell: folder.read_json(f"stages/{cell.stage}.json") for cell in every}
    text = tables(settings, computed)
    folder.write_text("tables.md", text)
    print(text)
    page = study_page(settings, computed, text, folder.read_json("settings.json"))
    folder.write_text("report.html", page)
    print(f"written: {folder.path / 'tables.md'}")
    print(f"written: {folder.path / 'report.html'}")
    return 0


def columns(todo: list[Cell]) -> list[list[Cell]]:
    """Cells of one seed, world and encoder together: a process takes a column at a time, whose
    agents share the encoder and the logs."""
    alike = groupby(todo, key=lambda cell: (cell.seed, cell.world, cell.encoder))
    return [list(column) for _, column in alike]

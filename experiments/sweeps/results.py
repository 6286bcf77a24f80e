"""What came of several runs, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.common.run_folder import RunFolder
from experiments.common.tables import text_table
from experiments.sweeps.folders import Run
from experiments.sweeps.swept import SWEPT, Row


def rows_of(run: Run) -> list[Row]:
    """The policies of a finished run with their numbers; none of other commands, or before."""
    if run.command not in SWEPT or not (run.path / "report.json").is_file():
        return []
    return SWEPT[run.command].rows(RunFolder(run.path).read_json("report.json"), run.settings)


def side_by_side(runs: Sequence[Run]) -> str:
    """The first measure of every policy, a column a run; "" where no run has one."""
    by_run = {run.path.name: {row["policy"]: row for row in rows_of(run)} for run in runs}
    policies = dict.fromkeys(policy for rows in by_run.values() for policy in rows)
    if not policies:
        return ""
    first = {run.path.name: SWEPT[run.command].measures[0] for run in runs if run.command in SWEPT}
    head = {"policy": "(measure)"} | {name: first.get(name, "-") for name in by_run}
    lines = [
        {"policy": policy}
        | {
            name: f"{rows[policy][first[name]]:.4g}" if policy in rows else "-"
            for name, rows in by_run.items()
        }
        for policy in policies
    ]
    return text_table([head, *lines])

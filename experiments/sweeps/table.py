"""The runs of a sweep as one table over seeds, and as a CSV file with a line a run and policy."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.study.tables import over_seeds
from experiments.sweeps.plan import Plan
from experiments.sweeps.swept import SWEPT, Row
from offpolicy.tables import markdown

SEED = "seed"


def to_csv(plan: Plan, rows: Sequence[list[Row]]) -> str:
    """A line for each run and policy: what was gone through, the policy, its numbers."""
    out = io.StringIO()
    numbers = [name for name in rows[0][0] if name != "policy"]
    names = [key for key in plan.over if key != "policy"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, "policy", *numbers])
    for cell, some in zip(plan.cells, rows, strict=True):
        for row in some:
            over = [_text(cell.over[key]) for key in names]
            values = ["" if row[name] is None else repr(row[name]) for name in numbers]
            writer.writerow([*over, row["policy"], *values])
    return out.getvalue()


def table(plan: Plan, rows: Sequence[list[Row]], level: float) -> str:
    """Markdown: means over seeds by what else was gone through and by policy, with Student's t
    intervals, and the difference of the first measure from the first policy on the same seeds."""
    measures = SWEPT[plan.command].measures
    keys = [key for key in plan.over if key not in (SEED, "policy")]
    groups: dict[tuple[str, ...], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for cell, some in zip(plan.cells, rows, strict=True):
        for row in some:
            groups[tuple(_text(cell.over[k]) for k in keys)][row["policy"]].append(row)
    lines = []
    for group, by_policy in groups.items():
        first = next(iter(by_policy.values()))
        for policy, mine in by_policy.items():
            values = [_mean([row[name] for row in mine], level) for name in measures]
            beside = "-"
            if mine is not first and len(mine) == len(first):
                pairs = [a[measures[0]] - b[measures[0]] for a, b in zip(mine, first, strict=True)]
                beside = _mean(pairs, level, sign="+")
            lines.append([*group, policy, *values, beside])
    head = [*keys, "policy", *measures, f"{measures[0]} less the first policy's"]
    seeds = sum(key == SEED for key in plan.over) and len({c.over[SEED] for c in plan.cells})
    note = (
        f"Mean over {seeds} seeds ± the half width of its {level:.0%} interval (Student's t); "
        "differences are of the same seeds."
        if seeds > 1
        else "One seed: go through several (over: seed: [0, 1, 2]) for intervals."
    )
    return f"{markdown(head, lines, left=len(keys) + 1)}\n\n{note}\n"


def _mean(values: list[float | None], level: float, sign: str = "") -> str:
    known = np.array([v for v in values if v is not None], dtype=np.float64)
    if len(known) < len(values):
        return "-"
    if len(known) < 2:
        return f"{known[0]:{sign}.4g}"
    over = over_seeds(known, level)
    return f"{over.value:{sign}.4g} ± {over.high - over.value:.2g}"


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)

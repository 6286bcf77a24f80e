"""`longplay published`: reproduce published off-policy tables, and examine the judge itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from experiments.data.datasets import data_root
from experiments.published import digits, judge_figures, mips, open_bandit

Name = Literal["open-bandit", "digits", "mips", "coverage", "gate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Print a measured table beside the published one."""

    table: tyro.conf.Positional[Name]
    """Which table."""
    data_root: Path | None = None
    """Folder of the data sets (open-bandit); the variable LONGPLAY_DATA otherwise."""
    prior: Path | None = None
    """Beta priors of the production policy (open-bandit), JSON or YAML: campaign -> alpha, beta.
    Left out, the item shares of the policy's own log stand in for them."""
    repeats: int | None = None
    """Bootstrap samples, runs, seeds or logs; the published number of them by default."""
    worlds: int = 30
    """Worlds whose expected errors the median ratio is of (mips)."""
    contexts: int = 200_000
    """Contexts over which true values are averaged (gate)."""


def run(settings: Settings) -> int:
    """Measure and print."""
    _print(TABLES[settings.table](settings), settings.table)
    return 0


def _digits(s: Settings) -> list[list[str]]:
    return _errors(digits.relative_errors(s.repeats or 30), digits.PRINTED)


def _open_bandit(s: Settings) -> list[list[str]]:
    errors = open_bandit.relative_errors(
        data_root(s.data_root), prior=s.prior, samples=s.repeats or 30
    )
    return _errors(errors, open_bandit.PRINTED)


def _errors(errors: dict[str, NDArray[np.float64]], printed: dict[str, float]) -> list[list[str]]:
    head = ["estimator", "relative error", "standard error", "published"]
    rows = [
        [k, f"{e.mean():.4f}", f"{e.std() / np.sqrt(len(e)):.4f}", f"{printed[k]:.3f}"]
        for k, e in errors.items()
    ]
    return [head, *rows]


def _mips(s: Settings) -> list[list[str]]:
    head = ["actions", "MSE IPS", "MSE MIPS", "ratio", "published", "expected ratio, median world"]
    rows = [head]
    for n_actions, printed in mips.PRINTED.items():
        errors = mips.squared_errors(n_actions, s.repeats or mips.SEEDS)
        (a, b), (a_se, b_se) = errors.mean(0), errors.std(0) / np.sqrt(len(errors))
        worlds = [mips.expected_errors(n_actions, seed) for seed in range(s.worlds)]
        ratio = float(np.median([x / y for x, y in worlds]))
        measured = [f"{a:.3f} ± {a_se:.3f}", f"{b:.4f} ± {b_se:.4f}", f"{a / b:.0f}"]
        published = f"{printed[0]:g}, {printed[1]:g}"
        rows.append([str(n_actions), *measured, published, f"{ratio:.0f}"])
    return rows


def _coverage(s: Settings) -> list[list[str]]:
    n = s.repeats or 2000
    rows = [["setting", "estimator", "coverage of 95 %", "mean width"]]
    for setting, figures in (
        ("five arms, n = 500", judge_figures.five_arms(n)),
        ("80 users x 10 dependent rows", judge_figures.dependent_rows(n)),
    ):
        rows += [[setting, c.estimator, f"{c.coverage:.4f}", f"{c.width:.4f}"] for c in figures]
    alarms, naive = judge_figures.peeking(n)
    rows.append(["A/A, 100 looks: false alarms", "confidence sequence", f"{alarms:.4f}", ""])
    rows.append(["A/A, 100 looks: false alarms", "t interval", f"{naive:.4f}", ""])
    return rows


def _gate(s: Settings) -> list[list[str]]:
    rows = [["true change", "pass", "fail", "cannot tell", "effective share"]]
    for ratio in (1.03, 1.0, 0.97):
        shares = judge_figures.gate_power(ratio, s.repeats or 300, contexts=s.contexts)
        rows.append([f"{ratio - 1:+.0%}", *(f"{x:.3f}" for x in shares.values())])
    return rows


TABLES: dict[Name, Callable[[Settings], list[list[str]]]] = {
    "open-bandit": _open_bandit,
    "digits": _digits,
    "mips": _mips,
    "coverage": _coverage,
    "gate": _gate,
}


def _print(rows: list[list[str]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], title=title)
    for row in rows[1:]:
        table.add_row(*row)
    Console(width=110).print(table)

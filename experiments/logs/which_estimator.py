"""`longplay which-estimator LOG`: on data like yours, which estimator errs least?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from experiments.logs.item_names import open_named_log
from offpolicy import LoggedDataset
from offpolicy.estimators.registry import fitting
from offpolicy.selection.redraw import score_estimators, score_session_estimators

Horizon = Literal["one_step", "per_decision"]
NAMES = (
    "ips", "clipped_ips", "snips", "cr", "dm", "dr", "sndr", "switch_dr", "dros", "subgaussian_dr",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Redraw logs like this one with known truth, and score the estimators on them."""

    log: tyro.conf.Positional[Path]
    """A log (folder or file), or any table (.parquet, .csv, .jsonl) with --columns."""
    horizon: Horizon = "one_step"
    """The estimand: single decisions, or sessions (these need candidate_propensity)."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs."""
    items: str | None = None
    """Items of a foreign log are names: a file of them, one a line in the order of their ids, or
    `log` for those of the log (text is)."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    tilt: tuple[float, ...] = (0.5, 2.0)
    """How far the targets go from the logging policy towards what pays, in standard deviations."""
    redraws: int = 60
    """Logs per target."""
    rows: int = 20_000
    """At most this many of the log's decisions are used; whole sessions."""
    seed: int = 0
    """Of the redraws."""


def run(settings: Settings) -> int:
    """A table per target, the estimator to choose first; its regret is the ratio of its error to
    the least one, in the reward surface that suits it worst."""
    from rich.console import Console
    from rich.table import Table

    log = open_named_log(settings.log, settings.columns, settings.n_items, items=settings.items)
    log = log.take(whole_sessions(log, settings.rows))
    one = settings.horizon == "one_step"
    if log.candidate_propensity is None and one:
        print("the log holds no candidate_propensity: estimators that need a model are left out")
    score = score_estimators if one else score_session_estimators
    names = NAMES if one else fitting("per_decision")
    for tilt in settings.tilt:
        scored, share = score(log, names, tilt=tilt, redraws=settings.redraws, seed=settings.seed)
        title = f"{settings.horizon}, target tilted by {tilt:g} sd; effective share {share:.1%}"
        table = Table(
            "estimator", "rmse", "bias", "coverage of 95 %", "width", "regret", title=title
        )
        for s in scored:
            table.add_row(
                s.estimator,
                f"{s.rmse:.4g}",
                f"{s.bias:+.3g}",
                f"{s.coverage:.1%}",
                f"{s.width:.4g}",
                f"{s.regret:.2f} (<= {s.regret_high:.2f})",
            )
        Console().print(table)
        best = scored[0]
        print(
            f"choose {best.estimator}: {best.regret:.2f} times the least error of these estimators "
            f"where it does worst (at most {best.regret_high:.2f} at 95 %)\n"
        )
    return 0


def whole_sessions(log: LoggedDataset, rows: int) -> NDArray[np.bool_]:
    """(N,) the first sessions, as many as have at most `rows` decisions together; at least one."""
    size = np.bincount(log.sessions)
    taken = np.cumsum(size) <= max(rows, int(size[0]))
    return np.asarray(taken[log.sessions])

"""`longplay benchmark planning`: does planning pay? Random, greedy oracle and planning oracle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

from recsim_env import USERS
from recsim_env.oracle import (
    Rule,
    greedy_oracle,
    look_ahead,
    random_slates,
    session_returns,
)

RULES: dict[str, Rule] = {
    "random": random_slates,
    "greedy": greedy_oracle,
    "planning": look_ahead,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which worlds to plan in, and how many users to meet."""

    worlds: tuple[str, ...] = ()
    """Names as in recsim_env/NAME-v0; all by default."""
    sessions: int = 1000
    """Users, the same for every rule."""
    seed: int = 0
    out: Path | None = None
    """Also write the rows as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Mean return of a session under each rule, and the paired gap; `*_se` are standard errors."""

    world: str
    random: float
    random_se: float
    greedy: float
    greedy_se: float
    planning: float
    planning_se: float
    gap: float  # planning over greedy, minus 1
    gap_se: float  # paired: both rules meet the same users


def measure(world: str, sessions: int, seed: int) -> Row:
    """One world's row."""
    env = gymnasium.make_vec(f"recsim_env/{world}-v0", num_envs=sessions)
    totals = {name: session_returns(env, rule, seed=seed).total for name, rule in RULES.items()}
    mean = {name: float(total.mean()) for name, total in totals.items()}
    se = {name: float(total.std(ddof=1) / sessions**0.5) for name, total in totals.items()}
    ratio = mean["planning"] / mean["greedy"]
    residual = (totals["planning"] - ratio * totals["greedy"]) / mean["greedy"]
    return Row(
        world=world,
        random=mean["random"],
        random_se=se["random"],
        greedy=mean["greedy"],
        greedy_se=se["greedy"],
        planning=mean["planning"],
        planning_se=se["planning"],
        gap=ratio - 1,
        gap_se=float(np.std(residual, ddof=1) / sessions**0.5),
    )


def run(settings: Settings) -> int:
    """Print one row per world."""
    unknown = set(settings.worlds) - USERS.keys()
    if unknown:
        raise ValueError(f"no world {sorted(unknown)}; there are {', '.join(USERS)}")
    if settings.sessions < 2:
        raise ValueError(f"sessions = {settings.sessions}: an interval needs at least 2")
    table = Table(title=f"Return of a session, {settings.sessions} users, 95 % intervals")
    for column in ("world", "random", "greedy oracle", "planning oracle", "planning gap"):
        table.add_column(column, justify="left" if column == "world" else "right")
    rows = []
    for world in settings.worlds or USERS:
        row = measure(world, settings.sessions, settings.seed)
        rows.append(asdict(row))
        table.add_row(
            world,
            f"{row.random:.2f} ± {1.96 * row.random_se:.2f}",
            f"{row.greedy:.2f} ± {1.96 * row.greedy_se:.2f}",
            f"{row.planning:.2f} ± {1.96 * row.planning_se:.2f}",
            f"{row.gap:+.1%} ± {1.96 * row.gap_se:.1%}",
        )
    Console().print(table)
    if settings.out is not None:
        settings.out.write_text(json.dumps(rows, indent=2))
    return 0

"""`longplay benchmark planning`: does planning pay, and does it pay because it is personal?

Random slates, the greedy oracle, the best static ranking that a search finds (one order of the
items for all users at all times, chosen with knowledge of the world) and the planning oracle. The
gap over greedy is what looking ahead pays; the gap over static is what is left of it for policies
that look at the user and at what happened so far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from experiments.common.show import Show
from experiments.common.worlds import env_id, make_env
from offpolicy.storage.atomic import write_text
from recsim_env import USERS, RecVectorEnv
from recsim_env.oracles.dynamic import exact_plan
from recsim_env.oracles.oracle import (
    Rule,
    greedy_oracle,
    look_ahead,
    random_slates,
    session_returns,
)
from recsim_env.oracles.search import SearchConfig, rollout_search
from recsim_env.oracles.static import StaticConfig, best_static_ranking, static_ranking

# Rows beside the plain ids: the flagship's switches, and rewards that decide whether planning pays.
VARIANTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "Longplay, return days": ("Longplay", {"days": 14.0}),
    "Longplay, cohorts": ("Longplay", {"cohorts": True}),
    "Longplay, cold start": ("Longplay", {"newcomers": 0.5}),
    "Longplay, churn": ("Longplay", {"churn": 0.5}),
    "Longplay, all four": (
        "Longplay",
        {"days": 14.0, "cohorts": True, "newcomers": 0.5, "churn": 0.5},
    ),
    "Curriculum, targets only": ("Curriculum", {"step_value": 0.0}),
}
STATIC = ("InterestExploration",)  # the user's preferences do not move: greedy is the optimal plan
COLUMNS = (
    "world",
    "random",
    "greedy oracle",
    "best static ranking",
    "planning oracle",
    "planner",
    "gap over greedy",
    "gap over static",
)
WIDEST = 200  # choices among which rollouts are affordable; Boredom offers 1,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which worlds to plan in, and how many users to meet."""

    worlds: tuple[str, ...] = ()
    """Rows by name, or folders of fitted worlds; all named ones by default."""
    sessions: int = 1000
    """Users, the same for every rule."""
    searched: int = 100
    """The first so many of them are also served by rollout search."""
    rollouts: int = 8
    """Of each proposed slate."""
    depth: int = 25
    """Decisions that a rollout lasts."""
    static_users: int = 1536
    """Users that the rankings of a generation of the static search share."""
    generations: int = 30
    """Of the static search."""
    seed: int = 0
    """Of the random numbers."""
    out: Path | None = None
    """Also write the rows as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Mean return of a session under each rule with its standard error, and the paired gap."""

    world: str
    random: float
    random_se: float
    greedy: float
    greedy_se: float
    planning: float
    planning_se: float
    static: float
    static_se: float
    planner: str  # exact, search, look ahead, or none where greedy is optimal
    users: int  # that the planner and the gap speak of
    gap: float  # planning over greedy, minus 1
    gap_se: float  # paired: both rules meet the same users
    personal: float  # planning over the best static ranking, minus 1
    personal_se: float


def measure(name: str, settings: Settings) -> Row:
    """One row: the best planner there is, against greedy on the same users."""
    world, extra = VARIANTS.get(name, (name, {}))
    totals = {
        kind: returns(world, extra, rule, settings.sessions, settings.seed)
        for kind, rule in (("random", random_slates), ("greedy", greedy_oracle))
    }
    planner, planned = plan(world, extra, totals["greedy"], settings)
    totals["static"] = static_returns(world, extra, settings)
    gaps = {kind: gain(planned, totals[kind][: len(planned)]) for kind in ("greedy", "static")}
    return Row(
        world=name,
        random=float(totals["random"].mean()),
        random_se=error(totals["random"]),
        greedy=float(totals["greedy"].mean()),
        greedy_se=error(totals["greedy"]),
        planning=float(planned.mean()),
        planning_se=error(planned),
        static=float(totals["static"].mean()),
        static_se=error(totals["static"]),
        planner=planner,
        users=len(planned),
        gap=gaps["greedy"][0],
        gap_se=gaps["greedy"][1],
        personal=gaps["static"][0],
        personal_se=gaps["static"][1],
    )


def gain(planned: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Planning over another rule on the same users, minus 1, with its standard error."""
    ratio = planned.mean() / other.mean()
    return float(ratio - 1), error((planned - ratio * other) / other.mean())


def static_returns(world: str, extra: Mapping[str, Any], settings: Settings) -> NDArray[np.float64]:
    """Returns of the best static ranking that a search finds on other users."""
    config = StaticConfig(generations=settings.generations, seed=settings.seed)
    scores = best_static_ranking(made(world, extra, settings.static_users), config)
    return returns(world, extra, static_ranking(scores), settings.sessions, settings.seed)


def plan(
    world: str, extra: Mapping[str, Any], greedy: NDArray[np.float64], settings: Settings
) -> tuple[str, NDArray[np.float64]]:
    """The planner's kind and its returns: exact where it can be, else the better of two guesses."""
    if world in STATIC:
        return "none: greedy is optimal", greedy
    env = made(world, extra, 1)
    if env.model.tabular is not None and env.slate_size == 1 and env.max_steps is not None:
        rule, _ = exact_plan(env)
        return "exact", returns(world, extra, rule, settings.sessions, settings.seed)
    ahead = returns(world, extra, look_ahead, settings.sessions, settings.seed)
    if settings.searched < 2 or env.n_choices > WIDEST:
        return "look ahead", ahead
    n = min(settings.searched, settings.sessions)
    base = look_ahead if ahead[:n].mean() >= greedy[:n].mean() else greedy_oracle
    config = SearchConfig(base=base, rollouts=settings.rollouts, depth=settings.depth)
    searched = returns(world, extra, rollout_search(config), n, settings.seed)
    if searched.mean() >= ahead[:n].mean():
        return "search", searched
    return "look ahead", ahead


def returns(
    world: str, extra: Mapping[str, Any], rule: Rule, sessions: int, seed: int
) -> NDArray[np.float64]:
    """Undiscounted returns (N,); slot i is the same user whatever N is."""
    return session_returns(made(world, extra, sessions), rule, seed=seed).total


def made(world: str, extra: Mapping[str, Any], n: int) -> RecVectorEnv:
    """N users of a row's world."""
    env = make_env(env_id(world), n, **extra)
    assert isinstance(env, RecVectorEnv)
    return env


def error(values: NDArray[np.float64]) -> float:
    """Standard error of a mean over independent users."""
    return float(values.std(ddof=1) / len(values) ** 0.5)


def run(settings: Settings) -> int:
    """Print one row per world."""
    known = (*USERS, *VARIANTS)
    unknown = {w for w in settings.worlds if w not in known and not Path(w).is_dir()}
    if unknown:
        raise ValueError(f"no world {sorted(unknown)}; there are {', '.join(known)}")
    if settings.sessions < 2:
        raise ValueError(f"sessions = {settings.sessions}: an interval needs at least 2")
    table = Table(title=f"Return of a session, {settings.sessions} users, 95 % intervals")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("world", "planner") else "right")
    rows, show = [], Show()
    for world in settings.worlds or known:
        with show.stage(world):
            row = measure(world, settings)
        rows.append(asdict(row))
        table.add_row(
            world,
            f"{row.random:.2f} ± {1.96 * row.random_se:.2f}",
            f"{row.greedy:.2f} ± {1.96 * row.greedy_se:.2f}",
            f"{row.static:.2f} ± {1.96 * row.static_se:.2f}",
            f"{row.planning:.2f} ± {1.96 * row.planning_se:.2f}",
            f"{row.planner}, {row.users} users",
            f"{row.gap:+.1%} ± {1.96 * row.gap_se:.1%}",
            f"{row.personal:+.1%} ± {1.96 * row.personal_se:.1%}",
        )
        if settings.out is not None:
            write_text(settings.out, json.dumps(rows, indent=2))
    Console(width=170).print(table)
    return 0

"""A log of sessions as plain data that a page draws: curves, distributions, segments, examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy import LoggedDataset, Plan, TargetScores, interval
from offpolicy.intervals.inference import Interval
from offpolicy.sessions.examples import example_session
from offpolicy.sessions.reach import by_horizon
from offpolicy.sessions.returns import by_segment, return_distribution, thirds
from offpolicy.sessions.split import Split, split
from offpolicy.sessions.steps import Curve
from offpolicy.sessions.survival import Decomposition, Without, decomposition, survival
from offpolicy.sessions.variety import exposure, repetition, slate_diversity

Described = Mapping[str, Any]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
WORST = 0.1  # share of sessions whose mean is shown as the worst
FEW = 8  # different values of a user's feature up to which each is a segment of its own
SEGMENTED = 3  # features at most


def describe(
    log: LoggedDataset,
    *,
    level: float,
    item_features: ArrayLike | None = None,
    user_names: Sequence[str] = (),
    base: ArrayLike | None = None,
    examples: Sequence[int] = (),
) -> dict[str, Any]:
    """What happened along the sessions of a log.

    item_features (A, D): for the diversity of slates. user_names: of the columns of `log.context`.
    base (S,): returns of another policy for the same users; segments then show paired differences.
    examples: numbers of sessions that are shown.
    """
    stays, parts = survival(log, level=level), decomposition(log, level=level)
    returns = return_distribution(log)
    diversity = None
    if log.slate_size > 1 and item_features is not None:
        diversity = _curve(slate_diversity(log, item_features, level=level))
    worst = interval(returns.cvar(WORST), level)
    return {
        "sessions": log.n_sessions,
        "decisions": len(log),
        "units": len(np.unique(log.unit)),
        "users_known": log.user is not None,
        "mean": plain_interval(interval(returns.mean(), level)),
        "at_risk": stays.at_risk.tolist(),
        "staying": _curve(stays.staying),
        "hazard": _curve(stays.hazard),
        "reward_there": _curve(parts.reward),
        "reward": _curve(parts.product),
        "without": None if parts.without is None else _curve(parts.without),
        "quantiles": [plain_interval(returns.quantile_interval(p, level)) for p in QUANTILES],
        "worst": plain_interval(worst),
        "repetition": _curve(repetition(log, level=level)),
        "diversity": diversity,
        "exposure": exposure(log)._asdict(),
        "segments": _segments(log, user_names, base, level),
        "examples": [_example(log, nth) for nth in examples if nth < log.n_sessions],
    }


def is_whole(log: LoggedDataset) -> bool:
    """Whether the log names sessions of several decisions, none of them missing, of 2 users or
    more: what `describe` needs."""
    length = np.bincount(log.sessions, minlength=log.n_sessions)
    last = np.zeros(log.n_sessions, np.int64)
    np.maximum.at(last, log.sessions, log.step)
    named = not log.provenance.single_decisions and len(np.unique(log.unit)) > 1
    return bool(named and length.max() > 1 and (last + 1 == length).all())


def reach(log: LoggedDataset, scores: TargetScores, *, level: float) -> dict[str, Any]:
    """Estimate and effective sample by horizon, as plain data."""
    r = by_horizon(log, scores, level=level, points=8)
    return {
        "steps": r.steps.tolist(),
        "estimate": _curve(r.estimate),
        "logged": _curve(r.logged),
        "ess": r.ess.tolist(),
        "trusted": r.trusted.tolist(),
    }


def difference_of(one: Described, other: Described, *, level: float) -> Split | None:
    """Of the return of `one` less that of `other`: what staying brings, and what reward while there
    brings; None for what was described without the groups of users that intervals need, or by
    other groups."""
    parts = _decomposition(one), _decomposition(other)
    sizes = {0 if d.without is None else len(d.without.staying) for d in parts}
    return split(*parts, level=level) if len(sizes) == 1 and 0 not in sizes else None


def numbers(values: Sequence[float | None]) -> list[float]:
    """Numbers that were written as JSON, where those that are not finite are null."""
    return [np.nan if v is None else float(v) for v in values]


def _decomposition(described: Described) -> Decomposition:
    names = ("staying", "reward_there", "reward")
    groups = described.get("without")  # an older version did not write it
    without = None
    if groups is not None:
        without = Without(*(np.array([*map(numbers, groups[k])]) for k in Without._fields))
    staying, reward, product = (_read(described[name]) for name in names)
    return Decomposition(staying, reward, product, without)


def _read(curve: Mapping[str, Sequence[float | None]]) -> Curve:
    return Curve(*(np.array(numbers(curve[k])) for k in Curve._fields))


def _curve(curve: Curve | Without) -> dict[str, Any]:
    return {name: values.tolist() for name, values in curve._asdict().items()}


def plain_interval(i: Interval) -> dict[str, float]:
    """Value and bounds, as plain data."""
    return {"value": i.value, "low": i.low, "high": i.high}


def _segments(
    log: LoggedDataset, names: Sequence[str], base: ArrayLike | None, level: float
) -> dict[str, list[dict[str, Any]]]:
    """Means by the features of users that differ at the first decision, a few at most."""
    if log.context is None:
        return {}
    first = log.context[log.groups.first]
    values = None if base is None else log.session_rewards() - np.asarray(base, np.float64)
    found = dict[str, list[dict[str, Any]]]()
    for column in range(first.shape[1]):
        kinds = len(np.unique(first[:, column]))
        if kinds < 2 or len(found) == SEGMENTED:
            continue
        name = names[column] if column < len(names) else f"context.{column}"
        rows = by_segment(log, _labels(log, column, kinds), values=values, level=level)
        found[name] = [
            {"name": s.name, "sessions": s.sessions, **plain_interval(s.value)} for s in rows
        ]
    return {name: rows for name, rows in found.items() if len(rows) > 1}


def _labels(log: LoggedDataset, column: int, kinds: int) -> NDArray[np.str_]:
    assert log.context is not None
    x = log.context[:, column]
    if kinds > FEW:
        return thirds(log, x)
    return np.array([f"{v:g}" for v in x.tolist()])


def _example(log: LoggedDataset, nth: int) -> dict[str, Any]:
    one = example_session(log, nth)
    return one._asdict() | {"shown": [s._asdict() for s in one.shown], "nth": nth}


def settings_facts(made: Mapping[str, Any]) -> str:
    """When a run was made, and by which version; nothing where that is not written."""
    at, version = made.get("at", ""), made.get("versions", {}).get("longplay", "")
    return f"made {str(at)[:10]} with longplay {version}" if at else ""


def plan_of(plan: Plan | None) -> dict[str, Any] | None:
    """What would settle an undecided verdict, as plain data."""
    return None if plan is None else {"goal": plan.goal, "lines": plan.lines()}

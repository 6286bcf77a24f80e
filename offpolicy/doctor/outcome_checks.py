"""Checks of what came back: outcomes of other rows, and outcomes that were lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from offpolicy.doctor.findings import Finding, Level, by_p_value, by_share
from offpolicy.doctor.splits import by_value
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import Groups
from offpolicy.log.names import name_of

ROUNDING = 1e-5  # relative: sums of rewards that passed through float32
MOVED = 4.0  # standard errors within which what was moved between rows leaves no trace in the sums


def consumed_was_shown(log: LoggedDataset) -> Finding:
    """The item taken stands in the slate of its row."""
    assert log.consumed is not None
    taken = log.consumed >= 0
    off = taken & ~(log.slate == log.consumed[:, None]).any(1)
    row = int(off.argmax()) if off.any() else None
    observed = f"{int(off.sum())} of {int(taken.sum())} items taken were not in their slate"
    if row is not None:
        observed += (
            f"; the first is row {row}: item {name_of(log.names, 'item', log.consumed[row])}"
        )
    return by_share(
        "outcomes in slates", int(off.sum()), int(taken.sum()), observed,
        "The item consumed is one of the slate that was shown.",
        "Join outcomes by the id of the decision that they answer; what was taken elsewhere is not "
        "`consumed` here (-1).", row,
    )  # fmt: skip


def places_add_up(log: LoggedDataset) -> Finding:
    """position_reward belongs to the same decision as reward.

    They need not be one currency: where a row pays more than its places do, by a rule of its own,
    nothing is wrong. Moved between rows, the same sums stand on other rows: then rows differ that
    are as often above as below, by sums that other rows were paid, and the totals agree.
    """
    name, rule = "rewards of places", "position_reward is of the decision whose reward it is."
    fix = "Join position_reward by the id of the decision, as reward is joined."
    assert log.position_reward is not None
    nothing = ((log.slate < 0) & (log.position_reward != 0)).any(1)
    if nothing.any():
        row = int(nothing.argmax())
        observed = f"{int(nothing.sum())} rows are paid at an empty place; the first is row {row}"
        return by_share(name, int(nothing.sum()), len(log), observed, rule, fix, row)
    total = log.position_reward.sum(1)
    gap = log.reward - total
    off = np.abs(gap) > ROUNDING * np.maximum(np.abs(log.reward), np.abs(total)) + 1e-12
    count = int(off.sum())
    if not count:
        return Finding(name, Level.PASS, "they add up to the reward on every row", rule)
    share, row = count / len(log), int(off.argmax())
    if not _moved(log.reward, total, gap, count):
        observed = f"they add up to the reward on {1 - share:.1%} of rows: another currency"
        return Finding(name, Level.PASS, observed, rule)
    observed = (
        f"on {count} rows they add up to what other rows were paid; the first is row {row}: "
        f"{total[row]:.6g}, but a reward of {log.reward[row]:.6g}"
    )
    return by_share(name, count, len(log), observed, rule, fix, row)


def _moved(reward: F64, total: F64, gap: F64, count: int) -> bool:
    """Sums and rewards are the same numbers in other rows, but for `count` chances."""
    a, b = np.sort(reward), np.sort(total)
    near = ROUNDING * max(float(np.abs(a).max()), 1e-300)
    values = np.unique(np.concatenate([a, b]))
    below = np.searchsorted(a, values + near, "right") - np.searchsorted(b, values + near, "right")
    noise = MOVED * np.sqrt(count) + 1
    centred = abs(float(gap.sum())) <= MOVED * float(np.sqrt((gap**2).sum()))
    known = np.searchsorted(a, b + near, "right") > np.searchsorted(a, b - near, "left")
    strangers = int((~known).sum())
    return bool(np.abs(below).max() <= noise) and centred and strangers <= 0.1 * count


def lost_outcomes(log: LoggedDataset, unit: Groups) -> Finding:
    """A group of rows without a single outcome, where all others have some.

    Groups are the values of `logger` and of context columns that take few values; no outcome is
    the least reward, or 0. As many rows as a group has units count as independent. A group may have
    no outcomes by nature, so that this is a warning.
    """
    name, rule = "outcomes per group", "Outcomes of every group of rows arrive."
    worst, tests = (1.0, 0.0, -1, ""), 0
    for part in by_value(log):
        for nothing in {float(log.reward.min()), 0.0}:
            none = log.reward == nothing
            share, rows = float(none.mean()), np.bincount(part.code)
            silent = np.flatnonzero((np.bincount(part.code, ~none) == 0) & (rows > 0))
            tests += len(rows)
            for g in silent if share < 1 else ():
                free = min(int(rows[g]), len(np.unique(unit.code[part.code == g])))
                label = f"{rows[g]} rows with {part.name(int(g))}"
                first = int((part.code == g).argmax())
                worst = min(worst, (share**free, nothing, first, label))
    if not worst[3]:
        return Finding(name, Level.PASS, f"no group of {tests} lacks outcomes", rule)
    p, nothing, row, label = worst
    share = float((log.reward != nothing).mean())
    observed = (
        f"none of {label} has a reward other than {nothing:.4g}, {share:.2%} of all rows have; the "
        f"first is row {row}"
    )
    f = by_p_value(
        name, min(p * tests, 1.0), observed, rule,
        "Look whether the outcomes of this group reach the log; drop its rows for all policies "
        "alike, or join what is missing.", row,
    )  # fmt: skip
    return replace(f, level=min(f.level, Level.WARN), row=f.row if f.level else None)

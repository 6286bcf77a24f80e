"""Rows of a trial on a scale on which the difference of its arms is a sum over users."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64
from offpolicy.trials.units import TrialUnits

Per = Literal["user", "session"]


class Compared(NamedTuple):
    """Rows on a scale on which the difference is a sum of weighted deviations."""

    canary: float
    control: float
    residual: F64  # (U,) deviation from the mean of the cell, in the metric's units per user
    coefficient: F64  # (C,) of a cell's deviations in the difference, with its small-sample factor


def compare(units: TrialUnits, x: F64, per: Per) -> Compared | None:
    """Levels of the arms, and deviations of the rows; None where no stratum has two users in both
    arms."""
    cells = units.cells
    c, t = cells.rows[1::2], cells.rows[0::2]
    whole = (c > 1) & (t > 1)
    parts = cells.rows if per == "user" else cells.sessions
    whole &= (parts[1::2] > 0) & (parts[0::2] > 0)
    weight = np.where(whole, c * t / np.maximum(c + t, 1), 0.0)
    total = weight.sum()
    if not total > 0:
        return None
    sums = np.bincount(cells.code, x, len(cells.rows))
    mean = sums / np.maximum(parts, 1e-300)
    mean[parts == 0] = 0.0
    if per == "user":
        residual = x - mean[cells.code]
    else:
        each = cells.rows / np.where(parts > 0, parts, 1.0)  # users a session
        residual = (x - mean[cells.code] * units.sessions) * each[cells.code]
    factor = np.sqrt(cells.rows / np.maximum(cells.rows - 1, 1)) / np.maximum(cells.rows, 1)
    share = weight / total
    coefficient = factor * np.repeat(share, 2)
    coefficient[0::2] *= -1
    return Compared(float(share @ mean[1::2]), float(share @ mean[0::2]), residual, coefficient)


def influence(units: TrialUnits, c: Compared, value: float) -> tuple[Estimate, F64]:
    """The estimate with the influence of users, and that of rows (U,) in the same scale."""
    users = units.users
    rows = c.residual * c.coefficient[units.cells.code] * users.n
    psi = rows
    if users.n < len(units):
        psi = np.bincount(users.code, rows, users.n).astype(np.float64)
    return Estimate(value, psi, np.arange(users.n), name="difference", horizon="trial"), rows

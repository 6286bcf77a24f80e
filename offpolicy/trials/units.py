"""What a trial compares: users in two arms, in the stages of a rollout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.estimators.terms import F64, I64
from offpolicy.log.groups import Groups, group

Bools = NDArray[np.bool_]


class Cells(NamedTuple):
    """An arm inside a stratum: 2 s is the control of the stratum at s, 2 s + 1 its canary."""

    code: I64  # (U,) the cell of each row
    rows: F64  # (C,) users in each
    sessions: F64  # (C,)
    strata: I64  # (C / 2,) their numbers


@dataclass(frozen=True, eq=False)
class TrialUnits:
    """Sums of M metrics over what a user met in one arm of one stratum, a row for each of them.

    Arms are compared inside a stratum only (a stage of the rollout, in which the share of the
    canary does not change). User ids are text or integers. `covariate` is a number of the user's
    past that was known before the trial, not a number (nan) for users without a past.

    Raises:
        ValueError: columns of other lengths, numbers that are not finite, a (user, arm, stratum)
            that has two rows.
    """

    user: NDArray[Any]  # (U,)
    canary: Bools  # (U,)
    stratum: I64  # (U,)
    total: F64  # (U, M)
    sessions: F64  # (U,)
    names: tuple[str, ...]  # (M,)
    covariate: F64 | None = None  # (U,)

    def __post_init__(self) -> None:
        rows = len(self.user)
        for name in ("canary", "stratum", "sessions", "covariate"):
            column = getattr(self, name)
            if column is not None and column.shape != (rows,):
                raise ValueError(f"{name} has shape {column.shape}; it is ({rows},), as user has")
        if self.total.shape != (rows, len(self.names)):
            raise ValueError(
                f"total has shape {self.total.shape}; it is ({rows}, {len(self.names)}), a column "
                f"for each of {', '.join(self.names)}"
            )
        if self.canary.dtype != np.bool_:
            raise ValueError(f"canary is {self.canary.dtype}; it is bool")
        if not np.isfinite(self.total).all():
            raise ValueError("total holds numbers that are not finite; leave such rewards out")
        if rows and not (self.sessions.min() >= 0 and self.sessions.max() < np.inf):
            raise ValueError("sessions holds a number that is not 0 or more, and finite")

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def users(self) -> Groups:
        """Which rows are of one user."""
        users = group(self.user)
        if users.n < len(self):
            code, _, _, strata = self.cells
            cells = 2 * len(strata)
            twice = np.bincount(users.code * cells + code) > 1
            if twice.any():
                name = self.user[users.first[int(twice.argmax()) // cells]]
                raise ValueError(
                    f"user {name} has several rows in one arm of a stratum; `units_of` sums them"
                )
        return users

    @cached_property
    def cells(self) -> Cells:
        """Arms inside strata."""
        low, high = (int(self.stratum.min()), int(self.stratum.max())) if len(self) else (0, 0)
        if low == high:
            at, strata = np.zeros(len(self), np.int64), np.array([low])
        else:
            strata, at = np.unique(self.stratum, return_inverse=True)
        code = 2 * at + self.canary
        size = 2 * len(strata)
        rows = np.bincount(code, minlength=size).astype(np.float64)
        sessions = np.bincount(code, self.sessions, size).astype(np.float64)
        return Cells(code, rows, sessions, strata)

    def metric(self, name: str) -> F64:
        """(U,) the sums of one metric.

        Raises:
            ValueError: there is none of that name.
        """
        if name not in self.names:
            raise ValueError(f"there is no metric {name!r}; there are {', '.join(self.names)}")
        return self.total[:, self.names.index(name)]

    def where(self, rows: Bools) -> TrialUnits:
        """Some of the rows."""
        covariate = None if self.covariate is None else self.covariate[rows]
        return TrialUnits(
            self.user[rows],
            self.canary[rows],
            self.stratum[rows],
            self.total[rows],
            self.sessions[rows],
            self.names,
            covariate,
        )

    def __add__(self, other: TrialUnits) -> TrialUnits:
        """Both; rows of the same user, arm and stratum become one.

        Raises:
            ValueError: other metrics.
        """
        if other.names != self.names:
            raise ValueError(f"metrics {self.names} and {other.names} do not add up")
        past = None
        if self.covariate is not None or other.covariate is not None:
            past = np.concatenate([_past(self), _past(other)])
        return units_of(
            np.concatenate([self.user, other.user]),
            np.concatenate([self.canary, other.canary]),
            np.concatenate([self.stratum, other.stratum]),
            np.concatenate([self.total, other.total]),
            self.names,
            sessions=np.concatenate([self.sessions, other.sessions]),
            covariate=past,
        )


def units_of(
    user: NDArray[Any],
    canary: ArrayLike,
    stratum: ArrayLike,
    values: ArrayLike,
    names: tuple[str, ...],
    *,
    sessions: ArrayLike,
    covariate: ArrayLike | None = None,
) -> TrialUnits:
    """Rows (N,) of any kind (decisions, sessions, parts of users) summed to trial units: `values`
    (N, M) and `sessions` (N,) add up (a decision counts 1 where it begins a session, else 0); of
    `covariate` (N,) the first number of a user's rows in the cell that is known stays."""
    arm, stage = np.asarray(canary, np.bool_), np.asarray(stratum, np.int64)
    x, count = np.asarray(values, np.float64), np.asarray(sessions, np.float64)
    past = None if covariate is None else np.asarray(covariate, np.float64)
    user = np.asarray(user)
    single = {"user": user, "canary": arm, "stratum": stage, "sessions": count, "covariate": past}
    shapes = {name: x.shape for name, x in single.items() if x is not None}
    if set(shapes.values()) != {(user.size,)} or x.ndim != 2 or len(x) != user.size:
        raise ValueError(f"{shapes}, values {x.shape}: each is (N,), an entry a row, values (N, M)")
    users = group(user)
    cell = 2 * (stage - (stage.min() if len(stage) else 0)) + arm
    key = users.code * (int(cell.max()) + 1 if len(cell) else 1) + cell
    rows = group(key)
    if rows.n < len(key):
        x = np.stack([np.bincount(rows.code, column, rows.n) for column in x.T], axis=1)
        count = np.bincount(rows.code, count, rows.n).astype(np.float64)
        user, arm, stage = user[rows.first], arm[rows.first], stage[rows.first]
        past = None if past is None else _first_known(past, rows)
    return TrialUnits(user, arm, stage, x, count, names, past)


def _past(units: TrialUnits) -> F64:
    return np.full(len(units), np.nan) if units.covariate is None else units.covariate


def _first_known(x: F64, rows: Groups) -> F64:
    kept = np.full(rows.n, np.nan)
    known = np.flatnonzero(np.isfinite(x))[::-1]  # the first of a group is written last
    kept[rows.code[known]] = x[known]
    return kept

"""What a target policy, and a reward model, say about the rows of a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.checks import PRODUCT, ROUNDING, validate
from offpolicy.log.columns import matrix, whole_numbers
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.rectangular import rectangular_tables

F64 = NDArray[np.float64]
TABLES = ("position_propensity", "slates", "slate_weight")
ENTIRE = 1e-4  # how far probabilities of a row's slates may sum from 1


@dataclass(frozen=True, slots=True, eq=False)
class TargetScores:
    """What the target policy says about N logged decisions.

    Raises:
        LogError: a probability leaves [0, 1], or shapes disagree.
    """

    propensity: F64  # (N,) probability of the whole logged slate under the target, in [0, 1]
    position_propensity: F64 | None = None  # (N, K) probability of each position's item given the
    # positions above, an empty position 1; the product is `propensity`
    slates: NDArray[np.int32] | None = None  # (N, S, K) item ids of S slates of the target for each
    # row, independent draws of it; what reward models are averaged over
    slate_weight: F64 | None = None  # (N, S) probabilities of these slates under the target, which
    # sum to 1 in each row; None = equal draws

    def __post_init__(self) -> None:
        p = np.asarray(self.propensity, np.float64)
        object.__setattr__(self, "propensity", p)
        tables = {n: x for n in TABLES if (x := getattr(self, n)) is not None}
        for name, table in rectangular_tables(tables).items():
            object.__setattr__(self, name, table)
        if p.ndim != 1:
            raise LogError(
                f"target propensity has shape {p.shape}; it is (N,): the target's probability of "
                "each logged slate."
            )
        validate(
            ~((p >= 0) & (p <= 1 + ROUNDING)),
            lambda i: (
                f"target propensity[{i}] = {p[i]:.6g} is outside [0, 1]; it is the target's "
                "probability of the logged slate, not a score or a logit."
            ),
        )
        for name in TABLES:
            x = getattr(self, name)
            if x is not None and len(x) != len(p):
                raise LogError(f"{name} has {len(x)} rows, propensity {len(p)}; one per decision.")
        if self.position_propensity is not None:
            self._check_positions(p)
        if self.slates is not None:
            object.__setattr__(self, "slates", whole_numbers("slates", self.slates, np.int32))
        if self.slate_weight is not None:
            self._check_shares(np.asarray(self.slate_weight, np.float64))

    def _check_positions(self, p: F64) -> None:
        pp = matrix(np.asarray(self.position_propensity, np.float64))
        object.__setattr__(self, "position_propensity", pp)
        product = pp.prod(1)
        validate(
            ~((pp >= 0) & (pp <= 1 + ROUNDING)).all(1) | ~(np.abs(product - p) <= PRODUCT * p),
            lambda i: (
                f"target position_propensity[{i}] = {pp[i].tolist()} does not multiply to its "
                f"propensity {p[i]:.6g}. Each position carries the target's probability of its "
                "item given the positions above, an empty position 1; their product is the slate's."
            ),
        )

    def _check_shares(self, share: F64) -> None:
        if self.slates is None or share.shape != self.slates.shape[:2]:
            raise LogError(
                "slate_weight is (N, S): the probability of each of the S slates of a row"
            )
        validate(
            ~(share >= 0).all(1) | ~(np.abs(share.sum(1) - 1) <= ENTIRE),
            lambda i: (
                f"slate_weight[{i}] sums to {share[i].sum():.6g}; the probabilities of a row's "
                "slates are not negative and sum to 1. Leave slate_weight out for equal draws."
            ),
        )


class Predictions(NamedTuple):
    """A reward model's predictions for every row, cross-fitted: of the return from the row on for
    sessions, of the row's reward for one decision."""

    q_logged: F64  # (N,) for the logged slate
    v_target: F64  # (N,) averaged over the target policy


def check_scores(log: LoggedDataset, scores: TargetScores) -> None:
    """The scores are about these rows and this catalogue.

    Raises:
        LogError: they are not.
    """
    if len(scores.propensity) != len(log):
        raise LogError(
            f"{len(scores.propensity)} target scores for {len(log)} logged decisions; score the "
            "same rows that are evaluated."
        )
    positions = scores.position_propensity
    if positions is not None and positions.shape[1] != log.slate_size:
        raise LogError(
            f"target position_propensity has {positions.shape[1]} positions, the log "
            f"{log.slate_size}; score the slates that were logged."
        )
    drawn = scores.slates
    if drawn is None:
        return
    if drawn.ndim != 3 or drawn.shape[2] != log.slate_size or not drawn.shape[1]:
        raise LogError(
            f"target slates have shape {drawn.shape}; they are (N, draws, {log.slate_size}) with "
            "one draw at least."
        )
    validate(
        (drawn.reshape(len(drawn), -1) < -1).any(1),
        lambda i: f"target slates[{i}] holds item {drawn[i].min()}; -1 is an empty position.",
    )
    validate(
        (drawn.reshape(len(drawn), -1) >= log.n_items).any(1),
        lambda i: (
            f"target slates[{i}] holds item {drawn[i].max()}, but the log's catalogue ends at "
            f"{log.n_items - 1}: the target policy is of another catalogue size. Build it over "
            f"the log's {log.n_items} items."
        ),
    )

"""(log, target scores, horizon) -> Terms. The estimand is chosen here, and named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, Terms, check_gamma
from offpolicy.log.checks import PRODUCT, ROUNDING, validate
from offpolicy.log.columns import matrix, whole_numbers
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import in_group_order

Horizon = Literal["one_step", "per_decision", "trajectory", "marginal"]
ENTIRE = 1e-4  # how far probabilities of a row's slates may sum from 1
ESTIMAND: dict[str, str] = {
    "one_step": "expected reward of one decision, in states the logging policy reached",
    "per_decision": "expected return of a session the target policy serves from its start",
    "trajectory": "expected return of a session the target policy serves from its start",
    "marginal": "expected return of a session the target policy serves from its start",
}


@dataclass(frozen=True, slots=True, eq=False)
class TargetScores:
    """What the target policy says about N logged decisions.

    Raises:
        LogError: a probability leaves [0, 1], or shapes disagree.
    """

    propensity: F64  # (N,) probability of the logged slate under the target, 0 allowed
    position_propensity: F64 | None = None  # (N, K) of each place given the places above
    slates: NDArray[np.int32] | None = None  # (N, S, K) S independent draws of the target …
    slate_weight: F64 | None = None  # (N, S) … or S chosen slates with these probabilities

    def __post_init__(self) -> None:
        p = np.asarray(self.propensity, np.float64)
        object.__setattr__(self, "propensity", p)
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
        for name in ("position_propensity", "slates", "slate_weight"):
            x = getattr(self, name)
            if x is not None and len(x) != len(p):
                raise LogError(f"{name} has {len(x)} rows, propensity {len(p)}; one per decision.")
        if self.position_propensity is not None:
            self._check_places(p)
        if self.slates is not None:
            object.__setattr__(self, "slates", whole_numbers("slates", self.slates, np.int32))
        if self.slate_weight is not None:
            self._check_shares(np.asarray(self.slate_weight, np.float64))

    def _check_places(self, p: F64) -> None:
        pp = matrix(np.asarray(self.position_propensity, np.float64))
        object.__setattr__(self, "position_propensity", pp)
        product = pp.prod(1)
        validate(
            ~((pp >= 0) & (pp <= 1 + ROUNDING)).all(1) | ~(np.abs(product - p) <= PRODUCT * p),
            lambda i: (
                f"target position_propensity[{i}] = {pp[i].tolist()} does not multiply to its "
                f"propensity {p[i]:.6g}. Each place carries the target's probability of its item "
                "given the places above, an empty place 1; their product is the slate's."
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
    """A reward model's word on every row, cross-fitted; of the return from the row on for
    sessions, of the row's reward for one decision."""

    q_logged: F64  # (N,) for the logged slate
    v_target: F64  # (N,) averaged over the target policy


def terms(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    horizon: Horizon,
    model: Predictions | None = None,
    gamma: float = 1.0,
) -> Terms:
    """The statistics of a log under a target policy.

    `horizon` names the estimand and has no default:
    one_step: the target acts once, in states the LOGGING policy reached; `gamma` plays no part.
    per_decision: the target acts from the session's start; weights multiply along the session.
    trajectory: as per_decision, every step weighted by the product over the whole session.

    Rows are independent across users where the log names users, else across sessions.

    Raises:
        LogError: the scores do not fit the log, or a session estimand meets missing steps.
    """
    check_scores(log, scores)
    check_gamma(gamma)
    with np.errstate(over="ignore"):  # Terms refuse what is not finite
        ratio = scores.propensity / log.propensity
    q, v = (None, None) if model is None else model
    unit = log.session if log.user is None else log.user
    if horizon == "one_step":
        return Terms(ratio, log.reward, q, v, unit, horizon=horizon)
    if horizon not in ("per_decision", "trajectory"):
        raise ValueError(_no_such(horizon))
    log.require_whole_sessions("the weight of a session is the product over ALL its steps.")
    running, before = running_product(log, ratio)
    if horizon == "trajectory":
        running = before = whole_product(log, running)
    return Terms(
        running,
        log.reward,
        q,
        v,
        unit,
        weight_before=before,
        discount=None if gamma == 1 else gamma ** log.step.astype(np.float64),
        stratum=log.step.astype(np.int64),
        session=log.sessions,
        horizon=horizon,
    )


def on_policy(t: Terms) -> Terms:
    """The same rows under the logging policy itself: weights 1, no model. What a target is compared
    with, pairwise."""
    return Terms(
        np.ones(len(t)),
        t.reward,
        None,
        None,
        t.unit,
        discount=t.discount,
        stratum=t.stratum,
        session=t.session,
    )


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
    places = scores.position_propensity
    if places is not None and places.shape[1] != log.slate_size:
        raise LogError(
            f"target position_propensity has {places.shape[1]} places, the log {log.slate_size}; "
            "score the slates that were logged."
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
        lambda i: f"target slates[{i}] holds item {drawn[i].min()}; -1 is an empty place.",
    )
    validate(
        (drawn.reshape(len(drawn), -1) >= log.n_items).any(1),
        lambda i: (
            f"target slates[{i}] holds item {drawn[i].max()}, but the log's catalogue ends at "
            f"{log.n_items - 1}: the target policy is of another catalogue size. Build it over "
            f"the log's {log.n_items} items."
        ),
    )


def running_product(log: LoggedDataset, ratio: F64) -> tuple[F64, F64]:
    """Products of `ratio` (N,) along each session: up to and with the row, and before it."""
    order = in_group_order(log.groups, log.step)
    code = log.sessions if order is None else log.sessions[order]
    running = cumulative_product(ratio if order is None else ratio[order], code)
    before = np.ones_like(running)
    inside = code[1:] == code[:-1]
    before[1:][inside] = running[:-1][inside]
    if order is None:
        return running, before
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return running[back], before[back]


def cumulative_product(x: F64, code: NDArray[np.int64]) -> F64:
    """Products along runs of equal `code`, a step at a time over all runs: exact, no logarithms."""
    out = x.copy()
    head = np.ones(len(x), bool)
    head[1:] = code[1:] != code[:-1]
    start = np.flatnonzero(head)
    length = np.diff(np.append(start, len(x)))
    step = 1
    while (alive := length > step).any():
        start, length = start[alive], length[alive]
        with np.errstate(over="ignore", invalid="ignore"):  # Terms refuse what is not finite
            out[start + step] *= out[start + step - 1]
        step += 1
    return out


def whole_product(log: LoggedDataset, running: F64) -> F64:
    """The last running product of each row's session, on all its rows."""
    last = np.zeros(log.n_sessions, np.int64)
    last[log.sessions] = np.arange(len(log))  # rows of a session stand in time order
    return np.asarray(running[last][log.sessions])


def _no_such(horizon: str) -> str:
    if horizon == "marginal":
        return "marginal weights need state weights: use offpolicy.marginal_terms(log, scores, ...)"
    return f"no horizon {horizon!r}; there are {', '.join(get_args(Horizon))}"

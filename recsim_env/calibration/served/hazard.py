"""When users leave: a logistic hazard in discrete time with a memory of the items taken."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtri

from recsim_env.calibration.served.log import F64, I64, Clock, ServedLog
from recsim_env.calibration.served.solve import least, least_of_few

KEEPS = (0.6, 0.8, 0.9, 0.95, 1.0)  # memories of strain that are tried
START_VARIANCE = 0.01  # of items' effects, in squared logits
LEAST_VARIANCE = 1e-5
FEWEST_LEFT = 10  # leavings from which a hazard is fitted
NAMES = ("base", "step", "total", "worn", "idle", "paid")
WORTH = 2.0  # log-likelihood that users of different patience must gain
QUANTILES = 7  # of the users' own patience, where it is integrated out


class Hazard(NamedTuple):
    """Coefficients of the logit of leaving after a decision."""

    coefficients: dict[str, float]  # by NAMES
    departure: F64  # (A,) of each item taken, fading by `keep`
    keep: float
    patience: F64  # (S,) of each session's user: a draw, about 0
    patience_sd: float


class Design(NamedTuple):
    """What leaving depends on, at every row."""

    fixed: F64  # (N, F) in units of their standard deviation, the base first
    unit: F64  # (F,)
    items: I64  # (N,) taken, -1 = none


def nobody_leaves(log: ServedLog) -> Hazard:
    """Where a log does not tell when users leave."""
    none = dict.fromkeys(NAMES, 0.0) | {"base": -50.0}
    return Hazard(none, np.zeros(log.n_items), 0.9, np.zeros(log.n_sessions), 0.0)


def fit_hazard(
    log: ServedLog, clock: Clock, most_worn: F64, extra: F64, traits: F64, seed: int
) -> Hazard:
    """The memory of highest penalised likelihood, then items' effects by empirical Bayes.

    `extra` (N,): reward above the item's own. `traits` (A, M): what is known of items besides
    (their appeal, their responses), on which the mean of an item's effect depends linearly. A
    session that was cut is one that nobody left.
    """
    if log.left.sum() < FEWEST_LEFT:
        return nobody_leaves(log)
    tried = []
    for keep in KEEPS:
        design = design_of(log, clock, most_worn, extra, traits, keep)
        loss, w = maximised(log, clock, design, keep, START_VARIANCE, None, 25)
        tried.append((loss, keep, design, w))
    _, keep, design, w = min(tried, key=lambda one: one[0])
    variance, f = START_VARIANCE, design.fixed.shape[1]
    for _ in range(5):
        _, w = maximised(log, clock, design, keep, variance, w, 40)
        chance = expit(logits(clock, design, keep, w))
        known = faded_squares(clock, design, chance * (1 - chance), keep, log.n_items)
        variance = float(np.mean(w[f:] ** 2 + 1 / (known + 1 / variance)))
        variance = max(variance, LEAST_VARIANCE)
    base, spread, own = patience_of(log, logits(clock, design, keep, w), seed)
    plain = w[:f] / design.unit
    coefficients = dict(zip(NAMES, plain[: len(NAMES)], strict=True))
    coefficients["base"] = float(plain[0] + base)
    departure = traits @ plain[len(NAMES) :] + w[f:]
    named = {name: float(value) for name, value in coefficients.items()}
    return Hazard(named, departure, keep, own, spread)


def design_of(
    log: ServedLog, clock: Clock, most_worn: F64, extra: F64, traits: F64, keep: float
) -> Design:
    """Base, step, reward so far, wear; then fading: nothing taken, extra reward, traits.

    How many items were taken is left out: with nothing taken it counts decisions, as steps do.
    """
    items = log.consumed
    taken = (items >= 0).astype(np.float64)
    fading = np.column_stack([1 - taken, extra, traits[np.maximum(items, 0)] * taken[:, None]])
    columns = np.column_stack(
        [
            np.ones(len(log)),
            np.log1p(log.step),
            clock.faded(log.reward, 1.0),
            most_worn,
            clock.faded(fading, keep),
        ]
    )
    unit = columns.std(0)
    constant = unit < 1e-9
    unit[constant] = 1.0
    columns[:, constant] = 0.0
    columns[:, 0] = 1.0
    return Design(columns / unit, unit, items)


def logits(clock: Clock, design: Design, keep: float, w: F64) -> F64:
    """(N,) of leaving after each decision."""
    f = design.fixed.shape[1]
    effect = np.where(design.items >= 0, w[f:][np.maximum(design.items, 0)], 0.0)
    return np.asarray(design.fixed @ w[:f] + clock.faded(effect, keep))


def leaving(hazard: Hazard, log: ServedLog, clock: Clock, most_worn: F64, extra: F64) -> F64:
    """(N,) chance of leaving after each decision, given that the user has stayed until then."""
    c, items = hazard.coefficients, log.consumed
    had = np.where(
        items >= 0,
        hazard.departure[np.maximum(items, 0)] + c["paid"] * extra,
        c["idle"],
    )
    logit = c["base"] + c["step"] * np.log1p(log.step) + c["worn"] * most_worn
    logit += c["total"] * clock.faded(log.reward, 1.0) + clock.faded(had, hazard.keep)
    nodes = quantiles() * hazard.patience_sd
    total = logit[:, None] + nodes
    stays = -np.logaddexp(0, total)
    before = clock.faded(stays, 1.0) - stays  # log-chance of having stayed, at each patience
    weight = np.exp(before - before.max(1, keepdims=True))
    return np.asarray((weight * expit(total)).sum(1) / weight.sum(1))


def quantiles() -> F64:
    """(Q,) of a standard normal effect, of variance 1."""
    nodes = ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)
    return np.asarray(nodes / np.sqrt(np.mean(nodes**2)))


def maximised(
    log: ServedLog,
    clock: Clock,
    design: Design,
    keep: float,
    variance: float,
    first: F64 | None,
    iterations: int,
) -> tuple[float, F64]:
    """Penalised negative log-likelihood and weights (F + A,)."""
    f, taken = design.fixed.shape[1], design.items >= 0
    items = design.items[taken]
    scale = float(len(log))
    root = float(np.sqrt(variance))  # items' effects in units of their spread: better scaled

    def loss(w: F64) -> tuple[float, F64]:
        logit = logits(clock, design, keep, np.concatenate([w[:f], w[f:] * root]))
        gap = expit(logit) - log.left
        value = np.logaddexp(0, logit).sum() - logit[log.left].sum()
        slope = np.empty_like(w)
        slope[:f] = gap @ design.fixed + 1e-3 * w[:f]
        back = clock.faded_back(gap, keep)[taken]
        slope[f:] = root * np.bincount(items, back, log.n_items) + w[f:]
        penalty = 0.5 * (w[f:] @ w[f:]) + 0.5e-3 * (w[:f] @ w[:f])
        return float(value + penalty) / scale, slope / scale

    w = np.zeros(f + log.n_items) if first is None else first.copy()
    if first is None:
        rate = np.clip(log.left.mean(), 1e-6, 1 - 1e-6)  # all may leave after one decision
        w[0] = np.log(rate / (1 - rate))
    w[f:] /= root
    value, w = least(loss, w, iterations)
    w[f:] *= root
    return value, w


def faded_squares(clock: Clock, design: Design, weight: F64, keep: float, n_items: int) -> F64:
    """(A,) what the rows know of each item's effect: the diagonal of the curvature, as if an item
    was taken once a session."""
    back = clock.faded_back(weight, keep**2)
    taken = design.items >= 0
    return np.bincount(design.items[taken], back[taken], n_items).astype(np.float64)


def patience_of(log: ServedLog, logit: F64, seed: int) -> tuple[float, float, F64]:
    """Shift of the base, standard deviation of users' own patience, and a draw for each session.

    A normal effect of the session, integrated out over its quantiles (marginal likelihood).
    """
    nodes = quantiles()

    def chances(w: F64) -> F64:
        """(S, Q) log-likelihood of each session at each quantile."""
        total = logit[:, None] + w[0] + np.exp(w[1]) * nodes
        each = np.where(log.left[:, None], total, 0.0) - np.logaddexp(0, total)
        return np.stack(
            [np.bincount(log.session, each[:, q], log.n_sessions) for q in range(QUANTILES)], axis=1
        )

    def loss(w: F64) -> float:
        each = chances(w)
        top = each.max(1)
        return -float((top + np.log(np.exp(each - top[:, None]).mean(1))).mean())

    alike = np.array([0.0, -20.0])
    value, w = least_of_few(loss, np.array([0.0, np.log(0.3)]), 60)
    if value > loss(alike) - WORTH / log.n_sessions:
        w = alike
    each = chances(w)
    mass = np.exp(each - each.max(1, keepdims=True)).cumsum(1)
    u = np.random.default_rng(seed).random(log.n_sessions) * mass[:, -1]
    spread = float(np.exp(w[1]))
    return float(w[0]), spread, spread * nodes[(mass < u[:, None]).sum(1)]

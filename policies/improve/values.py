"""From sums over logs to values: chance to be taken, reward now, and the rest of the session."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from policies.improve.assortment import marginal_values
from policies.improve.evidence import NOW, Evidence, Layout
from policies.improve.kernels import Kernels
from policies.improve.shrinkage import ItemModel, fit_items, ridge_by_gcv
from policies.improve.sums import Sums
from policies.observation import Observation, candidate_items

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
PRIOR = 5.0  # pseudo-observations of an item's mean responses
MOST = 4.0  # times the usual rest of a session
EDGE = 0.05  # of the pooled chances to be taken, and not: no item's is held to be smaller
CELLS = 1 << 23  # numbers of features in memory at a time
STEEP = 8.0  # largest logit that a state adds to an item's
BOOTSTRAPS = 200


class Values(NamedTuple):
    """Item models, and what they need to be read at a state."""

    choice: ItemModel  # chance to be taken rather than nothing, in a linear model
    usual: F64  # (P,) mean features of shown items
    edge: tuple[float, float]  # smallest and largest chance
    now: ItemModel
    nothing: float  # mean reward where nothing was taken
    rest: ItemModel
    said: F64  # (A + 1, Z) what is known of the items, beside their effects
    behaviour: F64  # (1 + Q,) value of a state to those who served, by constant and state
    left: F64  # (1 + Q,) the rest of the session over its mean, by constant and state; or 0

    @classmethod
    def of(cls, evidence: Evidence, kernels: Kernels) -> Self:
        """Fit all models; seconds at most, whatever the logs' size."""
        features = kernels.serving.item_features.astype(np.float64)
        features = np.concatenate([features, np.zeros((1, features.shape[1]))])
        rows = max(evidence.choice.n.sum(), 1.0)
        pooled = (evidence.choice.y.sum() + 0.5) / (rows + 1.0)
        choice = fit_items(evidence.choice, features)
        now = fit_items(evidence.now, features)
        said = np.concatenate([responses(evidence.means), features], axis=1)
        said = np.column_stack([said, choice.effect, now.effect])
        later, layout = evidence.later, Layout.of(kernels, len(evidence.loggers))
        weight = np.concatenate([[1.0, 0.0], value_at_cut(later, layout, float(evidence.ended[0]))])
        after = later.outcome(weight)
        rest = fit_items(after, said, free=len(later.n) - 1)
        none = later.n[-1]
        return cls(
            choice=choice,
            usual=evidence.choice.x.sum(axis=0)[1:] / rows,
            edge=(EDGE * pooled, 1.0 - EDGE * (1.0 - pooled)),
            now=now,
            nothing=float(later.y[-1, NOW] / none) if none else 0.0,
            rest=rest,
            said=said,
            behaviour=by_state(later.outcome(weight + np.eye(len(weight))[NOW]), layout),
            left=usual_rest(after, layout),
        )

    def on_offer(self, obs: Observation, kernels: Kernels, rest: ItemModel) -> tuple[F64, F64]:
        """(B, C) odds to be taken against nothing, and value beyond nothing's, of the candidates;
        `rest` says what follows them."""
        items, (x, state) = candidate_items(obs, kernels.serving.n_items), kernels.on_offer(obs)
        odds, now = self.odds_and_now(x, state, items)
        return odds, now + self.share_left(state)[:, None] * effects_of(rest, x, items)

    def odds_and_now(self, x: F64, state: F64, items: I32) -> tuple[F64, F64]:
        """(B, C) odds to be taken against nothing, and reward beyond nothing's, of items (B, C)
        with features x (B, C, P) at states (B, Q)."""
        slopes = self.choice.slopes
        chance = self.choice.effect + slopes[0] + self.usual @ slopes[1:]
        chance = np.clip(chance, *self.edge)
        steep = slopes[1:] / max(self.choice.noise, self.edge[0] * (1 - self.edge[1]))
        logit = np.clip(x @ steep - self.usual @ steep, -STEEP, STEEP)
        odds = (chance / (1 - chance))[np.maximum(items, 0)] * np.exp(logit)
        level = self.now.slopes[0] + state @ self.now.slopes[1 + x.shape[2] :]
        return odds, effects_of(self.now, x, items) + level[:, None] - self.nothing

    def share_left(self, state: F64) -> F64:
        """(B,) the rest of the session over the usual one: what an item does to the rest is in
        proportion to it, for it makes users stay or leave."""
        if not self.left.any():
            return np.ones(len(state))
        return np.asarray(np.clip(self.left[0] + state @ self.left[1:], 0.0, MOST))


def shown_best(values: Values, rest: ItemModel, obs: Observation, kernels: Kernels) -> F64:
    """(B, C) scores of the candidates: what each adds to the best slate."""
    serving = kernels.serving
    few = max(CELLS // (serving.columns * kernels.size), 1)
    if len(obs) > few:
        parts = (obs.rows(slice(at, at + few)) for at in range(0, len(obs), few))
        return np.concatenate([shown_best(values, rest, part, kernels) for part in parts])
    odds, value = values.on_offer(obs, kernels, rest)
    eligible = candidate_items(obs, serving.n_items) >= 0
    if obs.eligible is not None:
        eligible = eligible & obs.eligible
    return marginal_values(odds, value, serving.slate_size, eligible)


def effects_of(model: ItemModel, x: F64, items: I32) -> F64:
    """(B, C) effects of items (B, C) with features x (B, C, P)."""
    return np.asarray(model.effect[np.maximum(items, 0)] + x @ model.slopes[1 : 1 + x.shape[2]])


def by_state(outcome: Sums, layout: Layout) -> F64:
    """(1 + Q,) regression of an outcome on constant and state alone, whoever served."""
    to, n = layout.pooled(), float(outcome.n.sum())
    return ridge_by_gcv(to.T @ outcome.xx @ to, to.T @ outcome.xy[:, 0], float(outcome.yy[0, 0]), n)


def usual_rest(later: Sums, layout: Layout) -> F64:
    """(1 + Q,) the rest of the session by constant and state, over its mean; zeros where the mean
    does not stand out from how the rest varies with the state."""
    slopes, n = by_state(later, layout), max(float(later.n.sum()), 1.0)
    squares = layout.pooled().T @ later.xx @ layout.pooled()
    mean = float(later.xy[0, 0]) / n
    spread = max(float(slopes @ squares @ slopes) / n - mean**2, 0.0) ** 0.5
    return slopes / mean if mean > spread else np.zeros(len(slopes))


def value_at_cut(later: Sums, layout: Layout, ended: float) -> F64:
    """(D,) value of a state under the policies that served, by constant, state and level of the
    step, where sessions that were cut go on: the fixed point of regressing returns that take it for
    what came after the cut. Zeros where none was cut, or all were.

    Least-squares temporal differences, over many steps: Bradtke & Barto (1996).
    """
    value = np.zeros(layout.size)
    if not ended or not later.yy[2, 2] > 0:
        return value
    x = np.append(0, np.arange(1 + layout.items, layout.size))
    left = later.xx[np.ix_(x, x)]
    for _ in range(BOOTSTRAPS):
        whole = later.outcome(np.concatenate([[1.0, 1.0], value]))
        new = np.zeros(layout.size)
        new[x] = ridge_by_gcv(left, whole.xy[x, 0], float(whole.yy[0, 0]), float(later.n.sum()))
        change, value = np.abs(later.xx[0] @ (new - value)), new
        if change <= 1e-9 * np.abs(later.xx[0] @ value):
            break
    return value


def responses(means: Sums) -> F64:
    """(A + 1, R) mean responses of items, shrunk to the mean of all."""
    overall = means.y.sum(axis=0) / max(means.n.sum(), 1.0)
    return np.asarray((means.y + PRIOR * overall) / (means.n + PRIOR)[:, None])

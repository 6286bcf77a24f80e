"""Fitted-Q iteration: the value of the best slates, over the same features as one-step improvement.

Ernst, Geurts & Wehenkel (2005), with linear values, so that an iteration is linear algebra over
sums: a sweep evaluates the best slates at a sample of logged states, fits the value of a state to
that, and what follows an item to the values of the states that came next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.improve.assortment import best_value
from policies.improve.decisions import decisions
from policies.improve.evidence import ROWS, Evidence
from policies.improve.kernels import Kernels
from policies.improve.sample import StateSample
from policies.improve.shrinkage import ItemModel, fit_items, ridge_by_gcv
from policies.improve.sums import Sums
from policies.improve.values import Values, effects_of, shown_best
from policies.observation import Observation, Serving, candidate_items, observation_of_log
from policies.saved import Saved, prefixed, under
from policies.score_policy import Exploration, ScorePolicy, Scores
from policies.validation import COUNT

F64 = NDArray[np.float64]
CELLS = 1 << 20  # states x candidates that are valued in a sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedQConfig(Exploration):
    """Iterations, and how scores, in units of the reward, become a distribution over slates."""

    sweeps: int = 10  # of evaluation and improvement, from the values of the logging policies
    states: int = 4000  # logged states at which the best slates are valued, fewer of many items

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        COUNT.check_all(self, "sweeps", "states")


@dataclass(slots=True)
class FittedQ:
    """Sums over all logs so far, a sample of their states, and the values that they give."""

    kernels: Kernels
    evidence: Evidence
    following: Sums  # decisions: (1, P, Q) -> (1, Q) of the next state, 0 where the session ended
    sample: StateSample
    sweeps: int
    values: Values = field(init=False)
    after: ItemModel = field(init=False)  # what follows an item, under the best slates

    def __post_init__(self) -> None:
        self._plan()

    @property
    def serving(self) -> Serving:
        return self.kernels.serving

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Add a log; its sessions may be cut: their last rows say nothing of what followed."""
        obs = observation_of_log(log, self.serving)
        self.evidence = self.evidence.plus_log(log, obs, self.kernels)
        rows = decisions(log)
        for start in range(0, len(log), ROWS):
            block = np.arange(start, min(start + ROWS + 1, len(log)))
            seen = self.kernels.seen(obs.rows(block))
            state = with_constant(self.kernels.state(seen))
            mine = np.flatnonzero(rows.known[block] & (block < start + ROWS))
            item = rows.taken[block[mine]]
            shown = np.where(item < log.n_items, item, -1)[:, None].astype(np.int32)
            of_item = self.kernels.items(seen.rows(mine), shown)[:, 0]
            x = np.concatenate([state[mine, :1], of_item, state[mine, 1:]], axis=1)
            goes_on = rows.last[block[mine]] > block[mine]
            then = state[np.minimum(mine + 1, len(block) - 1)] * goes_on[:, None]
            weight = rows.choice[block[mine]]
            self.following = self.following.plus(Sums.of(item, x, then, log.n_items + 1, weight))
        self.sample = self.sample.plus_log(log, obs)
        self._plan()
        return {"decisions": self.evidence.decisions, "spread_rest": self.after.spread**0.5}

    def _plan(self) -> None:
        """Sweeps of improvement and evaluation."""
        self.values = Values.of(self.evidence, self.kernels)
        self.after = self.values.rest
        if not self.following.n.sum():
            return
        p, obs, nobody = 1 + self.kernels.size, self.sample.observation, len(self.values.said) - 1
        items = candidate_items(obs, self.serving.n_items)
        eligible = self.sample.eligible & (items >= 0)
        seen = self.kernels.seen(obs)
        x, state = self.kernels.items(seen, None), self.kernels.state(seen)
        odds, now = self.values.odds_and_now(x, state, items)
        state, value = with_constant(state), self.values.behaviour
        for _ in range(self.sweeps):
            outcome = self.following.outcome(value)
            self.after = fit_items(outcome, self.values.said, free=nobody)
            gain = now + effects_of(self.after, x, items)
            best = best_value(odds, gain, self.serving.slate_size, eligible)
            slopes = np.append(self.after.slopes[0], self.after.slopes[p:])
            total = self.values.nothing + state @ slopes + best
            value = ridge_by_gcv(state.T @ state, state.T @ total, float(total @ total), len(total))

    def scores(self, obs: Observation) -> Scores:
        return shown_best(self.values, self.after, obs, self.kernels)

    def saved(self) -> Saved:
        arrays = self.evidence.to_arrays() | prefixed("sample.", self.sample.to_arrays())
        arrays |= prefixed("following.", self.following.to_arrays())
        config = {
            "loggers": list(self.evidence.loggers),
            "sweeps": self.sweeps,
            "states": self.sample.size,
        }
        return Saved(config=config, arrays=arrays, encoder=self.kernels.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        arrays, config = saved.arrays, saved.config
        return cls(
            Kernels.of(serving, saved.encoder),
            Evidence.from_arrays(arrays, config["loggers"]),
            Sums(**under("following.", arrays)),
            StateSample.from_arrays(under("sample.", arrays), config["states"]),
            config["sweeps"],
        )


def with_constant(state: F64) -> F64:
    """(B, Q) -> (B, 1 + Q), the constant in front."""
    return np.concatenate([np.ones((len(state), 1)), state], axis=1)


@configured(FittedQConfig)
def fitted_q(serving: Serving, config: FittedQConfig, encoder: Encoder | None) -> ScorePolicy:
    """Slates by what their items pay and lead to, where the best slates follow; temperature in
    units of the reward. Logs add up: two updates teach what one of both does."""
    kernels = Kernels.of(serving, encoder)
    p, q = kernels.size, kernels.state_size
    states = min(config.states, max(CELLS // serving.columns, 2 * q))
    model = FittedQ(
        kernels,
        Evidence.none(kernels),
        Sums.none(serving.n_items + 1, 1 + p + q, 1 + q),
        StateSample.none(serving, states),
        config.sweeps,
    )
    return ScorePolicy(model, part(config, Exploration))

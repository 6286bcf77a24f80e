"""Items by what they pay and what they do to the rest of a session, whoever the user is.

A regression of the rest-of-session return on the item taken and the step: one step of policy
improvement over the logging policy's own returns (Brandfonbrener, Whitney, Ranganath & Bruna,
2021) that ignores the user's state. `one_step` is the same with the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.configured import configured, part
from policies.improve.decisions import decisions
from policies.improve.kernels import KNOTS, step_levels
from policies.improve.shrinkage import fit_items
from policies.improve.sums import Sums
from policies.observation import Observation, Serving
from policies.saved import Saved, prefixed, under
from policies.score_policy import Exploration, ScorePolicy, Scores, pick

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReturnConfig(Exploration):
    """How scores, in units of the reward, become a distribution over slates."""


@dataclass(slots=True)
class ItemReturn:
    """Sums over all logs so far, and the items' values that they give."""

    serving: Serving
    now: Sums  # of rows where an item was taken: constant -> reward
    rest: Sums  # of all rows; item A is none: constant, levels of the step -> rest of the session
    values: F64 | None = None  # (A,) once they are fitted

    def scores(self, obs: Observation) -> Scores:
        if self.values is None:
            self.values = item_values(self.now, self.rest)
        return pick(self.values, obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        rows = decisions(log)
        items, known = self.serving.n_items + 1, rows.known
        some = rows.taken < self.serving.n_items
        one = np.ones((len(log), 1))
        x = np.concatenate([one, step_levels(log.step)], axis=1)[known]
        paid = Sums.of(rows.taken[some], one[some], rows.now[some, None], items)
        after = Sums.of(rows.taken[known], x, rows.rest[known, None], items)
        self.now, self.rest, self.values = self.now.plus(paid), self.rest.plus(after), None
        return {"decisions": float(self.rest.n.sum())}

    def saved(self) -> Saved:
        now, rest = self.now.to_arrays(), self.rest.to_arrays()
        return Saved(arrays=prefixed("now.", now) | prefixed("rest.", rest))

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        now, rest = (Sums(**under(f"{name}.", saved.arrays)) for name in ("now", "rest"))
        return cls(serving, now, rest)


def item_values(now: Sums, rest: Sums) -> F64:
    """(A,) mean reward of the items and their effects on the rest of the session, both shrunk by
    empirical Bayes: of an item against nothing taken, a constant that ranks nothing."""
    nothing = np.zeros((len(now.n), 0))
    paid, after = fit_items(now, nothing), fit_items(rest, nothing, free=len(rest.n) - 1)
    return np.asarray((paid.effect + after.effect)[:-1])


@configured(ItemReturnConfig)
def item_return(serving: Serving, config: ItemReturnConfig) -> ScorePolicy:
    """Slates by what their items pay and do to the rest of the session on average; temperature in
    units of the reward. Logs add up: two updates teach what one of both does."""
    items = serving.n_items + 1
    model = ItemReturn(serving, Sums.none(items, 1, 1), Sums.none(items, 1 + len(KNOTS), 1))
    return ScorePolicy(model, part(config, Exploration))

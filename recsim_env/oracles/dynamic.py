"""Exact planning by dynamic programming, for worlds whose users have few states.

A model with finitely many user states may state its law as a table. Backward induction over it
(Bellman, 1957) then gives the best possible return of a session, and the slate that achieves it,
with nothing assumed: what any other planner is measured against.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from recsim_env.model import Law
from recsim_env.oracles.oracle import Rule, bare, best_slate, shaped, top

F64 = NDArray[np.float64]
LARGEST = 4_000_000  # entries of a table of states x actions x outcomes


class Plan(NamedTuple):
    """What is best with t decisions left."""

    value: F64  # (H + 1, S)
    law: Law

    def worth(self, left: int, states: NDArray[np.int64]) -> F64:
        """Reward from here on (N, A + 1) of each choice with `left` decisions left."""
        return choice_values(self.law, self.value[left - 1], states)

    @property
    def best(self) -> float:
        """Mean return of the best policy over a whole session."""
        return float(self.law.start @ self.value[-1])


def choice_values(law: Law, later: F64, states: NDArray[np.int64]) -> F64:
    """Expected reward now and later (N, A + 1) of each choice, when states are worth `later`."""
    after = law.after[states]
    ahead = np.where(after >= 0, later[after], 0.0)
    return np.asarray((law.chance[states] * (law.reward[states] + ahead)).sum(2))


def solve(law: Law, *, horizon: int, slate_size: int, n_candidates: int | None) -> Plan:
    """The best plan over `horizon` decisions, slates from `n_candidates` drawn items or from all.

    Raises ValueError when candidates are drawn and slates have several positions: the mean over all
    offers has no closed form then, and rollout search is the tool.
    """
    if n_candidates is not None and slate_size > 1:
        raise ValueError("exact plans need slate_size = 1 or n_candidates = None: search instead")
    if law.chance.size > LARGEST:
        raise ValueError(f"a table of {law.chance.size} entries is too large: search instead")
    states = np.arange(len(law.weight))
    copies = np.bincount(law.kind, minlength=law.weight.shape[1] - 1)
    value = np.zeros((horizon + 1, len(states)))
    for left in range(1, horizon + 1):
        worth = choice_values(law, value[left - 1], states)
        if n_candidates is None:
            value[left] = slate_values(law, worth, states, law.kind, slate_size)
        else:
            value[left] = expected_best(single_values(law.weight, worth), copies, n_candidates)
    return Plan(value, law)


def single_values(weight: F64, worth: F64) -> F64:
    """Value (S, A) of showing one item: chosen, or nothing is."""
    item, none = weight[:, :-1], weight[:, -1:]
    return np.asarray((item * worth[:, :-1] + none * worth[:, -1:]) / (item + none))


def slate_values(
    law: Law, worth: F64, states: NDArray[np.int64], items: NDArray[np.int64], slate_size: int
) -> F64:
    """Value (N,) of the best slate of these items in each state."""
    w, v = law.weight[states][:, items], worth[:, items]
    none, idle = law.weight[states, -1], worth[:, -1]
    slate = best_slate(w, v, none, slate_size, none_value=idle)
    w, v = np.take_along_axis(w, slate, 1), np.take_along_axis(v, slate, 1)
    return np.asarray((none * idle + (w * v).sum(1)) / (none + w.sum(1)))


def expected_best(value: F64, copies: NDArray[np.integer], drawn: int) -> F64:
    """Mean (S,) of the best value among `drawn` items, drawn without replacement.

    The k best kinds are all absent with chance C(rest, drawn) / C(all, drawn); the best that is
    there is the k-th with the difference of two such chances.
    """
    order = np.argsort(-value, axis=1)
    rest = copies.sum() - np.cumsum(copies[order], axis=1)
    ln = gammaln(np.arange(copies.sum() + 2) + 1.0)
    absent = np.where(rest >= drawn, np.exp(ln[rest] - ln[np.maximum(rest - drawn, 0)]), 0.0)
    absent /= np.exp(ln[copies.sum()] - ln[copies.sum() - drawn])
    first = -np.diff(absent, axis=1, prepend=1.0)
    return np.asarray((np.take_along_axis(value, order, 1) * first).sum(1))


def exact_plan(env: Any) -> tuple[Rule, float]:
    """The optimal rule of a world that states its law, and the return it earns on average.

    Raises ValueError where the model states no law or sessions have no last step.
    """
    core = bare(env)
    if core.model.tabular is None or core.max_steps is None:
        raise ValueError("no exact plan: the model needs a `tabular` law and the world max_steps")
    law = core.model.tabular(core.config, core.catalogue)
    horizon, slate_size = core.max_steps, core.slate_size
    plan = solve(law, horizon=horizon, slate_size=slate_size, n_candidates=core.n_candidates)

    def rule(env: Any, obs: Any, rng: np.random.Generator) -> NDArray[np.int64]:
        core = bare(env)
        users, items = core.live.users, law.kind[core.live_choices()]
        states, left = law.state(users), horizon - users["step"]
        worth = np.empty((len(users), law.weight.shape[1]))
        for t in np.unique(left):
            rows = left == t
            worth[rows] = plan.worth(int(t), states[rows])
        if slate_size == 1:
            single = single_values(law.weight[states], worth)
            return shaped(core, top(np.take_along_axis(single, items, 1), 1, rng))
        weight, value = (np.take_along_axis(x, items, 1) for x in (law.weight[states], worth))
        none, idle = law.weight[states, -1], worth[:, -1]
        return best_slate(weight, value, none, slate_size, none_value=idle)

    return rule, plan.best

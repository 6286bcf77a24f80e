"""Worlds of sessions as finite Markov chains: drifting preferences, debts that come due.

A chain's values are exact, by backward induction, whatever the policies see of its state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from experiments.benchmark.referee.processes.process import (
    F64,
    I64,
    Flags,
    Truth,
    explore,
    sharpness,
)

TOPICS, LEVELS, ITEMS = 4, 3, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Z states, A items, sessions of up to T decisions."""

    start: F64  # (Z,)
    move: F64  # (Z, A, Z)
    mean: F64  # (Z, A) of the reward
    leave: F64  # (Z, A) chance to leave after the decision
    logging: F64  # (Z, A)
    target: F64  # (Z, A)
    seen: F64  # (Z, D) what is logged of a state
    steps: int
    gamma: float = 1.0
    noise: float | None = None  # of a normal reward; None: a Bernoulli reward

    def values(self, policy: F64, paid: F64) -> F64:
        """(Z,) expected return of a session from its state on, of the amounts `paid` (Z, A)."""
        value = np.zeros(len(self.start))
        for _ in range(self.steps):
            ahead = (1 - self.leave) * (self.move @ value)
            value = (policy * (paid + self.gamma * ahead)).sum(1)
        return value

    def truth(self, start: F64 | None = None) -> Truth:
        """Of a session; changes are of a watched column's mean per decision."""
        first = self.start if start is None else start
        both = {"target": self.target, "logging": self.logging}
        total = {k: float(first @ self.values(p, self.mean)) for k, p in both.items()}
        flat = replace(self, gamma=1.0)
        length = {k: float(first @ flat.values(p, np.ones_like(p))) for k, p in both.items()}
        rate = np.broadcast_to(watched_rate(np.arange(self.mean.shape[1])), self.mean.shape)
        rare = {k: float(first @ flat.values(p, rate)) / length[k] for k, p in both.items()}
        change = {"rare": rare["target"] - rare["logging"]}
        return Truth(total["target"], total["logging"], change)


def watched_rate(action: I64) -> F64:
    """Chance of the event that guardrails watch, by the item shown."""
    return np.asarray(0.005 + 0.005 * (action % 3))


def drifting(seed: int, *, steps: int, leave: float, relative: float | None, far: float) -> Chain:
    """Users whose taste drifts to what they take and who tire of it: state = taste and satiation.

    `far` is how much the target differs from the logging policy beyond what the uplift asks for.
    """
    rng = np.random.default_rng([seed, 53])
    z = np.arange(TOPICS * LEVELS)
    taste, tired = z // LEVELS, z % LEVELS
    hit = taste[:, None] == np.arange(ITEMS)[None, :] % TOPICS
    mean = np.where(hit, 0.62 - 0.16 * tired[:, None], 0.18 + 0.05 * rng.random((len(z), ITEMS)))
    logits = 0.5 * rng.normal(size=mean.shape) + 0.8 * mean
    start = np.where(tired == 0, 1.0, 0.0) / TOPICS
    chain = Chain(
        start=start,
        move=_drift(taste, tired, hit),
        mean=mean,
        leave=np.minimum(leave * (1.4 - mean), 1.0),
        logging=explore(logits, 0.2),
        target=explore(logits, 0.2),
        seen=np.stack([np.cos(taste * np.pi / 2), np.sin(taste * np.pi / 2), tired], axis=1),
        steps=steps,
    )
    if relative is None:
        return chain
    lean = logits + far * rng.normal(size=mean.shape)
    return with_uplift(chain, lean, 3 * (mean - mean.mean()), relative)


def keeping(seed: int, *, steps: int, relative: float) -> Chain:
    """Users who stay where their taste is met and leave where it is not: the sessions that a better
    target makes longer are those of heavy weights, which a log may happen not to hold."""
    chain = drifting(seed, steps=steps, leave=0.0, relative=None, far=0.0)
    met = chain.mean > 0.25
    chain = replace(chain, leave=np.where(met, 0.03, 0.4))
    worth = 3 * (chain.mean - chain.mean.mean())
    return with_uplift(chain, np.log(chain.logging), worth, relative)


def _drift(taste: I64, tired: I64, hit: Flags) -> F64:
    """(Z, A, Z): what was shown of one's taste tires, other topics rest and may take over."""
    states, items = hit.shape
    move = np.zeros((states, items, states))
    for z in range(states):
        for a in range(items):
            level = min(tired[z] + 1, LEVELS - 1) if hit[z, a] else max(tired[z] - 1, 0)
            own, other = taste[z] * LEVELS + level, (a % TOPICS) * LEVELS
            move[z, a, own] += 0.85
            move[z, a, other] += 0.10
            move[z, a, ::LEVELS] += 0.05 / TOPICS
    return move


def with_uplift(chain: Chain, lean: F64, worth: F64, relative: float) -> Chain:
    """The target leans on `lean`, and on `worth` as far as the relative uplift asks for."""
    base = chain.truth().logged

    def sharpened(s: float) -> Chain:
        return replace(chain, target=explore(lean + s * worth, 0.2))

    return sharpened(sharpness(lambda s: sharpened(s).truth().value / base - 1, relative))


def debt(target: float) -> Chain:
    """A tempting item pays now and lowers every later reward; twelve decisions a session.

    The target's share of it decides: more of it gains early and loses late.
    """
    steps, states = 12, 13
    z = np.arange(states)
    mean = np.maximum(0.62 - 0.062 * z, 0.02)[:, None] + np.array([0.0, 0.22])
    move = np.zeros((states, 2, states))
    move[z, 0, z] = 1.0
    move[z, 1, np.minimum(z + 1, states - 1)] = 0.8
    move[z, 1, z] += 0.2

    def share(p: float) -> F64:
        return np.tile([1 - p, p], (states, 1))

    return Chain(
        start=np.eye(states)[0],
        move=move,
        mean=mean,
        leave=np.zeros((states, 2)),
        logging=share(0.35),
        target=share(target),
        seen=np.stack([z / steps, (z > 3).astype(float)], axis=1),
        steps=steps,
    )


def tabular(seed: int, relative: float | None) -> Chain:
    """Six states at random, eight decisions, normal rewards, discounted."""
    rng = np.random.default_rng([seed, 59])
    states, items = 6, 3
    mean = 1.0 + rng.normal(size=(states, items)) / 2
    logits = 0.6 * rng.normal(size=(states, items))
    chain = Chain(
        start=rng.dirichlet(np.ones(states)),
        move=rng.dirichlet(np.full(states, 0.6), (states, items)),
        mean=mean,
        leave=np.zeros((states, items)),
        logging=explore(logits, 0.1),
        target=explore(logits, 0.1),
        seen=np.eye(states),
        steps=8,
        gamma=0.95,
        noise=0.6,
    )
    if relative is None:
        return chain
    lean = 0.4 * logits + 0.7 * rng.normal(size=mean.shape)
    return with_uplift(chain, lean, mean - mean.mean(), relative)

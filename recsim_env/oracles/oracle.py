"""What only a simulator knows: the expected reward of every item now, and slates made of it.

A rule here is a function (env, obs, rng) -> actions (N, K); it may read the users' hidden state.
Its `env` is the vector environment itself or anything Gymnasium wrapped around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.kernel.state import Appraisal, AppraisalRequest
from recsim_env.observations import Observation
from recsim_env.vector import RecVectorEnv

F64 = NDArray[np.float64]
Rule = Callable[[Any, Observation, np.random.Generator], NDArray[np.int64]]


class Returns(NamedTuple):
    """One session in every slot."""

    total: F64  # (N,) undiscounted reward of the session
    steps: NDArray[np.int64]  # (N,)
    consumed: NDArray[np.int64]  # (N,) steps on which something was taken


def bare(env: Any) -> RecVectorEnv:
    """The RecVectorEnv under any wrappers; raises TypeError when there is none."""
    core = env.unwrapped
    if not isinstance(core, RecVectorEnv):
        raise TypeError(f"an oracle reads a RecVectorEnv, not a {type(core).__name__}")
    return core


def appraise(env: Any) -> Appraisal:
    """Weights and worths of every choice, in the order of the action space.

    `weight` (N, C) is the mass of choosing the item and `none` (N,) that of choosing nothing: an
    item's share of its slate's mass and `none` is its chance. Where positions are chosen
    independently, the weight is the chance itself.
    """
    core = bare(env)
    items = core.live_choices()
    weight, worth, plan = (np.empty(items.shape) for _ in range(3))
    none, plan_none = np.empty(len(items)), np.empty(len(items))
    out = Appraisal(weight, worth, plan, none, plan_none)
    core.engine.kernel.appraise(AppraisalRequest(core.live, core.world, items, out))
    if core.model.choice == "independent":
        return out._replace(none=1.0 - weight.max(axis=1))
    if core.model.choice == "multinomial_logit":
        most = np.maximum(weight.max(axis=1), none)
        return out._replace(weight=np.exp(weight - most[:, None]), none=np.exp(none - most))
    return out


def expected_reward(env: Any) -> F64:
    """Expected immediate reward (N, C) of each choice if it were the whole slate."""
    a = appraise(env)
    if bare(env).model.choice == "independent":
        return a.weight * a.worth
    return a.weight / (a.none[:, None] + a.weight) * a.worth


def slate_reward(env: Any, actions: NDArray[np.integer]) -> F64:
    """Expected immediate reward (N,) of slates (N, K) or single items (N,)."""
    a = appraise(env)
    shown = np.asarray(actions).reshape(len(a.none), -1)
    weight = np.take_along_axis(a.weight, shown, axis=1)
    worth = np.take_along_axis(a.worth, shown, axis=1)
    if bare(env).model.choice == "independent":
        return np.asarray((weight * worth).sum(1))
    return np.asarray((weight * worth).sum(1) / (a.none + weight.sum(1)))


def best_slate(
    weight: F64, value: F64, none: F64, slate_size: int, *, none_value: F64 | None = None
) -> NDArray[np.int64]:
    """The slate (N, K) of highest expected value under choice in proportion to weights.

    Maximises (none none_value + sum w v) / (none + sum w) by Dinkelbach's iteration (1967): for a
    guess of the ratio the best slate is the top K of w (v - ratio), and the guess only rises.
    """
    rest = none * (np.zeros_like(none) if none_value is None else none_value)
    ratio = np.where(none > 0, rest / np.where(none > 0, none, 1.0), value.min(axis=1))
    while True:
        gain = weight * (value - ratio[:, None])
        slate = np.argpartition(-gain, slate_size - 1, axis=1)[:, :slate_size]
        w = np.take_along_axis(weight, slate, axis=1)
        v = np.take_along_axis(value, slate, axis=1)
        better = (rest + (w * v).sum(1)) / (none + w.sum(1))
        if not (better > ratio + 1e-12 * np.abs(ratio) + 1e-15).any():  # nor where it is no number
            return slate
        ratio = np.fmax(ratio, better)


def random_slates(env: Any, obs: Observation, rng: np.random.Generator) -> NDArray[np.int64]:
    """Uniform slates without repeats."""
    core = bare(env)
    keys = rng.random((core.num_envs, core.n_choices))
    return shaped(core, np.argsort(keys, axis=1)[:, : core.slate_size])


def greedy_oracle(env: Any, obs: Observation, rng: np.random.Generator) -> NDArray[np.int64]:
    """The slate of highest expected immediate reward: the best that does not look ahead."""
    core, a = bare(env), appraise(env)
    if core.model.choice == "independent":
        return shaped(core, top(a.weight * a.worth, core.slate_size, rng))
    return shaped(core, best_slate(a.weight, a.worth, a.none, core.slate_size))


def look_ahead(env: Any, obs: Observation, rng: np.random.Generator) -> NDArray[np.int64]:
    """The slate of highest expected plan: immediate reward and the model's own guess of later."""
    core, a = bare(env), appraise(env)
    if core.model.choice == "independent":
        return shaped(core, top(a.weight * a.plan, core.slate_size, rng))
    slate = best_slate(a.weight, a.plan, a.none, core.slate_size, none_value=a.plan_none)
    return shaped(core, slate)


def top_affinity(env: Any, obs: Observation, rng: np.random.Generator) -> NDArray[np.int64]:
    """The K choices most likely to be taken, whatever they are worth."""
    core, a = bare(env), appraise(env)
    return shaped(core, top(a.weight, core.slate_size, rng))


def topic_quality(env: Any, obs: Observation, rng: np.random.Generator) -> NDArray[np.int64]:
    """The K choices of highest mean quality in the catalogue, whoever the user is."""
    core = bare(env)
    return shaped(core, top(core.catalogue.quality[core.live_choices()], core.slate_size, rng))


def top(score: NDArray[np.floating], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices (N, K) of the highest scores, best first; ties broken by chance."""
    return np.lexsort((rng.random(score.shape), -score), axis=1)[:, :k]


def shaped(core: RecVectorEnv, slate: NDArray[np.int64]) -> NDArray[np.int64]:
    """Slates as the action space expects them: (N,) when K = 1."""
    return slate[:, 0] if core.slate_size == 1 else slate


def session_returns(env: Any, rule: Rule, *, seed: int, gamma: float = 1.0) -> Returns:
    """Serve the first session of every slot to its end by one rule.

    Under one seed two rules serve the same users with common random numbers, so their returns pair.
    """
    n = bare(env).num_envs
    obs, _ = env.reset(seed=seed)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    total, steps, taken = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int64)
    going = np.ones(n, np.bool_)
    while going.any():
        obs, reward, terminated, truncated, infos = env.step(rule(env, obs, rng))
        total[going] += (gamma ** steps[going]) * reward[going]
        steps[going] += 1
        taken[going] += infos["consumed"][going] >= 0
        going &= ~(terminated | truncated)
    return Returns(total, steps, taken)

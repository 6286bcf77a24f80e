"""Planning by rollouts: play each proposal on with luck of its own, and serve the best.

One step of policy improvement by simulation (Tesauro and Galperin, 1996; Bertsekas, Tsitsiklis and
Wu, 1997): for each user the proposed slates are played out `rollouts` times under a base rule, all
under the same luck, which is not the user's own. A proposal replaces the base rule's when it is
better by more than the standard error of the paired difference: else luck would be mistaken for
foresight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.observations import Observation
from recsim_env.oracles.dynamic import exact_plan
from recsim_env.oracles.oracle import Rule, bare, greedy_oracle, look_ahead, shaped, top_affinity
from recsim_env.random import stream_keys
from recsim_env.vector import RecVectorEnv


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """How widely and how far to look."""

    base: Rule = look_ahead  # played after the first step; also the first proposal
    proposals: Sequence[Rule] = (greedy_oracle, top_affinity)
    rollouts: int = 8  # per proposal
    depth: int = 25  # decisions of a rollout

    def __post_init__(self) -> None:
        if self.rollouts < 2 or self.depth < 1:
            raise ValueError("search needs at least 2 rollouts of depth 1")


def planning_oracle(env: Any) -> Rule:
    """The best planner there is for a world: exact where its law is a small table, else search."""
    core = bare(env)
    alone = core.slate_size == 1 or core.n_candidates is None
    if core.model.tabular is not None and core.max_steps is not None and alone:
        return exact_plan(env)[0]
    return rollout_search()


def rollout_search(config: SearchConfig | None = None) -> Rule:
    """A rule that plays the proposals on before it chooses."""
    cfg = config or SearchConfig()
    held: dict[int, RecVectorEnv] = {}

    def rule(env: Any, obs: Observation, rng: np.random.Generator) -> NDArray[np.int64]:
        core = bare(env)
        if id(core) not in held:
            held.clear()
            held[id(core)] = same_world(core, core.num_envs * cfg.rollouts)
        clone, luck = held[id(core)], int(rng.integers(2**31))
        slates = [r(env, obs, rng).reshape(core.num_envs, -1) for r in (cfg.base, *cfg.proposals)]
        returns = np.array([played_on(core, clone, s, cfg, luck) for s in slates])  # (M, N, R)
        gain = returns - returns[0]
        sure = gain.mean(2) - gain.std(2, ddof=1) / cfg.rollouts**0.5
        choice = sure.argmax(0)
        return shaped(core, np.array(slates)[choice, np.arange(core.num_envs)])

    return rule


def same_world(core: RecVectorEnv, num_envs: int) -> RecVectorEnv:
    """As many users of the same world, to be overwritten; short histories, as oracles need none."""
    clone = RecVectorEnv(
        num_envs,
        model=core.model_name,
        config=core.config,
        catalogue=core.catalogue,
        population=core.population,
        slate_size=core.slate_size,
        n_candidates=core.n_candidates,
        max_steps=core.max_steps,
        history_length=0,
        offer=core.offer,
        session_ticks=core.session_ticks,
    )
    clone.reset(seed=0)
    return clone


def played_on(
    core: RecVectorEnv, clone: RecVectorEnv, slates: NDArray[np.int64], cfg: SearchConfig, luck: int
) -> NDArray[np.float64]:
    """Returns (N, R) of serving `slates` now and going on by the base rule, luck drawn afresh."""
    n, r = core.num_envs, cfg.rollouts
    clone.live.users[:] = np.repeat(core.live.users, r)
    clone.live.users["key"] = stream_keys(luck, n * r)
    clone.live.users["head"] = 0  # the twin keeps no history to write into
    clone.live.candidates[:] = np.repeat(core.live.candidates, r, axis=0)
    rng = np.random.default_rng(luck)
    action = shaped(clone, np.repeat(slates, r, axis=0))
    total, going = np.zeros(n * r), np.ones(n * r, np.bool_)
    for _ in range(cfg.depth):
        obs, reward, terminated, truncated, _ = clone.step(action)
        total[going] += reward[going]
        going &= ~(terminated | truncated)
        if not going.any():
            break
        action = cfg.base(clone, obs, rng)
    return total.reshape(n, r)

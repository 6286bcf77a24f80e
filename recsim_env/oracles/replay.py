"""Counterfactual replay: the same users and random numbers, other slates from some step on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.oracles.oracle import Rule, bare, shaped


class Replay(NamedTuple):
    """T steps of N sessions; rows after a session's end are 0, -1 and false."""

    slates: NDArray[np.int32]  # (T, N, K) item ids
    consumed: NDArray[np.int32]  # (T, N)
    reward: NDArray[np.float64]  # (T, N)
    going: NDArray[np.bool_]  # (T, N) the session had not ended before the step


def indices_of(choices: NDArray[np.integer], slates: NDArray[np.integer]) -> NDArray[np.int64]:
    """Indices (N, K) into `choices` (N, C) of the item ids `slates` (N, K).

    Raises ValueError naming the slot where an item was not on offer.
    """
    match = slates[:, :, None] == choices[:, None, :]
    missing = ~match.any(2)
    if missing.any():
        slot, position = np.argwhere(missing)[0]
        raise ValueError(
            f"item {slates[slot, position]} of slot {slot} was not on offer; replay with the seed, "
            "world and candidate settings of the log"
        )
    return np.asarray(match.argmax(2))


def record(env: Any, rule: Rule, *, seed: int, steps: int) -> Replay:
    """Serve the first sessions by one rule; what `replay` runs again."""
    core = bare(env)
    nothing = np.full((0, core.num_envs, core.slate_size), -1, np.int32)
    return replay(env, nothing, seed=seed, at=0, instead=rule, steps=steps)


def replay(
    env: Any,
    slates: NDArray[np.integer],
    *,
    seed: int,
    at: int,
    instead: Rule,
    steps: int,
    sessions: NDArray[np.integer] | None = None,
) -> Replay:
    """Serve logged `slates` (T, N, K) of item ids up to step `at`, then what `instead` serves.

    `sessions` (N, 2) names any sessions of a run under `seed` by their slot and their number in it,
    both from 0 and in any order; by default row i is the first session of slot i. Up to `at` the
    users, their random numbers and their answers are those of the log; from then on the random
    numbers of every step are still the same, so that differences come from the slates.
    """
    core = bare(env)
    options = None if sessions is None else {"sessions": sessions}
    obs, _ = env.reset(seed=seed, options=options)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    n = core.num_envs
    out = Replay(
        np.full((steps, n, core.slate_size), -1, np.int32),
        np.full((steps, n), -1, np.int32),
        np.zeros((steps, n)),
        np.zeros((steps, n), np.bool_),
    )
    going = np.ones(n, np.bool_)
    for t in range(steps):
        choices = core.live_choices()
        actions = np.reshape(instead(env, obs, rng), (n, core.slate_size))
        if t < min(at, len(slates)):
            rows = np.flatnonzero(going)
            actions[rows] = indices_of(choices[rows], np.asarray(slates[t])[rows])
        obs, reward, terminated, truncated, infos = env.step(shaped(core, actions))
        out.going[t] = going
        out.slates[t][going] = np.take_along_axis(choices, actions, axis=1)[going]
        out.consumed[t][going] = infos["consumed"][going]
        out.reward[t][going] = reward[going]
        going &= ~(terminated | truncated)
    return out

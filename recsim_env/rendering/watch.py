"""Play one session with a rule or a policy and keep what is to be seen of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from numpy.typing import NDArray

from recsim_env.observations import Observation
from recsim_env.rendering.trace import Trace

# As the oracles are called: (vector environment of the one user, observation (1, ...), generator)
# -> slate (1, K) of candidate indices.
Rule: TypeAlias = Callable[[Any, Observation, np.random.Generator], NDArray[np.integer]]


def watch(
    env: gymnasium.Env[Any, Any],
    rule: Rule,
    *,
    seed: int,
    session: tuple[int, int] = (0, 0),
    steps: int = 1000,
) -> Trace:
    """Serve one session by a rule, to its end or for `steps` decisions, and return its record.

    env: from `gymnasium.make(ID, render_mode="ansi")`, under any wrappers; it stands at the end of
        the session afterwards.
    rule: an oracle (`greedy_oracle`), or a policy as
        `lambda env, obs, rng: act(policy, observation_of(obs), rng).action`.
    session: (slot, number), both from 0: the user who is that session of that slot in a vector
        environment of this world under `seed`.

    Raises ValueError where the environment has no render mode.
    """
    one: Any = env.unwrapped
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    obs, _ = env.reset(seed=seed, options={"sessions": np.array([session])})
    over = False
    for _ in range(steps):
        if over:
            break
        action = np.asarray(rule(one.vector, _as_rows(one.vector, obs), rng))
        slate = action.reshape(one.action_space.shape) if one.slate_size > 1 else action.item()
        obs, _, terminated, truncated, _ = env.step(slate)
        over = terminated or truncated
    trace: Trace = one.trace
    return trace


def _as_rows(core: Any, obs: Observation) -> Observation:
    """The observation of one user as a vector environment of one gives it."""
    spaces = core.single_observation_space.spaces
    return {name: array.reshape(1, *spaces[name].shape) for name, array in obs.items()}

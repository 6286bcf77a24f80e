"""What surrounds a call of Stable-Baselines3's `learn`: its random streams, and each update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import ConstantSchedule

from policies.rl.sb3.configs import A2CConfig, AgentConfig, decayed

OnSteps = Callable[[int], None]


def reset_for_learning(model: BaseAlgorithm, seed: int) -> None:
    """Drop what `saved` does not keep, so that a loaded agent learns on as the saved one would."""
    model.action_space.seed(seed)
    if isinstance(model, OffPolicyAlgorithm) and model.replay_buffer is not None:
        model.replay_buffer.reset()
    if hasattr(model, "exploration_rate"):
        model.exploration_rate = getattr(model, "exploration_initial_eps")  # noqa: B009


@contextmanager
def own_random_state(*seed: int) -> Iterator[int]:
    """Stable-Baselines3 draws from torch's and numpy's global streams: seed them inside, and leave
    the caller's as they were. Yields a seed for other random streams."""
    state = np.random.SeedSequence(seed).generate_state(3)
    before = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(state[0]))
        np.random.seed(int(state[1]))  # noqa: NPY002
        try:
            yield int(state[2])
        finally:
            np.random.set_state(before)  # noqa: NPY002


class BeforeUpdates(BaseCallback):
    """Before every update: sets the learning rate and what learns, and reports how many decisions
    were taken."""

    def __init__(self, on_steps: OnSteps | None, config: AgentConfig) -> None:
        super().__init__()
        self.on_steps, self.config = on_steps, config

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        c = self.config
        if isinstance(c, A2CConfig):
            actor: Any = self.model.policy
            actor.learn_actor(self.num_timesteps > c.burn_in)
        if c.decay_steps is not None:
            share = decayed(self.num_timesteps, c.decay_steps)
            self.model.lr_schedule = ConstantSchedule(c.learning_rate * share)
        if self.on_steps is not None:
            self.on_steps(self.num_timesteps)

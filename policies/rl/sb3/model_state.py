"""The state of a Stable-Baselines3 model as plain arrays, and back: no zip, no pickle."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from policies.saved import (
    Arrays,
    module_arrays,
    optimizer_arrays,
    prefixed,
    set_module_arrays,
    set_optimizer_arrays,
    under,
)

COUNTERS = ("num_timesteps", "_n_updates", "_n_calls")  # read by schedules and target copies


def model_arrays(model: BaseAlgorithm) -> Arrays:
    """Networks, optimizer moments and counters: all that decides how learning goes on."""
    arrays: Arrays = {}
    for name in model.get_parameters():
        part = _attribute(model, name)
        state = optimizer_arrays if _is_optimizer(part) else module_arrays
        arrays |= prefixed(f"{name}/", state(part))
    for name in model._get_torch_save_params()[1]:
        arrays[f"{name}/"] = getattr(model, name).detach().numpy().copy()
    counts = [getattr(model, name, 0) for name in COUNTERS]
    return arrays | {"counters": np.array(counts, np.int64)}


def set_model_arrays(model: BaseAlgorithm, arrays: Arrays) -> None:
    """Take back what `model_arrays` gave, into a model of the same networks."""
    for name in model.get_parameters():
        part, mine = _attribute(model, name), under(f"{name}/", arrays)
        if _is_optimizer(part):
            set_optimizer_arrays(part, mine)
        else:
            set_module_arrays(part, mine)
    for name in model._get_torch_save_params()[1]:
        getattr(model, name).data.copy_(torch.from_numpy(arrays[f"{name}/"]))
    for name, count in zip(COUNTERS, arrays["counters"], strict=True):
        if hasattr(model, name):
            setattr(model, name, int(count))


def _is_optimizer(part: Any) -> bool:
    return isinstance(part, torch.optim.Optimizer)


class PlaceholderEnv(VecEnv):
    """The spaces of an environment that is not there: enough to build a model that serves."""

    render_mode = None

    def __init__(self, observation: spaces.Box, action: spaces.Space[Any], num_envs: int) -> None:
        super().__init__(num_envs, observation, action)

    def reset(self) -> Any:
        raise self._no_users()

    def step_async(self, actions: Any) -> None:
        raise self._no_users()

    def step_wait(self) -> Any:
        raise self._no_users()

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise self._no_users()

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kw: Any) -> list[Any]:
        raise self._no_users()

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    @staticmethod
    def _no_users() -> ValueError:
        return ValueError("a loaded agent has no users yet: call learn(env, ...)")


def _attribute(model: Any, path: str) -> Any:
    for name in path.split("."):
        model = getattr(model, name)
    return model

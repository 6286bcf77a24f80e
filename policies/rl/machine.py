"""The insides of a Stable-Baselines3 model as plain arrays, and back: no zip, no pickle."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from policies.saved import Arrays, under

COUNTERS = ("num_timesteps", "_n_updates", "_n_calls")  # what schedules and target copies count


def machine_arrays(model: BaseAlgorithm) -> Arrays:
    """Networks, optimiser moments and counters: all that decides how learning goes on."""
    arrays: Arrays = {}
    for part, state in model.get_parameters().items():
        if "param_groups" in state:
            for number, moments in state["state"].items():
                arrays |= {f"{part}/{number}/{k}": _copied(v) for k, v in moments.items()}
        else:
            arrays |= {f"{part}/{k}": _copied(v) for k, v in state.items()}
    counts = [getattr(model, name, 0) for name in COUNTERS]
    return arrays | {"counters": np.array(counts, np.int64)}


def set_machine(model: BaseAlgorithm, arrays: Arrays) -> None:
    """Take back what `machine_arrays` gave, into a model of the same networks."""
    for part, state in model.get_parameters().items():
        mine = {k: torch.from_numpy(v.copy()) for k, v in under(f"{part}/", arrays).items()}
        target: Any = _attribute(model, part)
        if "param_groups" not in state:
            target.load_state_dict(mine)
            continue
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in mine.items():
            number, key = name.split("/", 1)
            moments.setdefault(int(number), {})[key] = value
        target.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
    for name, count in zip(COUNTERS, arrays["counters"], strict=True):
        if hasattr(model, name):
            setattr(model, name, int(count))


class Blueprint(VecEnv):
    """The spaces of an environment that is not there: enough to build a model that serves."""

    render_mode = None

    def __init__(self, observation: spaces.Box, action: spaces.Space[Any], num_envs: int) -> None:
        super().__init__(num_envs, observation, action)

    def reset(self) -> Any:
        raise self._nobody()

    def step_async(self, actions: Any) -> None:
        raise self._nobody()

    def step_wait(self) -> Any:
        raise self._nobody()

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise self._nobody()

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kw: Any) -> list[Any]:
        raise self._nobody()

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    @staticmethod
    def _nobody() -> ValueError:
        return ValueError("a loaded agent has no users yet: call learn(env, ...)")


def _attribute(model: Any, path: str) -> Any:
    for name in path.split("."):
        model = getattr(model, name)
    return model


def _copied(value: Any) -> Any:
    return torch.as_tensor(value).detach().numpy().copy()

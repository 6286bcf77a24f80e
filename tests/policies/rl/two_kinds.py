"""A world whose answer is known: users of two kinds, each of which pays for one item."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

A, LENGTH = 6, 4
PAYS = np.array([4, 2])  # by kind


class TwoKinds(VectorEnv[Any, Any, Any]):
    """Reward 1 for the item that the user's kind pays for in the first place of the slate."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012
    n_items, n_candidates, history_length = A, None, 2
    response_names = ("click",)
    item_features = np.eye(A, dtype=np.float32)
    render_mode = None

    def __init__(self, num_envs: int, slate_size: int = 1) -> None:
        self.num_envs, self.slate_size = num_envs, slate_size
        self.single_observation_space = spaces.Dict(
            {
                "history_items": spaces.Box(-1, A - 1, (2,), np.int32),
                "history_responses": spaces.Box(0, 1, (2, 1), np.float32),
                "user": spaces.Box(0, 1, (2,), np.float32),
            }
        )
        self.rng = np.random.default_rng(0)
        self.kind = np.zeros(num_envs, np.int64)
        self.age = 0

    def observe(self) -> dict[str, NDArray[Any]]:
        n = self.num_envs
        return {
            "history_items": np.full((n, 2), -1, np.int32),
            "history_responses": np.zeros((n, 2, 1), np.float32),
            "user": np.eye(2, dtype=np.float32)[self.kind],
        }

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.kind, self.age = self.rng.integers(2, size=self.num_envs), 0
        return self.observe(), {}

    def step(self, actions: NDArray[Any]) -> Any:
        slate = np.asarray(actions).reshape(self.num_envs, -1)
        assert slate.shape[1] == self.slate_size
        assert all(len(set(row)) == len(row) for row in slate.tolist()), "no repeats"
        paid = (slate[:, 0] == PAYS[self.kind]).astype(np.float64)
        before = self.observe()
        self.age += 1
        over = self.age == LENGTH
        info: dict[str, Any] = {
            "position_reward": np.concatenate(
                [paid[:, None], np.zeros((self.num_envs, self.slate_size - 1))], axis=1
            ),
            "consumed": np.where(paid > 0, slate[:, 0], -1).astype(np.int32),
            "responses": paid[:, None].astype(np.float32),
        }
        if over:
            info["final_obs"] = [
                {name: value[i] for name, value in before.items()} for i in range(self.num_envs)
            ]
            self.reset()
        done = np.full(self.num_envs, over)
        return self.observe(), paid, done, np.zeros(self.num_envs, bool), info

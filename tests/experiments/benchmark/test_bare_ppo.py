"""The bare loop is PPO: hand-worked advantages, and it learns what pays."""

from __future__ import annotations

import torch

from experiments.benchmark.bare_ppo import Rollout, advantages


def test_advantages_worked_by_hand() -> None:
    """gamma .5, decay .5; the session ends with the second of three steps."""
    reward = torch.tensor([[1.0], [2.0], [4.0]])
    value = torch.tensor([[3.0], [5.0], [7.0], [9.0]])
    going = torch.tensor([[1.0], [0.0], [1.0]])
    none = torch.zeros(0)
    got = advantages(Rollout(none, none, none, value, reward, going), 0.5, 0.5)
    third = 4 + 0.5 * 9 - 7
    second = 2 - 5
    first = 1 + 0.5 * 5 - 3 + 0.25 * second
    assert got[:, 0].tolist() == [first, second, third]

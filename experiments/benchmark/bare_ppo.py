"""PPO without a library around it: the reference for what Stable-Baselines3 costs.

The same network, world, state and number of products as `policies.build("ppo", ...)`, in plain
tensors. Schulman et al. (2017), generalised advantages of Schulman et al. (2016).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from policies.encoders.serving.follow import Follower
from policies.observation import observation_of
from policies.rl.sb3.actor_critic import SlateActorCritic
from policies.rl.sb3.agent import SB3Agent
from policies.rl.sb3.configs import PPOConfig


class Rollout(NamedTuple):
    """T steps of B users."""

    seen: Tensor  # (T, B, D + C)
    action: Tensor  # (T, B, K)
    log_prob: Tensor  # (T, B)
    value: Tensor  # (T + 1, B)
    reward: Tensor  # (T, B)
    going: Tensor  # (T, B) 0 = the session ended with this step


class BarePPO:
    """Takes over the network and the scales of an agent that has learnt before."""

    def __init__(self, agent: SB3Agent, env: Any, *, seed: int) -> None:
        assert agent.model is not None
        assert isinstance(agent.config, PPOConfig)
        assert isinstance(agent.model.policy, SlateActorCritic)
        self.config, self.state, self.scale = agent.config, agent.state, agent.reward_scale
        self.net: SlateActorCritic = agent.model.policy
        self.adam = torch.optim.Adam(self.net.parameters(), lr=agent.config.learning_rate, eps=1e-5)
        assert agent.state.encoder is not None
        self.env, self.follow = env, Follower(agent.state.encoder)
        obs, _ = env.reset(seed=seed)
        self.now = self.encode(obs)

    def encode(self, obs: dict[str, Any]) -> Tensor:
        """(B, D + C)."""
        seen = observation_of(obs)
        state = self.state(seen, self.follow(seen.history_items))
        parts = [torch.from_numpy(state)]
        if seen.candidates is not None:
            parts.append(torch.from_numpy(seen.candidates).float())
        return torch.cat(parts, dim=1)

    def learn(self, total_steps: int) -> None:
        """At least so many decisions over all users."""
        users = self.env.num_envs
        for _ in range(-(-total_steps // (users * self.config.n_steps))):
            self.improve(self.roll())

    @torch.no_grad()
    def roll(self) -> Rollout:
        """The next steps of every user. Users are not truncated in the worlds this is for."""
        rows: list[tuple[Tensor, ...]] = []
        for _ in range(self.config.n_steps):
            action, value, log_prob = self.net(self.now)
            obs, reward, terminated, truncated, _ = self.env.step(action.numpy())
            paid = torch.from_numpy((reward / self.scale).astype(np.float32))
            going = torch.from_numpy((~(terminated | truncated)).astype(np.float32))
            rows.append((self.now, action, log_prob, value[:, 0], paid, going))
            self.now = self.encode(obs)
        last = self.net.predict_values(self.now)[:, 0]
        columns = zip(*rows, strict=True)
        seen, action, log_prob, value, paid, going = (torch.stack(x) for x in columns)
        return Rollout(seen, action, log_prob, torch.cat([value, last[None]]), paid, going)

    def improve(self, rolled: Rollout) -> None:
        """Epochs of clipped policy gradient over minibatches."""
        c = self.config
        gain = advantages(rolled, c.gamma, c.gae_lambda)
        target = (gain + rolled.value[:-1]).flatten()
        seen, action = rolled.seen.flatten(0, 1), rolled.action.flatten(0, 1)
        before, gain = rolled.log_prob.flatten(), gain.flatten()
        for _ in range(c.n_epochs):
            for rows in torch.split(torch.randperm(len(seen)), c.batch_size):
                value, log_prob, entropy = self.net.evaluate_actions(seen[rows], action[rows])
                assert entropy is not None
                g = gain[rows]
                g = (g - g.mean()) / (g.std() + 1e-8)
                ratio = (log_prob - before[rows]).exp()
                near = ratio.clamp(1 - c.clip_range, 1 + c.clip_range)
                loss = -torch.minimum(g * ratio, g * near).mean() - c.entropy * entropy.mean()
                loss = loss + 0.5 * nn.functional.mse_loss(value[:, 0], target[rows])
                self.adam.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.net.parameters(), 0.5)
                self.adam.step()


def advantages(rolled: Rollout, gamma: float, decay: float) -> Tensor:
    """Generalised advantages (T, B)."""
    out = torch.empty_like(rolled.reward)
    after = torch.zeros_like(rolled.reward[0])
    for t in range(len(out) - 1, -1, -1):
        going = gamma * rolled.going[t]
        error = rolled.reward[t] + going * rolled.value[t + 1] - rolled.value[t]
        after = error + decay * going * after
        out[t] = after
    return out

"""PPO in one file, in the style of CleanRL: a loop over a vector environment and nothing else.

Schulman et al., "Proximal Policy Optimization Algorithms" (2017).
"""

import gymnasium
import numpy as np
import torch
from gymnasium.wrappers.vector import NormalizeReward, RecordEpisodeStatistics
from torch import nn
from torch.distributions import Categorical

import recsim_env  # noqa: F401  (registers the environments)

USERS, STEPS, UPDATES, EPOCHS, DISCOUNT, TRACE, CLIP = 32, 16, 6, 4, 0.99, 0.95, 0.2
torch.manual_seed(0)
envs = RecordEpisodeStatistics(gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=USERS))
envs = NormalizeReward(envs, gamma=DISCOUNT)
places, items = len(envs.single_action_space.nvec), int(envs.single_action_space.nvec[0])


def flat(obs: dict[str, np.ndarray]) -> torch.Tensor:
    """The user's vector and what is known of the candidates, as one row each."""
    parts = obs["user"] / 100, obs["candidate_features"].reshape(USERS, -1)
    return torch.as_tensor(np.concatenate(parts, axis=1), dtype=torch.float32)


def pick(logits: torch.Tensor) -> Categorical:
    """An independent choice at every position, as for any MultiDiscrete space."""
    return Categorical(logits=logits.view(*logits.shape[:-1], places, items))


obs = flat(envs.reset(seed=0)[0])
actor = nn.Sequential(nn.Linear(obs.shape[1], 64), nn.Tanh(), nn.Linear(64, places * items))
critic = nn.Sequential(nn.Linear(obs.shape[1], 64), nn.Tanh(), nn.Linear(64, 1))
adam = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=1e-3)
returns: list[float] = []
for _ in range(UPDATES):
    seen, acted, chance, paid, ended = [], [], [], [], []
    for _ in range(STEPS):
        with torch.no_grad():
            chosen = pick(actor(obs))
            action = chosen.sample()
        seen.append(obs), acted.append(action), chance.append(chosen.log_prob(action).sum(-1))
        after, reward, terminated, truncated, infos = envs.step(action.numpy())
        if "episode" in infos:
            returns += infos["episode"]["r"][infos["_episode"]].tolist()
        paid.append(torch.as_tensor(reward, dtype=torch.float32))
        ended.append(torch.as_tensor(terminated | truncated))
        obs = flat(after)
    states, actions, before = torch.stack(seen), torch.stack(acted), torch.stack(chance)
    with torch.no_grad():
        values = critic(torch.cat([states, obs[None]])).squeeze(-1)
        advantage, trace = torch.zeros(STEPS, USERS), torch.zeros(USERS)
        for t in reversed(range(STEPS)):
            going = (~ended[t]).float()
            trace = paid[t] + DISCOUNT * going * (values[t + 1] + TRACE * trace) - values[t]
            advantage[t] = trace
        target = advantage + values[:-1]
        gain = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    for _ in range(EPOCHS):
        ratio = (pick(actor(states)).log_prob(actions).sum(-1) - before).exp()
        policy_loss = -torch.min(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain).mean()
        value_loss = (critic(states).squeeze(-1) - target).pow(2).mean()
        adam.zero_grad()
        (policy_loss + 0.5 * value_loss).backward()
        adam.step()
print(f"{len(returns)} sessions ended, worth {np.mean(returns):.1f} minutes each")

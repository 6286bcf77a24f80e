"""`longplay benchmark training`: steps that PPO learns from per CPU-second, encoder in the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """PPO of Stable-Baselines3 on the flagship with a frozen GRU encoder, whole learning loop
    (world, encoder, policy, updates), beside the same in a bare loop. One thread."""

    env: str = "recsim_env/Longplay-v0"
    users: tuple[int, ...] = (256, 1024)
    """Parallel users, a line each."""
    epochs: tuple[int, ...] = (4, 1)
    """Passes over what was collected, a line each; 4 is the agent's default."""
    dim: int = 32
    """Numbers of the encoder's state."""
    steps: int = 200_000
    """Decisions learnt from in every timing."""
    repeats: int = 3
    """Timings of each loop, in turns; the fastest counts."""

    def __post_init__(self) -> None:
        if min(*self.users, *self.epochs, self.dim, self.steps, self.repeats) < 1:
            raise ValueError("users, epochs, dim, steps and repeats must be at least 1")


def run(settings: Settings) -> int:
    """A line for each number of users and epochs."""
    import torch

    torch.set_num_threads(1)
    print(f"PPO on {settings.env}, frozen gru4rec of {settings.dim}, 32 steps a user, one thread")
    print(f"{'users':<6} {'epochs':>7} {'SB3 a CPU-s':>12} {'bare a CPU-s':>13} {'ratio':>6}")
    for users in settings.users:
        encoder = fitted(settings, users)
        for epochs in settings.epochs:
            ours, bare = speeds(settings, users, epochs, encoder)
            print(f"{users:<6} {epochs:>7} {ours:>12,.0f} {bare:>13,.0f} {bare / ours:>6.2f}")
    return 0


def make(settings: Settings, users: int) -> Any:
    """The world."""
    import gymnasium

    import recsim_env  # noqa: F401  (registers the environments)

    return gymnasium.make_vec(settings.env, num_envs=users)


def fitted(settings: Settings, users: int) -> Any:
    """The encoder after one pass over a short log: its speed does not depend on what it learnt."""
    from policies import ENCODERS, build, collect, consumed_sequences

    env = make(settings, users)
    log = collect(env, build("uniform", env), n_sessions=2 * users, seed=1)
    sizes = {"dim": settings.dim, "length": env.history_length, "epochs": 1}
    return ENCODERS["gru4rec"](**sizes).fit(consumed_sequences(log))


def speeds(settings: Settings, users: int, epochs: int, encoder: Any) -> tuple[float, float]:
    """(through Stable-Baselines3, bare) decisions learnt from per CPU-second."""
    from experiments.benchmark.bare_ppo import BarePPO
    from policies import build

    env, other = make(settings, users), make(settings, users)
    agent: Any = build("ppo", env, encoder=encoder, n_epochs=epochs)
    agent.learn(env, total_steps=32 * users, seed=0)
    bare = BarePPO(agent, other, seed=0)
    bare.learn(32 * users)
    ours, plain = [], []
    for turn in range(settings.repeats):
        start = agent.steps
        taken = seconds(lambda: agent.learn(env, total_steps=settings.steps, seed=turn + 1))  # noqa: B023
        ours.append((agent.steps - start) / taken)
        rounds = -(-settings.steps // (32 * users))
        plain.append(rounds * 32 * users / seconds(lambda: bare.learn(settings.steps)))
    return max(ours), max(plain)


def seconds(work: Callable[[], object]) -> float:
    """CPU time of a call."""
    import time

    start = time.process_time()
    work()
    return time.process_time() - start

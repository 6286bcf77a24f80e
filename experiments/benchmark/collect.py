"""`longplay benchmark collect`: decisions logged per second, world and policy together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Decisions per second of policies.collect in the default world."""

    users: int = 4096
    steps: int = 20
    """Vector steps that are timed, after two that are not."""
    slate_size: int = 3
    n_candidates: int = 20
    history_length: int = 20
    n_items: int = 1000
    warm_steps: int = 10
    """Vector steps of uniform slates that the encoder is fitted to; items that nobody consumed in
    them cost a pass over the catalogue wherever they are on offer."""
    policies: tuple[str, ...] = ("uniform", "softmax_encoder")
    repeats: int = 3

    def __post_init__(self) -> None:
        if min(self.users, self.steps, self.repeats, self.warm_steps) < 1:
            raise ValueError("users, steps, repeats and warm_steps must be at least 1")


def run(settings: Settings) -> int:
    """Print a line for each policy: best of the repeats, in CPU seconds and on the clock."""
    import time

    import gymnasium
    import torch

    import recsim_env  # noqa: F401  (registers the environments)
    from policies import ENCODERS, build, collect, consumed_sequences

    torch.set_num_threads(1)
    env = gymnasium.make_vec(
        "recsim_env/Longplay-v0",
        num_envs=settings.users,
        slate_size=settings.slate_size,
        n_candidates=settings.n_candidates,
        history_length=settings.history_length,
        n_items=settings.n_items,
    )
    warm = collect(env, build("uniform", env), n_steps=settings.warm_steps, seed=0)
    encoder = ENCODERS["sasrec"](dim=32, blocks=1, length=settings.history_length, epochs=1)
    encoder.fit(consumed_sequences(warm))
    print(
        f"{settings.users} users, slates of {settings.slate_size} of {settings.n_candidates} of "
        f"{settings.n_items} items, one thread"
    )
    for name in settings.policies:
        policy = build(name, env, **({"encoder": encoder} if "encoder" in name else {}))
        collect(env, policy, n_steps=2, seed=1)
        cpu, wall = [], []
        for _ in range(settings.repeats):
            start = time.process_time(), time.perf_counter()
            log = collect(env, policy, n_steps=settings.steps, seed=2)
            cpu.append(len(log) / (time.process_time() - start[0]))
            wall.append(len(log) / (time.perf_counter() - start[1]))
        print(f"{name:<16} {max(cpu):>12,.0f} decisions a CPU-second {max(wall):>12,.0f} a second")
    return 0

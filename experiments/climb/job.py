"""What the rounds of one seed share: its world, its users, and the policies at both ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from experiments.climb.settings import Settings
from experiments.common.building import build_with, load_saved
from experiments.common.key_values import pairs, typed
from experiments.common.seeds import purpose_seed
from experiments.common.truth import Truth, serve
from experiments.common.worlds import EnvFactory, named_world
from offpolicy import LoggedDataset
from offpolicy.log.splitting import split_sessions
from policies import POLICIES, Learner, Policy, build, collect, serving_of
from policies.improve.path import between

PURPOSES = ("warm", "log", "split", "truth", "learn")


@dataclass(frozen=True, slots=True)
class Job:
    """One seed of a climb."""

    settings: Settings
    seed: int

    @property
    def world(self) -> EnvFactory:
        return world_of(self.settings)

    def seed_of(self, purpose: str, nth: int = 0) -> int:
        """Independent seeds by purpose and round: no user is met twice, but by the truth, where
        every policy meets the same ones."""
        return purpose_seed(self.seed, PURPOSES, purpose, nth)

    def behaviour(self) -> Policy:
        """What serves the first round."""
        s, env = self.settings, self.world.make(self.settings.users)
        policy = self.untaught("behaviour")
        if s.behaviour in POLICIES:
            uniform, seed = build("uniform", env), self.seed_of("warm")
            policy.update(collect(env, uniform, n_sessions=s.warm_sessions, seed=seed))
        return policy

    def untaught(self, end: Literal["behaviour", "target"]) -> Policy:
        """The behaviour or the target, which has learnt nothing yet unless it was saved."""
        s, env = self.settings, self.world.make(1)
        name, chosen, temperature = {
            "behaviour": (s.behaviour, s.behaviour_set, s.temperature),
            "target": (s.target, s.target_set, s.target_temperature),
        }[end]
        if name not in POLICIES:
            return load_saved(name, serving_of(env))
        changes = typed(f"--{end}-set", pairs(chosen), POLICIES[name].load())
        offered = {"seed": self.seed_of("learn"), "temperature": temperature}
        return build_with(name, env, offered, changes)

    def log(self, policy: Policy, nth: int) -> LoggedDataset:
        """What the policy that serves round `nth` logs."""
        s, seed = self.settings, self.seed_of("log", nth)
        env = self.world.make(s.users)
        return collect(env, policy, n_sessions=s.sessions, seed=seed, logger=f"round {nth}")

    def parted(self, log: LoggedDataset, nth: int) -> tuple[LoggedDataset, LoggedDataset]:
        """Sessions to learn from before the step, and the others, which judge it."""
        share = self.settings.learner_share
        learner, judge = split_sessions(log, (share, 1 - share), seed=self.seed_of("split", nth))
        return learner, judge

    def truth(self, policy: Policy) -> Truth:
        """The policy in the world, on the users that every policy of this seed serves."""
        s, seed = self.settings, self.seed_of("truth")
        return serve(self.world.make(s.users), policy, n_sessions=s.truth_sessions, seed=seed)


@lru_cache(maxsize=1)
def world_of(settings: Settings) -> EnvFactory:
    """The world that the settings name."""
    return named_world(settings)


def check(settings: Settings) -> None:
    """Raise ValueError for policies between which there is no climb, before anything is written."""
    for name in (settings.behaviour, settings.target):
        if name not in POLICIES and not Path(name).is_dir():
            raise ValueError(
                f"no policy {name!r}: give the folder of a saved one, or one of "
                f"{', '.join(sorted(POLICIES))}"
            )
    job = Job(settings, settings.seed)
    behaviour, target = job.untaught("behaviour"), job.untaught("target")
    for name, policy in ((settings.behaviour, behaviour), (settings.target, target)):
        if isinstance(policy, Learner) and name in POLICIES:
            raise ValueError(
                f"{name} learns by acting in a world, not from logs: train it with `longplay "
                "train-policy`, and give the folder that it was saved in"
            )
    between(behaviour, target, 0.5, settings.kind)

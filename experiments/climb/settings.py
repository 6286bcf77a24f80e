"""Settings of `longplay climb`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.common.workers import Parallel


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Climb from a behaviour's first log to a planner's value, by steps that the logs vouch for."""

    data: str | None = None
    """Real interactions to build the world from (ml-100k, ml-1m, amazon-beauty, coat, or a file of
    user, item, timestamp); the world of --env otherwise."""
    columns: tuple[str, ...] = ()
    """What the columns of a file of interactions are called, ours=theirs: item=track_id
    timestamp=played_at reward=completed; or a .yaml that longplay inspect wrote."""
    data_root: Path | None = None
    """Folder that holds the data sets; the variable LONGPLAY_DATA otherwise."""
    env: str = "recsim_env/Longplay-v0"
    """The world."""
    seed: int = 0
    """Of the random numbers; the first of several seeds."""
    seeds: int = 10
    """How many seeds, from --seed on; everything random is made anew with each."""

    slate_size: int = 3
    n_candidates: int = 20
    """Items that the candidate generator offers at each step."""
    history_length: int = 20
    max_steps: int = 30
    """Decisions after which a session is cut; the value is the return up to there."""

    behaviour: str = "top_rated"
    """What serves first, of policies.POLICIES: it learns from the warm-up sessions, then no more.
    Or the folder of a saved policy."""
    temperature: float = 8.0
    """Of the behaviour, where it takes one."""
    behaviour_set: tuple[str, ...] = ()
    """Its other settings: response=clicked prior=10 ..."""
    warm_sessions: int = 4000
    """Sessions of uniform slates that the behaviour learns from."""
    target: str = "one_step"
    """What the steps go towards, of policies.POLICIES: it learns from every log. Or the folder of a
    saved policy, which stays as it is."""
    target_temperature: float = 0.1
    """Of the target, where it takes one; for planners in units of the reward. A low one leaves the
    length of a step to the judge; where steps go the whole way (share 1) it is the target itself
    that ends the climb, and a lower one leads on."""
    target_set: tuple[str, ...] = ()
    """Its other settings: epsilon=0.05 ..."""
    kind: Literal["geometric", "mixture"] = "geometric"
    """The path from the policy that serves to the target."""

    rounds: int = 6
    sessions: int = 8000
    """Sessions that a round serves, of users never seen before."""
    learner_share: float = 0.25
    """About this share of a round's sessions is learnt from before the step; the others judge it,
    and are learnt from afterwards."""
    truth_sessions: int = 2000
    """Sessions of yet other users that every policy of a seed serves for its true value."""
    users: int = 512
    """Parallel users."""
    min_ess: float = 500.0
    """Effective sessions of the judge below which a step is not vouched for."""
    confidence: float = 0.975
    """That the true uplift of a step is above its stated lower bound."""
    level: float = 0.95
    """Of the intervals over seeds and over sessions in truth."""

    def __post_init__(self) -> None:
        if min(self.rounds, self.users, self.workers, self.max_steps, self.slate_size) < 1:
            raise ValueError("rounds, users, workers, max_steps, slate_size must be at least 1")
        if self.seeds < 2 or min(self.warm_sessions, self.truth_sessions) < 2:
            raise ValueError("at least 2 seeds and 2 sessions: fewer give no interval")
        if not 0 < self.learner_share < 1:
            raise ValueError(
                f"learner_share is {self.learner_share}; it lies between 0 and 1: learner and "
                "judge each need sessions of their own"
            )
        if self.sessions < 8:
            raise ValueError(f"{self.sessions} sessions a round are too few to split; serve more")
        if not 0 < self.level < 1 or not 0.5 < self.confidence < 1:
            raise ValueError("level lies between 0 and 1, confidence between 0.5 and 1")
        if not min(self.temperature, self.target_temperature) > 0:
            raise ValueError("temperatures must be above 0")

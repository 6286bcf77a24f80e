"""Settings of `longplay train-policy`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.train.learning import LearnFrom


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Train a policy in a world; a run that was stopped goes on with --resume FOLDER."""

    policy: str
    """The policy to train: of policies.POLICIES, or one of your own, mymodule:MyPolicy."""
    env: str = "recsim_env/Longplay-v0"
    """The world: an environment, or the folder of a fitted world."""
    data: str | None = None
    """Real interactions to build the world from instead, as longplay compare does (ml-100k, ml-1m,
    amazon-beauty, coat, or a file of user, item, timestamp)."""
    columns: tuple[str, ...] = ()
    """What the columns of --data are called, ours=theirs: item=track_id timestamp=played_at
    reward=completed; or a .yaml that longplay inspect wrote."""
    data_root: Path | None = None
    """Folder that holds the data sets; the variable LONGPLAY_DATA otherwise."""
    set: tuple[str, ...] = ()
    """Settings of the policy: gamma=0.995 hidden=128 ..."""
    env_set: tuple[str, ...] = ()
    """Settings of the world: slate_size=3 n_candidates=10 ..."""
    encoder: str | None = None
    """Supervised sequence encoder under the policy, kept frozen: of policies.ENCODERS, fitted on
    sessions of uniform slates; or the folder of one that longplay train-encoder saved."""
    encoder_set: tuple[str, ...] = ()
    """Settings of the encoder: dim=32 epochs=15 ..."""
    warm_sessions: int = 4000
    """Sessions of uniform slates that the encoder learns from."""
    prior: Path | None = None
    """A saved policy that the agent starts as, and goes on from: a planner learnt from a log."""

    rounds: int = 20
    """Points of the learning curve after its start."""
    steps: int = 50_000
    """Decisions of a round, over all users; sessions begin anew in every round."""
    learn_from: LearnFrom = "own"
    """Whose decisions a policy that learns from logs learns from: its own, or uniform ones."""
    users: int = 256
    """Parallel users."""
    sessions: int = 500
    """Held-out sessions behind each point of the curve; the same users for every point."""
    test_sessions: int = 2000
    """Sessions of yet other users that the best policy is tested on."""
    patience: int = 10
    """Rounds without a better point before stopping."""
    level: float = 0.95
    """Level of the intervals."""
    seed: int = 0
    """Of the random numbers."""
    threads: int = 1
    """Torch threads."""
    tensorboard: bool = True
    """Also write the curve for TensorBoard, where that is installed."""
    out: Path = Path("results")
    """Where run folders are made."""
    resume: Path | None = None
    """A run folder to go on with; it has the settings, and none is given again."""

    @property
    def world(self) -> str:
        """The world in words."""
        return self.env if self.data is None else f"Longplay-v0 on {self.data}"

    def __post_init__(self) -> None:
        if min(self.rounds, self.users, self.patience, self.threads) < 1:
            raise ValueError("rounds, users, patience and threads must be at least 1")
        if self.data is None and self.columns:
            raise ValueError("--columns names the columns of --data: name the file there")
        if min(self.sessions, self.test_sessions, self.warm_sessions) < 2:
            raise ValueError("every number of sessions must be at least 2")
        if self.steps < self.users:
            raise ValueError(
                f"a round of {self.steps} decisions is less than one of each of {self.users} users"
            )
        if not 0 < self.level < 1:
            raise ValueError(f"level is {self.level}; it lies between 0 and 1, 0.95 is usual")

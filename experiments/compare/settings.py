"""Settings of `longplay compare`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.common.workers import Parallel


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Compare policies in a world, from a log and in truth."""

    data: str | None = None
    """Real interactions to build the world from (ml-100k, ml-1m, amazon-beauty, coat, or a file of
    user, item, timestamp); the embedded world otherwise."""
    columns: tuple[str, ...] = ()
    """What the columns of a file of interactions are called, ours=theirs: item=track_id
    timestamp=played_at reward=completed; or a .yaml that longplay inspect wrote."""
    data_root: Path | None = None
    """Folder that holds the data sets; the variable LONGPLAY_DATA otherwise."""
    env: str = "recsim_env/Longplay-v0"
    """The embedded world: an environment with a catalogue and candidates, or the folder of a fitted
    world."""
    seed: int = 0
    """Of the random numbers."""

    slate_size: int | None = None
    """Items shown at a time; by default 3, in a fitted world as many as it was made with."""
    n_candidates: int | None = None
    """Items that the candidate generator offers at each step; by default 20, in a fitted world as
    many as it was made with."""
    history_length: int | None = None
    """Items taken that policies see; by default 20, in a fitted world as many as it was made
    with."""
    max_steps: int = 30
    """Decisions after which a session is cut; the value is the return up to there."""

    encoder: str = "sasrec"
    """The supervised sequence encoder under the policies: of policies.ENCODERS, or the folder of
    one that longplay train-encoder saved."""
    temperature: float = 8.0
    """Of the logging policy, a softmax over mean ratings, in standard deviations of them; higher
    = closer to uniform slates, from which a log can speak about more policies."""
    policies: tuple[str, ...] = ()
    """Rows of the table; the usual ones by default. A row is a usual one ("top rated, sharper"), or
    a policy: a name of policies.POLICIES with settings (linucb,alpha=0.5), one of your own
    (mymodule:MyPolicy), or the folder of a saved one; label=... before it names the row."""

    warm_sessions: int = 4000
    """Sessions under uniform slates, for the logging policy's ratings and, where there are no real
    sequences, for the encoder."""
    train_sessions: int = 6000
    """Sessions of the logging policy that candidates learn from."""
    log_sessions: int = 8000
    """Sessions of the logging policy that candidates are evaluated with."""
    truth_sessions: int = 4000
    """Sessions that each candidate serves in the world."""
    curve_sessions: int = 500
    """Sessions behind each point of a learning curve."""
    rounds: int = 4
    """Points of a learning curve after its start."""
    env_steps: int = 300_000
    """Decisions in the world for policies that act while they learn."""
    users: int = 512
    """Parallel users."""
    min_ess: float = 500.0
    """Effective sessions below which the gate says that it cannot tell."""
    level: float = 0.95
    """Level of the intervals."""
    threads: int = 1
    """Torch threads of a process."""

    def __post_init__(self) -> None:
        if min(self.warm_sessions, self.train_sessions, self.log_sessions, self.truth_sessions) < 2:
            raise ValueError("every number of sessions must be at least 2")
        if min(self.rounds, self.users, self.workers, self.threads, self.max_steps) < 1:
            raise ValueError("rounds, users, workers, threads and max_steps must be at least 1")
        sizes = (self.slate_size, self.history_length)
        if any(size is not None and size < 1 for size in sizes) or self.curve_sessions < 2:
            raise ValueError(
                "slate_size and history_length must be at least 1, curve_sessions at least 2"
            )
        if not 0 < self.level < 1:
            raise ValueError(f"level is {self.level}; it lies between 0 and 1, 0.95 is usual")
        if not self.temperature > 0 or self.env_steps < self.rounds:
            raise ValueError("temperature must be above 0, and env_steps no fewer than rounds")
        k, c = self.slate_size, self.n_candidates
        if k is not None and c is not None and k > c:
            raise ValueError(f"a slate of {k} cannot be drawn from {c} candidates")

"""Settings of `longplay live`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.common.workers import Parallel

Scenario = Literal["steady", "drift", "bad_canary"]
DAYS: dict[str, int] = {"steady": 12, "drift": 20, "bad_canary": 14}


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Users of a world are served, watched and learnt from, day by day, in simulated time."""

    scenario: Scenario = "steady"
    """steady: nothing happens from outside. drift: what users like changes at once at --event-day.
    bad_canary: a version that is worse, with a forged gate report, is rolled out at --event-day."""
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
    """Of users, their visits, and what is learnt."""
    days: int | None = None
    """Simulated days; 12 of steady, 20 of drift and 14 of bad_canary."""
    event_day: int | None = None
    """The day of the drift or of the bad canary, from 0; half of all days by default."""
    direction: int = 0
    """A number that draws the direction along which a drift mirrors what users like."""
    http: bool = False
    """Serve over HTTP, by the real routes; slower: give fewer --users."""

    slate_size: int = 3
    n_candidates: int = 20
    """Items that the candidate generator offers at each step."""
    history_length: int = 20
    max_steps: int = 12
    """Decisions after which a session is cut."""
    users: int = 3000
    daily: float = 0.25
    """Chance that a user comes on a day."""

    first: str = "top_rated"
    """What serves first, of policies.POLICIES: it learns from the warm-up sessions."""
    first_temperature: float = 8.0
    """Of the first policy, where it takes one."""
    warm_sessions: int = 1000
    """Sessions of uniform slates that the first policy learns from."""
    learner: str = "one_step"
    """What learns, of policies.POLICIES."""
    learner_set: tuple[str, ...] = ("temperature=0.2",)
    """Its settings."""
    step: bool = False
    """Offer the furthest step towards what was learnt that the log vouches for; else itself."""
    cannot_tell: Literal["try", "stay"] = "try"
    """What follows where the gate cannot tell: a canary, which then must show a gain before it is
    promoted, or nothing. What is worse by the gate is never tried."""
    new_sessions: int = 2000
    """Sessions after which the policy learns again."""
    after_drift: int = 2000
    """Sessions since the change that it learns from after a drift alarm, and no others."""
    judge_share: float = 0.2
    """Share of the users who judge what was learnt and never teach it."""
    min_ess: float = 200.0
    """Effective sessions of the gate's judge below which it cannot tell."""
    confidence: float = 0.95
    """Of the gate."""

    stages: tuple[float, ...] = (0.1, 0.5, 1.0)
    """Shares of the users that a canary is served to."""
    margin: float = 0.05
    """How much worse than control a canary may be, as a share of control's value."""
    shadow_decisions: int = 500
    """Compared before the first user is served by a new version; 0: none."""
    stage_days: float = 0.5
    """A stage lasts at least so long."""
    last_stage_days: float = 1.0
    """The last stage before all users lasts at least so long: 4 where novelty may please users."""
    look_hours: float = 3.0
    """Simulated time between two looks of the controller."""
    baselines: bool = True
    """Play the same users without retraining, and with retraining that is promoted at once."""
    level: float = 0.95
    """Of the intervals."""

    def __post_init__(self) -> None:
        if min(self.n_days, self.users, self.workers, self.max_steps, self.slate_size) < 1:
            raise ValueError("days, users, workers, max_steps, slate_size must be at least 1")
        if min(self.warm_sessions, self.new_sessions, self.after_drift) < 8:
            raise ValueError("warm_sessions, new_sessions and after_drift must be at least 8")
        if not 0 <= self.event < self.n_days:
            raise ValueError(
                f"event_day is {self.event}; it is one of the {self.n_days} days, from 0"
            )
        if not 0 < self.judge_share < 1:
            raise ValueError(f"judge_share is {self.judge_share}; it lies between 0 and 1")
        if not 0 < self.level < 1 or not 0.5 < self.confidence < 1:
            raise ValueError("level lies between 0 and 1, confidence between 0.5 and 1")
        if (
            not min(self.stage_days, self.last_stage_days, self.look_hours, self.first_temperature)
            > 0
        ):
            raise ValueError(
                "stage_days, last_stage_days, look_hours, first_temperature must be above 0"
            )

    @property
    def n_days(self) -> int:
        """How many are played."""
        return DAYS[self.scenario] if self.days is None else self.days

    @property
    def event(self) -> int:
        """The day on which the scenario's event happens."""
        return self.n_days // 2 if self.event_day is None else self.event_day

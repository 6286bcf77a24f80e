"""CascadeLinUCB: a bandit for users who look from the top. Zong et al. (2016), algorithm 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.arms import ArmsConfig, Kind, LinearArms, linear_arms
from policies.bandits.linucb import LinUCB
from policies.bandits.ucb1 import looked_at
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.observation import Observation, Serving
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores
from policies.validation import FROM_0


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeLinUCBConfig(ArmsConfig, Exploration):
    """The regressions, with shared weights as in the paper; the bonus; the exploration."""

    width: float = 1.0  # of the bonus in standard errors
    ridge: float = 1.0
    arms: Kind = "shared"

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        ArmsConfig.__post_init__(self)
        FROM_0.check("width", self.width)


@dataclass(slots=True)
class CascadeLinUCB:
    """The K items of highest bounds theta.x + width sqrt(x' M^-1 x) on being taken when looked at.

    A place is an observation, of taken or not, down to the one taken: nothing is known of those
    below. The paper's bounds are cut at 1; here they are not, since that would only tie the items
    that are known least.
    """

    arms: LinearArms
    width: float

    @property
    def serving(self) -> Serving:
        return self.arms.serving

    def scores(self, obs: Observation) -> Scores:
        return LinUCB(self.arms, self.width).scores(obs)

    def parts(self, obs: Observation) -> dict[str, Scores]:
        """As of LinUCB."""
        return LinUCB(self.arms, self.width).parts(obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return self.arms.add(log, *looked_at(log))

    def saved(self) -> Saved:
        return self.arms.saved({"width": self.width})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(LinearArms.from_saved(saved, serving), saved.config["width"])


@configured(CascadeLinUCBConfig)
def cascade_linucb(
    serving: Serving, config: CascadeLinUCBConfig, encoder: Encoder | None
) -> ScorePolicy:
    """The K items of highest upper confidence bounds on being taken when looked at."""
    bandit = CascadeLinUCB(linear_arms(serving, config, encoder), config.width)
    return ScorePolicy(bandit, part(config, Exploration))

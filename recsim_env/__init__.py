"""Users: simulators of people whose preferences move while they are served."""

from __future__ import annotations

import gymnasium

from recsim_env.catalogue import Catalogue, Population
from recsim_env.check import check_vector_env
from recsim_env.eligibility import Group
from recsim_env.model import UserModel
from recsim_env.oracles.oracle import (
    expected_reward,
    greedy_oracle,
    look_ahead,
    random_slates,
    session_returns,
)
from recsim_env.oracles.replay import record, replay
from recsim_env.oracles.search import planning_oracle
from recsim_env.rendering.diagram import world_diagram
from recsim_env.rendering.picture import session_picture
from recsim_env.rendering.text import session_text
from recsim_env.rendering.trace import Trace
from recsim_env.rendering.watch import watch
from recsim_env.single import RecEnv
from recsim_env.users.interest_evolution import InterestEvolutionConfig
from recsim_env.users.longplay_world import LongplayConfig
from recsim_env.vector import RecVectorEnv

__all__ = [
    "USERS",
    "Catalogue",
    "Group",
    "InterestEvolutionConfig",
    "LongplayConfig",
    "Population",
    "RecEnv",
    "RecVectorEnv",
    "Trace",
    "UserModel",
    "check_vector_env",
    "expected_reward",
    "greedy_oracle",
    "look_ahead",
    "planning_oracle",
    "random_slates",
    "record",
    "register",
    "replay",
    "session_picture",
    "session_returns",
    "session_text",
    "watch",
    "world_diagram",
]

# Every user model: the name in recsim_env/NAME-v0 -> its module.
USERS: dict[str, str] = {
    "InterestEvolution": "recsim_env.users.interest_evolution",
    "InterestExploration": "recsim_env.users.interest_exploration",
    "LongTermSatisfaction": "recsim_env.users.long_term_satisfaction",
    "OrganicBandit": "recsim_env.users.organic_bandit",
    "Boredom": "recsim_env.users.boredom",
    "BoredomInfluence": "recsim_env.users.boredom_influence",
    "Retention": "recsim_env.users.retention",
    "Funnel": "recsim_env.users.funnel",
    "Curriculum": "recsim_env.users.curriculum",
    "AdSlots": "recsim_env.users.ad_slots",
    "Longplay": "recsim_env.users.longplay",
    "LongplayPersonal": "recsim_env.users.longplay_personal",
}


def register(name: str, module: str) -> None:
    """Make `recsim_env/NAME-v0` of a module that holds a `MODEL: UserModel`: its dotted name, or
    without a dot one of recsim_env.users, else one at the top level of the import path. It is
    imported when an environment is made."""
    gymnasium.register(
        f"recsim_env/{name}-v0",
        entry_point="recsim_env.single:RecEnv",
        vector_entry_point="recsim_env.vector:RecVectorEnv",
        kwargs={"model": module},
        disable_env_checker=True,
        order_enforce=False,
    )


for _name, _module in USERS.items():
    register(_name, _module)

"""Choices: policies over ordered slates, the encoders under them, and the log they write."""

from typing import Any

from policies.adapters.plain import from_probabilities
from policies.base import Decision, Learner, Policy, act
from policies.catalog import POLICIES, build, register
from policies.consumption import consumed_sequences
from policies.encoders import ENCODERS, Encoder, Sequences
from policies.improve.path import between
from policies.improve.step import Step, furthest_step
from policies.observation import (
    Observation,
    Serving,
    observation_of,
    observation_of_log,
    serving_of,
    serving_of_log,
)
from policies.one_user import recommend
from policies.rollout import collect
from policies.rules.constrained import constrained
from policies.rules.constraints import Banned, Cap, Quota, Repeats
from policies.rules.rerank import reranked
from policies.saved import Savable, Saved
from policies.saving import checkpoint
from policies.saving.by_id import Recommendation, recommend_items
from policies.saving.folders import load, save
from policies.score_policy import Exploration, ScoreModel, ScorePolicy
from policies.scoring import score_log
from policies.slates.distributions import Mixture, PlackettLuce, SlateDistribution, TopK

__all__ = [
    "ENCODERS",
    "POLICIES",
    "Banned",
    "Cap",
    "Decision",
    "Encoder",
    "Exploration",
    "Learner",
    "Mixture",
    "Observation",
    "PlackettLuce",
    "Policy",
    "Quota",
    "Recommendation",
    "Repeats",
    "Savable",
    "Saved",
    "ScoreModel",
    "ScorePolicy",
    "Sequences",
    "Serving",
    "SlateDistribution",
    "Step",
    "TopK",
    "act",
    "between",
    "build",
    "checkpoint",
    "collect",
    "constrained",
    "consumed_sequences",
    "from_probabilities",
    "furthest_step",
    "load",
    "observation_of",
    "observation_of_log",
    "recommend",
    "recommend_items",
    "register",
    "reranked",
    "save",
    "score_log",
    "serving_of",
    "serving_of_log",
]

RENAMED = {"Scored": "ScorePolicy", "Scorer": "ScoreModel"}  # names of version 0.1


def __getattr__(name: str) -> Any:
    """A name of version 0.1, with a warning that says what it is called now."""
    if name not in RENAMED:
        raise AttributeError(f"module 'policies' has no attribute {name!r}")
    from warnings import warn

    text = f"policies.{name} is called policies.{RENAMED[name]} now"
    warn(text, DeprecationWarning, stacklevel=2)
    return globals()[RENAMED[name]]

"""Choices: policies over ordered slates, the encoders under them, and the log they write."""

from policies.base import (
    Decision,
    Observation,
    Policy,
    Serving,
    act,
    observation_of,
    observation_of_log,
    serving_of,
)
from policies.catalog import POLICIES, build
from policies.encoders import ENCODERS, Encoder, Sequences
from policies.rollout import collect
from policies.scored import Exploration, Scored, Scorer
from policies.scoring import score_log
from policies.simple import consumed_sequences
from policies.slates import Mixture, PlackettLuce, SlateDistribution, TopK

__all__ = [
    "ENCODERS",
    "POLICIES",
    "Decision",
    "Encoder",
    "Exploration",
    "Mixture",
    "Observation",
    "PlackettLuce",
    "Policy",
    "Scored",
    "Scorer",
    "Sequences",
    "Serving",
    "SlateDistribution",
    "TopK",
    "act",
    "build",
    "collect",
    "consumed_sequences",
    "observation_of",
    "observation_of_log",
    "score_log",
    "serving_of",
]

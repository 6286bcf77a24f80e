"""Failure modes of production as vector wrappers: composable, each with a seed and a schedule."""

from recsim_env.disturb.catalogue import Churn, churning
from recsim_env.disturb.disturbance import Disturbance
from recsim_env.disturb.feedback import Bots, DelayedRewards, LatencyBudget, LostRows
from recsim_env.disturb.observations import ColdStart, Drift, MissingFeatures, StaleObservations

__all__ = [
    "Bots",
    "Churn",
    "ColdStart",
    "DelayedRewards",
    "Disturbance",
    "Drift",
    "LatencyBudget",
    "LostRows",
    "MissingFeatures",
    "StaleObservations",
    "churning",
]

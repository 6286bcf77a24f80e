"""Failure modes of production as vector wrappers: composable, each with a seed and a schedule."""

from recsim_env.disturb_items import Churn, churning
from recsim_env.disturb_paid import Bots, DelayedRewards, LatencyBudget, LostRows
from recsim_env.disturb_seen import ColdStart, Drift, MissingFeatures, StaleObservations
from recsim_env.disturbance import Disturbance

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

"""Estimators: functions of rows whose values are ratios of sums, declared in one registry."""

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.registry import (
    ESTIMATORS,
    Estimator,
    estimate,
    estimate_all,
    estimator,
    hyper_parameters,
)

__all__ = [
    "ESTIMATORS",
    "Estimate",
    "Estimator",
    "estimate",
    "estimate_all",
    "estimator",
    "hyper_parameters",
]

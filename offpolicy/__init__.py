"""Evidence: what a policy is worth from a log with propensities, and when the log cannot say."""

from offpolicy.errors import LogError
from offpolicy.log import LoggedDataset
from offpolicy.store import append_log, read_log, write_log
from offpolicy.terms import Terms
from offpolicy.weights import Predictions, TargetScores, terms

__all__ = [
    "LogError",
    "LoggedDataset",
    "Predictions",
    "TargetScores",
    "Terms",
    "append_log",
    "read_log",
    "terms",
    "write_log",
]

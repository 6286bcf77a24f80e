"""Evidence: what a policy is worth from a log with propensities, and when the log cannot say."""

from offpolicy.diagnostics import Diagnostics, diagnose
from offpolicy.doctor import Health, LogCheck, check_log
from offpolicy.errors import LogError
from offpolicy.estimators import ESTIMATORS, Estimate, estimate, estimate_all
from offpolicy.evaluate import as_scores, evaluate
from offpolicy.gate import GateRule, Guardrail, Outcome, Verdict, decide
from offpolicy.inference import Interval, adjust, difference, interval
from offpolicy.log import LoggedDataset
from offpolicy.report import Line, Report
from offpolicy.reward_model import predict_rewards
from offpolicy.store import append_log, read_log, write_log
from offpolicy.terms import Terms
from offpolicy.weights import Predictions, TargetScores, on_policy, terms

__all__ = [
    "ESTIMATORS",
    "Diagnostics",
    "Estimate",
    "GateRule",
    "Guardrail",
    "Health",
    "Interval",
    "Line",
    "LogCheck",
    "LogError",
    "LoggedDataset",
    "Outcome",
    "Predictions",
    "Report",
    "TargetScores",
    "Terms",
    "Verdict",
    "adjust",
    "append_log",
    "as_scores",
    "check_log",
    "decide",
    "diagnose",
    "difference",
    "estimate",
    "estimate_all",
    "evaluate",
    "interval",
    "on_policy",
    "predict_rewards",
    "read_log",
    "terms",
    "write_log",
]

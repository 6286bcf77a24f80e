"""Evidence: what a policy is worth from a log with propensities, and when the log cannot say."""

from offpolicy.balancing import balanced_terms
from offpolicy.bootstrap import bootstrap
from offpolicy.bounds import (
    confidence_sequence,
    empirical_bernstein,
    empirical_likelihood,
    hoeffding,
)
from offpolicy.compact import compact
from offpolicy.continuous import kernel_terms
from offpolicy.cressie_read import cressie_read
from offpolicy.diagnostics import Diagnostics, diagnose
from offpolicy.dice import dice_terms
from offpolicy.distribution import outcome_distribution
from offpolicy.doctor import Health, LogCheck, check_log
from offpolicy.errors import LogError
from offpolicy.estimators import ESTIMATORS, Estimate, estimate, estimate_all
from offpolicy.evaluate import as_scores, evaluate
from offpolicy.fqe import fitted_q
from offpolicy.gate import GateRule, Guardrail, Outcome, Verdict, decide
from offpolicy.guardrails import GuardrailSpec, check_guardrails
from offpolicy.importance_fitting import pas_if
from offpolicy.inference import Interval, adjust, difference, interval
from offpolicy.large_actions import action_terms, estimated_mips_terms, mips_terms, offcem_terms
from offpolicy.latent_slates import lips_terms
from offpolicy.log import LoggedDataset
from offpolicy.loggers import logger_terms
from offpolicy.marginals import marginal_terms
from offpolicy.moments import Moments, merge, partial
from offpolicy.multiplicity import simultaneous
from offpolicy.propensities import estimate_propensity
from offpolicy.redraw import score_estimators
from offpolicy.redraw_sessions import score_session_estimators
from offpolicy.report import Line, Report
from offpolicy.reward_model import predict_rewards
from offpolicy.rollout_gate import GateReport, judge
from offpolicy.selection import choose_setting, cross_validate, opera, slope
from offpolicy.slates import slate_terms
from offpolicy.store import append_log, read_log, write_log
from offpolicy.stream import StreamSpec, stream_estimates
from offpolicy.terms import Terms
from offpolicy.weights import Predictions, TargetScores, on_policy, terms

__all__ = [
    "ESTIMATORS",
    "Diagnostics",
    "Estimate",
    "GateReport",
    "GateRule",
    "Guardrail",
    "GuardrailSpec",
    "Health",
    "Interval",
    "Line",
    "LogCheck",
    "LogError",
    "LoggedDataset",
    "Moments",
    "Outcome",
    "Predictions",
    "Report",
    "StreamSpec",
    "TargetScores",
    "Terms",
    "Verdict",
    "action_terms",
    "adjust",
    "append_log",
    "as_scores",
    "balanced_terms",
    "bootstrap",
    "check_guardrails",
    "check_log",
    "choose_setting",
    "compact",
    "confidence_sequence",
    "cressie_read",
    "cross_validate",
    "decide",
    "diagnose",
    "dice_terms",
    "difference",
    "empirical_bernstein",
    "empirical_likelihood",
    "estimate",
    "estimate_all",
    "estimate_propensity",
    "estimated_mips_terms",
    "evaluate",
    "fitted_q",
    "hoeffding",
    "interval",
    "judge",
    "kernel_terms",
    "lips_terms",
    "logger_terms",
    "marginal_terms",
    "merge",
    "mips_terms",
    "offcem_terms",
    "on_policy",
    "opera",
    "outcome_distribution",
    "partial",
    "pas_if",
    "predict_rewards",
    "read_log",
    "score_estimators",
    "score_session_estimators",
    "simultaneous",
    "slate_terms",
    "slope",
    "stream_estimates",
    "terms",
    "write_log",
]

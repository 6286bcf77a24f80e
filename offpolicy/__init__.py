"""Evidence: what a policy is worth from a log with propensities, and when the log cannot say."""

from offpolicy.diagnostics import Diagnostics, diagnose
from offpolicy.doctor.log_check import Health, LogCheck, check_log
from offpolicy.errors import LogError
from offpolicy.estimators import ESTIMATORS, Estimate, estimate, estimate_all
from offpolicy.estimators.terms import Terms
from offpolicy.evaluation import as_scores, evaluate
from offpolicy.gate.guardrails import GuardrailSpec, check_guardrails
from offpolicy.gate.verdict import GateRule, Guardrail, Outcome, Verdict, decide
from offpolicy.intervals.bootstrap import bootstrap
from offpolicy.intervals.bounds import (
    confidence_sequence,
    cressie_read,
    empirical_bernstein,
    empirical_likelihood,
    hoeffding,
)
from offpolicy.intervals.distribution import outcome_distribution
from offpolicy.intervals.gamma import gamma_interval
from offpolicy.intervals.inference import Interval, adjust, difference, interval
from offpolicy.intervals.multiplicity import simultaneous
from offpolicy.judging import GateReport, judge
from offpolicy.line import Line
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import Predictions, TargetScores
from offpolicy.log.splitting import split_sessions
from offpolicy.models.fqe import fitted_q
from offpolicy.models.reward_model import predict_rewards
from offpolicy.plan.making import PlanSettings, make_plan
from offpolicy.plan.record import Plan
from offpolicy.plan.trial import trial_uplift
from offpolicy.report import Report
from offpolicy.selection.choosing import choose_setting, cross_validate, opera, slope
from offpolicy.selection.importance_fitting import pas_if
from offpolicy.selection.redraw import score_estimators, score_session_estimators
from offpolicy.storage.parquet import append_log, read_log, write_log
from offpolicy.storage.score_table import match_scores
from offpolicy.streaming.compaction import compact
from offpolicy.streaming.merging import merge, partial
from offpolicy.streaming.moments import Moments
from offpolicy.streaming.stream import StreamSpec, stream_estimates
from offpolicy.uplift import value_interval
from offpolicy.weighting.balancing import balanced_terms
from offpolicy.weighting.censoring import first_steps
from offpolicy.weighting.continuous import kernel_terms
from offpolicy.weighting.dice import dice_terms
from offpolicy.weighting.horizons import on_policy, terms
from offpolicy.weighting.large_actions import (
    action_terms,
    estimated_mips_terms,
    mips_terms,
    offcem_terms,
)
from offpolicy.weighting.latent_slates import lips_terms
from offpolicy.weighting.loggers import logger_terms
from offpolicy.weighting.marginals import marginal_terms
from offpolicy.weighting.propensities import estimate_propensity
from offpolicy.weighting.session_mixture import session_mixture
from offpolicy.weighting.slates import slate_terms

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
    "Plan",
    "PlanSettings",
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
    "first_steps",
    "fitted_q",
    "gamma_interval",
    "hoeffding",
    "interval",
    "judge",
    "kernel_terms",
    "lips_terms",
    "logger_terms",
    "make_plan",
    "marginal_terms",
    "match_scores",
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
    "session_mixture",
    "simultaneous",
    "slate_terms",
    "slope",
    "split_sessions",
    "stream_estimates",
    "terms",
    "trial_uplift",
    "value_interval",
    "write_log",
]

"""Have propensities changed: is the policy that serves the one that should, and does it explore?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.candidate_table import candidate_columns
from offpolicy.doctor.findings import Finding
from offpolicy.doctor.weight_checks import mean_weight_target, uniform_weights
from offpolicy.drift.outcomes import Change, How, change_of, decision_means
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores


class Exploration(NamedTuple):
    """How much choice the serving policy leaves, on the logarithmic scale."""

    what: str
    change: Change


def first_place_entropy(log: LoggedDataset) -> F64 | None:
    """(N,) entropy in nats of the first place; None where the log has no probabilities of
    candidates."""
    if log.candidate_propensity is None:
        return None
    entropy = np.zeros(len(log))
    for c in candidate_columns(log):
        held = (c.item >= 0) & (c.p > 0)
        entropy -= np.where(held, c.p * np.log(np.where(held, c.p, 1.0)), 0.0)
    return entropy


def surprise(log: LoggedDataset) -> F64:
    """(N,) - log propensity of the logged slate: its mean is the policy's entropy."""
    return np.asarray(-np.log(log.propensity))


def exploration(
    reference: LoggedDataset,
    recent: LoggedDataset,
    how: How,
    *,
    keep: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
) -> Exploration:
    """The change of the mean entropy of the first place, where both logs have whole distributions,
    else of the mean -log propensity of the slate. exp(change) is the ratio of the numbers of items
    (slates) among which the policies in effect choose."""
    tables = first_place_entropy(reference), first_place_entropy(recent)
    if tables[0] is not None and tables[1] is not None:
        what, values = "entropy of the first place (nats)", (tables[0], tables[1])
    else:
        what, values = "entropy of slates (nats)", (surprise(reference), surprise(recent))
    masks = keep or (None, None)
    means = [
        decision_means(log, x, mask)
        for log, x, mask in zip((reference, recent), values, masks, strict=True)
    ]
    return Exploration(what, change_of(how, *means))


def effective_share(
    logs: tuple[LoggedDataset, LoggedDataset], targets: tuple[TargetScores, TargetScores], how: How
) -> Change:
    """The change of the logarithm of a target's effective share of rows, (E w)^2 / E w^2, from
    the reference to the recent log, by its influence on each user's rows."""
    sides = []
    for one, known in zip(logs, targets, strict=True):
        w = known.propensity / one.propensity
        first, second = float(w.mean()), float((w**2).mean())
        value = np.log(first**2 / second) if first > 0 else -np.inf
        psi = 2 * (w / first - 1) - (w**2 / second - 1) if first > 0 else np.zeros(len(w))
        sides.append(decision_means(one, value + psi))
    a, b = sides
    return change_of(how, a, b)


def mean_weights(log: LoggedDataset, scores: TargetScores | None) -> list[Finding]:
    """Mean weights against 1: of the policy that should be serving, or of the uniform one."""
    return uniform_weights(log) if scores is None else [mean_weight_target(log, scores)]


def loggers_of(log: LoggedDataset) -> dict[str, NDArray[np.bool_]]:
    """Rows (N,) of each logger by name."""
    if log.logger is None:
        return {}
    return {str(name): log.logger == name for name in np.unique(log.logger)}

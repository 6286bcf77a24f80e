"""How far a target lies from the logging policy, from whole distributions: no draw is needed."""

from __future__ import annotations

import numpy as np

from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import ENTIRE, TargetScores

BLOCK_ENTRIES = 1 << 22  # entries of a table over all items looked at together


def known_variance(log: LoggedDataset, scores: TargetScores) -> F64 | None:
    """(N,) variance of each decision's weight, sum over items of pi_e^2 / pi_b less 1, where both
    policies' probabilities of every item are known; None where they are not, where slates have
    several places, or where the target leaves the logging policy's support."""
    if log.candidate_propensity is None or scores.slate_weight is None or log.slate_size > 1:
        return None
    assert scores.slates is not None
    variance, size = np.empty(len(log)), max(BLOCK_ENTRIES // log.n_items, 1)
    for at in range(0, len(log), size):
        rows = slice(at, at + size)
        items, p = scores.slates[rows, :, 0], log.candidate_propensity[rows]
        width = log.n_items + 1  # the last column: no item
        cell = np.arange(len(items))[:, None] * width + items.astype(np.int64) % width
        weight = np.broadcast_to(scores.slate_weight[rows], items.shape)
        target = np.bincount(cell.ravel(), weight.ravel(), len(items) * width)
        target = target.reshape(len(items), width)
        if log.candidates is not None:
            target = np.take_along_axis(target, log.candidates[rows].astype(np.int64), 1)
        else:
            target = target[:, :-1]
        if (target > 0)[p <= 0].any() or np.abs(target.sum(1) - 1).max() > ENTIRE:
            return None
        square = np.divide(target**2, p, out=np.zeros_like(p), where=p > 0).sum(1)
        variance[rows] = np.maximum(square - 1, 0.0)
    return variance


def expected_rows(log: LoggedDataset, scores: TargetScores) -> float | None:
    """Effective rows of weights as both policies' distributions lead to expect them: N / E[w^2];
    None where the distributions are not known. Kish (1965)."""
    variance = known_variance(log, scores)
    return None if variance is None else len(log) / (1 + float(variance.mean()))

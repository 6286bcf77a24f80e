"""A log whose sessions were dealt out to two policies, weighed as the log of their mixture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64
from offpolicy.log.checks import validate
from offpolicy.log.dataset import LoggedDataset
from offpolicy.weighting.horizons import running_product


def session_mixture(
    log: LoggedDataset, present: ArrayLike, target: ArrayLike, share: float
) -> LoggedDataset:
    """The log of both policies' sessions, each served whole by the target with chance `share`, else
    by the present policy, with the mixture's propensities: of a step given the session so far
    M_t / M_(t-1), where M_t = (1 - share) prod b + share prod pi up to step t.

    Weights of the target then are at most 1 / share however long sessions are: pass that as
    `weight_bound` to `evaluate` and `judge`. `present` and `target` (N,) are each policy's
    probability of every logged slate, of its own sessions and of the other's (`score_log`). Uplifts
    over this log's policy are (1 - share) times those over the present one. Veach & Guibas (1995).

    Raises:
        LogError: a shape differs, or both give a logged slate probability 0.
        ValueError: a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"share = {share} lies between 0 and 1, both excluded")
    log.require_whole_sessions("the weight of a session is the product over ALL its steps.")
    b, pi = np.asarray(present, np.float64), np.asarray(target, np.float64)
    if not b.shape == pi.shape == (len(log),):
        raise LogError(
            f"present has shape {b.shape}, target {pi.shape}; each is ({len(log)},), a policy's "
            "probability of every logged slate."
        )
    return replace(
        log,
        propensity=_of_mixture(log, b, pi, share),
        position_propensity=None,
        candidate_propensity=None,
        logger=None,
    )


def _of_mixture(log: LoggedDataset, b: F64, pi: F64, share: float) -> F64:
    """(N,) M_t / M_(t-1): each policy's probability by its chance to serve the session, given the
    session so far."""
    ratio = np.divide(pi, b, out=np.full(len(b), np.inf), where=b > 0)
    with np.errstate(invalid="ignore", over="ignore"):
        running, before = running_product(log, ratio)
        odds = before * (share / (1 - share))
        of_target = np.where(np.isinf(odds), 1.0, odds / (1 + odds))
    validate(
        np.isnan(running) | ~(np.maximum(b, pi) > 0),
        lambda i: (
            f"row {i}: neither policy can have served its session up to there (each gives some "
            "slate of it probability 0); score the policies that served this log."
        ),
    )
    return np.asarray((1 - of_target) * b + of_target * pi)

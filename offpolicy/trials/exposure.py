"""Did users come to the arms as they were meant to? Sample ratio, and users seen in both arms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offpolicy.trials.units import TrialUnits

PRIORS = (100.0, 1_000.0, 10_000.0)  # users that alternatives weigh: shares far off, and near by


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Users of both arms against the share that the canary was to have."""

    canary: int
    control: int
    share: float  # that the canary was to have
    observed: float  # share of the canary, not a number (nan) where nobody came
    e_value: float  # evidence against the share: 1 none, 1000 strong
    p_value: float  # min(1, 1 / e_value), anytime-valid


def sample_ratio(canary: int, control: int, share: float) -> SampleRatio:
    """Test of the canary's share of USERS in one stratum, valid at all looks together: under the
    right share the e-value is at any time above 1 / alpha with probability alpha at most.

    The e-value is the mean, over three priors with the mean `share`, of the ratio of the
    beta-binomial likelihood and the binomial one. Lindon & Malek (2022).

    Raises:
        ValueError: a negative count, or a share outside (0, 1).
    """
    from scipy.special import betaln, logsumexp

    if not 0 < share < 1:
        raise ValueError(f"share = {share} is outside (0, 1): it is the canary's, of all users")
    if min(canary, control) < 0:
        raise ValueError(f"canary = {canary}, control = {control}; they count users, 0 or more")
    k, n = np.array(PRIORS), canary + control
    a, b = k * share, k * (1 - share)
    log_e = float(logsumexp(betaln(a + canary, b + control) - betaln(a, b))) - np.log(len(k))
    log_e -= canary * float(np.log(share)) + control * float(np.log1p(-share))
    return SampleRatio(
        canary,
        control,
        share,
        canary / n if n else float("nan"),
        float(np.exp(min(log_e, 700.0))),
        float(np.exp(min(-log_e, 0.0))),
    )


def multiple_exposure(units: TrialUnits) -> float:
    """Share of users seen in both arms of a stratum; 0 where there are no users. Users keep their
    arm, so a share above 0 means that ids are shared, or that assignment broke."""
    users, cells = units.users, units.cells
    if not users.n:
        return 0.0
    at, arms = cells.code // 2, np.zeros((users.n, len(cells.strata)), np.int8)
    np.add.at(arms, (users.code, at), 1)
    return float((arms > 1).any(axis=1).mean())

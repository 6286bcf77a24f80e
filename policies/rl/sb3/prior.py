"""A policy that an agent starts as: its logits in the agent's observations, and the gate to them.

Residual policy learning: Silver et al. (2018), Johannink et al. (2019). The logits of every step
are computed once, while users are served, and kept with the observation: no epoch of learning
computes them again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.base import Policy
from policies.observation import Observation, Serving, check_same_world
from policies.slates.distributions import PlackettLuce

F32 = NDArray[np.float32]
ROWS = 4096  # observations that the spread of a prior's logits is taken from
NEVER = -1e6  # logit of a column that must not be shown: finite, so that no product becomes NaN


def check_prior(prior: Policy | None, serving: Serving) -> None:
    """Raise ValueError for a prior that was built for another world."""
    if prior is not None:
        check_same_world(prior.serving, serving, "the prior")


def prior_logits(prior: Policy, obs: Observation) -> F32:
    """Plackett-Luce logits (B, C) of the prior, whose largest is 0 in every row; `NEVER` for what
    must not be shown.

    Raises ValueError for a prior that does not draw its slates by logits.
    """
    d = prior.distribution(obs)
    if not isinstance(d, PlackettLuce):
        raise ValueError(
            f"an agent starts as a policy that draws its slates by logits, and the prior gives a "
            f"{type(d).__name__}: build it with a temperature and without epsilon"
        )
    known = np.isfinite(d.logits)
    most = np.where(known, d.logits, -np.inf).max(axis=1, keepdims=True, initial=NEVER)
    logits: F32 = np.where(known, d.logits - most, NEVER).astype(np.float32)
    return logits


def prior_spread(prior: Policy, obs: Observation) -> float:
    """Standard deviation of the prior's logits inside a row, over some of these observations; 1
    where it prefers nothing."""
    some = obs.rows(slice(None, None, max(1, len(obs) // ROWS)))
    logits = prior_logits(prior, some).astype(np.float64)
    known = np.where(logits > NEVER, logits, np.nan)
    spread = float(np.nanmean(np.nanvar(known, axis=1)) ** 0.5)
    return spread if spread > 0 else 1.0


class PriorGate(nn.Module):
    """Skip connection from a prior's logits to an actor's: gate(latent) times them, at first 1."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.gate = nn.Linear(latent, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.ones_(self.gate.bias)

    def forward(self, logits: Tensor, latent: Tensor) -> Tensor:
        """Logits (B, C), latent (B, L) -> (B, C)."""
        return self.gate(latent) * logits

"""A policy that an agent starts as: its logits in the agent's observations, and the gate to them.

Residual policy learning: Silver et al. (2018), Johannink et al. (2019). The logits of every step
are computed once, while users are served, and kept with the observation: no epoch of learning
computes them again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.base import Policy
from policies.observation import Observation
from policies.slates.distributions import PlackettLuce, TopK

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
ROWS = 4096  # observations that the spread of a prior's logits is taken from
NEVER = -1e6  # logit of a column that must not be shown: finite, so that no product becomes NaN


@dataclass(frozen=True, slots=True)
class Prior:
    """A frozen policy as Plackett-Luce logits: its own, or, where it shows the best of its scores
    surely, its scores times `scale`."""

    policy: Policy
    scale: float = 1.0

    def logits(self, obs: Observation) -> F32:
        """(B, C), the largest of every row 0; `NEVER` for what must not be shown.

        Raises ValueError for a policy that makes its slates neither by logits nor by scores.
        """
        raw = self._raw(obs)
        most = raw.max(axis=1, keepdims=True, initial=NEVER)
        logits: F32 = np.maximum(raw - most, NEVER).astype(np.float32)
        return logits

    def fitted(self, obs: Observation, sharpness: float) -> Prior:
        """The same policy; one that shows its best surely gets logits of this spread."""
        some = _some(obs)
        if isinstance(self.policy.distribution(some), PlackettLuce):
            return self
        return replace(self, scale=sharpness / replace(self, scale=1.0).spread(some))

    def spread(self, obs: Observation) -> float:
        """Standard deviation of the logits inside a row, over some of these observations; 1 where
        the policy prefers nothing."""
        raw = self._raw(_some(obs))
        shown = np.isfinite(raw)
        n = np.maximum(shown.sum(axis=1), 1)
        known = np.where(shown, raw, 0.0)
        off = np.where(shown, known - (known.sum(axis=1) / n)[:, None], 0.0)
        spread = float(((off**2).sum(axis=1) / n).mean() ** 0.5)
        return spread if spread > 0 else 1.0

    def _raw(self, obs: Observation) -> F64:
        """Logits (B, C), -inf = must not be shown."""
        d = self.policy.distribution(obs)
        if isinstance(d, PlackettLuce):
            return d.logits
        if isinstance(d, TopK):
            return d.scores * self.scale
        raise ValueError(
            "an agent starts as a policy that makes its slates by scores, and the prior gives a "
            f"{type(d).__name__}: build it without epsilon"
        )


def _some(obs: Observation) -> Observation:
    return obs.rows(slice(None, None, max(1, len(obs) // ROWS)))


class PriorGate(nn.Module):
    """Skip connection from a prior's logits to an actor's: gate(latent) times them, at first 1."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.gate = nn.Linear(latent, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.ones_(self.gate.bias)

    def forward(self, logits: Tensor, latent: Tensor) -> Tensor:
        """Logits (B, C), latent (B, L) -> (B, C)."""
        gate: Tensor = self.gate(latent)
        return gate * logits

"""Weights summed over what does not matter: the state distribution's ratio instead of products over
a session, an embedding's instead of an action's."""

from __future__ import annotations

from offpolicy.estimators import sequential, single
from offpolicy.estimators.forms import Form, Rows


def mis_state(t: Rows) -> Form:
    """State-marginal importance sampling, weights rho(s) pi_e / pi_b. Xie, Ma & Wang (2019)."""
    return sequential.pdis(t)


def mis_state_action(t: Rows) -> Form:
    """State-action-marginal importance sampling, weights rho(s, a). Uehara et al. (2020)."""
    return sequential.pdis(t)


def drl(t: Rows) -> Form:
    """Double reinforcement learning: rho_t (r - q) + rho_before v. Kallus & Uehara (2020)."""
    return sequential.seq_dr(t)


def mips(t: Rows) -> Form:
    """IPS over action embeddings. Saito & Joachims (2022)."""
    return single.ips(t)


def snmips(t: Rows) -> Form:
    """MIPS divided by the sum of its weights."""
    return single.snips(t)


def offcem(t: Rows) -> Form:
    """Weights of clusters for the residual, a model inside them. Saito, Ren & Joachims (2023)."""
    return single.dr(t)


def lips(t: Rows) -> Form:
    """IPS over abstractions of slates. Kiyohara, Nomura & Saito (2024)."""
    return single.ips(t)


def dice(t: Rows) -> Form:
    """Stationary ratios that are linear in features. Yang et al. (2020)."""
    return sequential.pdis(t)

"""Slates: a row per place, the value is the sum over places, per slate.

All are sums over places with their own weights: `slates.slate_terms` makes the weights that each
name asks for (joint, marginal, cascade, pseudo-inverse, adaptive).
"""

from __future__ import annotations

from offpolicy.estimators import sequential
from offpolicy.estimators.forms import Form, Rows


def sips(t: Rows) -> Form:
    """Whole-slate weights (joint): unbiased, heavy. Horvitz & Thompson (1952)."""
    return sequential.pdis(t)


def iips(t: Rows) -> Form:
    """Marginal weights of each place: right if no place changes another. Li et al. (2018)."""
    return sequential.pdis(t)


def rips(t: Rows) -> Form:
    """Weights of the places above and this one (cascade): right if users read downwards.
    McInerney et al. (2020)."""
    return sequential.pdis(t)


def aips(t: Rows) -> Form:
    """Weights of those places that the user's behaviour lets matter. Kiyohara et al. (2023)."""
    return sequential.pdis(t)


def pi(t: Rows) -> Form:
    """Pseudo-inverse: rewards linear in places; product logging. Swaminathan et al. (2017)."""
    return sequential.pdis(t)


def snsips(t: Rows) -> Form:
    """SIPS divided by the sum of slate weights."""
    return sequential.sntis(t)


def wpi(t: Rows) -> Form:
    """PI divided by the sum of slate weights. Swaminathan et al. (2017)."""
    return sequential.sntis(t)


def sniips(t: Rows) -> Form:
    """IIPS normalised place by place."""
    return sequential.snpdis(t)


def snrips(t: Rows) -> Form:
    """RIPS normalised place by place. McInerney et al. (2020)."""
    return sequential.snpdis(t)


def cascade_dr(t: Rows) -> Form:
    """Doubly robust down the slate, q and v of the rewards from the place on.
    Kiyohara et al. (2022)."""
    return sequential.seq_dr(t)

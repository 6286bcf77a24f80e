"""Estimators: name -> function of rows. `estimate` runs one, `estimate_all` many in one reading."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from offpolicy.estimators import maps, marginal, sequential, single, slate
from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import Form
from offpolicy.estimators.likelihood import cr
from offpolicy.estimators.magic import magic
from offpolicy.estimators.terms import Terms

ESTIMATORS: dict[str, Callable[..., Form | Estimate]] = {
    "ips": single.ips,
    "clipped_ips": maps.clipped_ips,
    "snips": single.snips,
    "dm": single.dm,
    "dr": single.dr,
    "sndr": single.sndr,
    "clipped_dr": maps.clipped_dr,
    "switch_dr": maps.switch_dr,
    "dros": maps.dros,
    "subgaussian_ips": maps.subgaussian_ips,
    "subgaussian_dr": maps.subgaussian_dr,
    "exponential_ips": maps.exponential_ips,
    "log_smoothing_ips": maps.log_smoothing_ips,
    "cr": cr,
    "mips": marginal.mips,
    "snmips": marginal.snmips,
    "offcem": marginal.offcem,
    "lips": marginal.lips,
    "sips": slate.sips,
    "iips": slate.iips,
    "rips": slate.rips,
    "snsips": slate.snsips,
    "sniips": slate.sniips,
    "snrips": slate.snrips,
    "cascade_dr": slate.cascade_dr,
    "pi": slate.pi,
    "wpi": slate.wpi,
    "aips": slate.aips,
    "tis": sequential.tis,
    "sntis": sequential.sntis,
    "pdis": sequential.pdis,
    "snpdis": sequential.snpdis,
    "seq_dr": sequential.seq_dr,
    "wdr": sequential.wdr,
    "magic": magic,
    "mis_state": marginal.mis_state,
    "mis_state_action": marginal.mis_state_action,
    "drl": marginal.drl,
    "dice": marginal.dice,
}
OF_TERMS = frozenset(
    {"cr", "magic"}
)  # functions of all terms at once; the others are Forms of rows
FOR_HORIZON: dict[str, tuple[str, ...]] = {
    "one_step": (
        "ips", "clipped_ips", "snips", "dm", "dr", "sndr", "clipped_dr", "switch_dr", "dros",
        "subgaussian_ips", "subgaussian_dr", "exponential_ips", "log_smoothing_ips", "cr", "mips",
        "snmips", "offcem", "lips",
    ),
    "slate": (
        "sips", "iips", "rips", "snsips", "sniips", "snrips", "cascade_dr", "pi", "wpi", "aips",
    ),
    "per_decision": ("pdis", "snpdis", "dm", "seq_dr", "wdr", "magic"),
    "trajectory": ("tis", "sntis"),
    "marginal": ("mis_state", "mis_state_action", "drl", "dm", "dice"),
}  # fmt: skip
WITH_MODEL = frozenset(
    {
        "dm", "dr", "sndr", "clipped_dr", "switch_dr", "dros", "subgaussian_dr", "offcem",
        "cascade_dr", "seq_dr", "wdr", "magic", "drl",
    }
)  # fmt: skip

__all__ = ["ESTIMATORS", "Estimate", "estimate", "estimate_all", "estimator", "hyper_parameters"]


def estimate(terms: Terms, name: str, **hyper: float) -> Estimate:
    """The value of the target policy by the named estimator.

    `hyper` are the estimator's own settings: `cap` (clipped_ips, clipped_dr), `threshold`
    (switch_dr), `shrinkage` (dros) …

    Raises:
        ValueError: no such estimator or setting, or the terms are of another estimand.
    """
    return estimate_all(terms, [name], {name: hyper})[name]


def estimate_all(
    terms: Terms,
    names: Iterable[str],
    hyper: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Estimate]:
    """Several estimators on the same terms, in one reading of the rows.

    Raises:
        ValueError: as `estimate`.
    """
    settings, names = hyper or {}, list(names)
    forms = {name: estimator(name, **settings.get(name, {})) for name in names}
    unknown = sorted(settings.keys() - ESTIMATORS.keys())
    if unknown:
        raise ValueError(f"settings for {', '.join(unknown)}; there are {', '.join(ESTIMATORS)}")
    fitting = FOR_HORIZON.get(terms.horizon)
    for name in forms:
        if fitting is not None and name not in fitting:
            raise ValueError(
                f"{name} is no estimator of the {terms.horizon} estimand; there are "
                f"{', '.join(fitting)}. Choose the horizon that {name} is for, or one of these."
            )
    found = estimate_forms(terms, {n: f for n, f in forms.items() if n not in OF_TERMS})
    return {n: found[n] if n in found else forms[n](terms) for n in forms}


def estimator(name: str, **hyper: float) -> Callable[..., Any]:
    """The named estimator with its settings bound.

    Raises:
        ValueError: no such estimator or setting, or a setting that is not positive.
    """
    if name not in ESTIMATORS:
        raise ValueError(f"no estimator {name!r}; there are {', '.join(ESTIMATORS)}")
    known = hyper_parameters(name)
    for key, value in hyper.items():
        if key not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes no settings"
            raise ValueError(f"{name} has no setting {key!r}; {takes}")
        if not value > 0:
            raise ValueError(f"{key} = {value} of {name} must be above 0")
    return partial(ESTIMATORS[name], **hyper)


def hyper_parameters(name: str) -> dict[str, float]:
    """Settings of an estimator and their defaults."""
    found = inspect.signature(ESTIMATORS[name]).parameters.values()
    return {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY}

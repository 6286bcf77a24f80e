"""Every estimator: one record each, in one dict, from which all other lists are derived."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from offpolicy.estimators import maps, marginal, sequential, single, slate
from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.forms import Form
from offpolicy.estimators.likelihood import cr
from offpolicy.estimators.magic import magic

Weighting = Literal["joint", "marginal", "cascade", "pseudo_inverse", "adaptive"]  # of slates
ONE, SLATE = ("one_step",), ("slate",)
SESSION, WHOLE, STATE = ("per_decision",), ("trajectory",), ("marginal",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """What the package needs to know of an estimator."""

    form: Callable[..., Form | Estimate]  # of rows; of all Terms at once where `whole`
    horizons: tuple[str, ...]  # estimands that it estimates
    usual: bool = False  # `evaluate` shows it by default
    needs_model: bool = False  # reads q_logged and v_target
    rank: int | None = None  # a verdict rests on the lowest rank there is, by default
    whole: bool = False  # a function of all terms at once, which cannot stream
    model_only: bool = False  # weighs nothing: its interval is silent about the model's error
    weighting: Weighting | None = None  # of its slates, a row per position
    by_action: bool = False  # weights are averaged over cells of state and action
    terms: str = ""  # the function that makes its terms, where a log and scores do not suffice


MIPS = "mips_terms or estimated_mips_terms"
ESTIMATORS: dict[str, Estimator] = {
    "ips": Estimator(form=single.ips, horizons=ONE, usual=True, rank=4),
    "clipped_ips": Estimator(form=maps.clipped_ips, horizons=ONE, usual=True),
    "snips": Estimator(form=single.snips, horizons=ONE, usual=True, rank=3),
    "subgaussian_ips": Estimator(form=maps.subgaussian_ips, horizons=ONE),
    "exponential_ips": Estimator(form=maps.exponential_ips, horizons=ONE),
    "log_smoothing_ips": Estimator(form=maps.log_smoothing_ips, horizons=ONE),
    "cr": Estimator(form=cr, horizons=ONE, whole=True),
    "mips": Estimator(form=marginal.mips, horizons=ONE, terms=MIPS),
    "snmips": Estimator(form=marginal.snmips, horizons=ONE, terms=MIPS),
    "lips": Estimator(form=marginal.lips, horizons=ONE, terms="lips_terms"),
    "sips": Estimator(form=slate.sips, horizons=SLATE, weighting="joint"),
    "iips": Estimator(form=slate.iips, horizons=SLATE, weighting="marginal"),
    "rips": Estimator(form=slate.rips, horizons=SLATE, weighting="cascade"),
    "snsips": Estimator(form=slate.snsips, horizons=SLATE, weighting="joint"),
    "sniips": Estimator(form=slate.sniips, horizons=SLATE, weighting="marginal"),
    "snrips": Estimator(form=slate.snrips, horizons=SLATE, weighting="cascade"),
    "pi": Estimator(form=slate.pi, horizons=SLATE, weighting="pseudo_inverse"),
    "wpi": Estimator(form=slate.wpi, horizons=SLATE, weighting="pseudo_inverse"),
    "aips": Estimator(
        form=slate.aips, horizons=SLATE, weighting="adaptive", terms="slate_terms(behaviour=...)"
    ),
    "tis": Estimator(form=sequential.tis, horizons=WHOLE, usual=True, rank=4),
    "sntis": Estimator(form=sequential.sntis, horizons=WHOLE, usual=True, rank=3),
    "pdis": Estimator(form=sequential.pdis, horizons=SESSION, usual=True, rank=4),
    "snpdis": Estimator(form=sequential.snpdis, horizons=SESSION, usual=True, rank=3),
    "mis_state": Estimator(form=marginal.mis_state, horizons=STATE, usual=True, rank=3),
    "mis_state_action": Estimator(
        form=marginal.mis_state_action, horizons=STATE, usual=True, by_action=True
    ),
    "dice": Estimator(form=marginal.dice, horizons=STATE, terms="dice_terms"),
    "dm": Estimator(
        form=single.dm,
        horizons=ONE + SESSION + STATE,
        needs_model=True,
        usual=True,
        model_only=True,
    ),
    "dr": Estimator(form=single.dr, horizons=ONE, needs_model=True, usual=True, rank=1),
    "sndr": Estimator(form=single.sndr, horizons=ONE, needs_model=True, usual=True, rank=2),
    "clipped_dr": Estimator(form=maps.clipped_dr, horizons=ONE, needs_model=True),
    "switch_dr": Estimator(form=maps.switch_dr, horizons=ONE, needs_model=True),
    "dros": Estimator(form=maps.dros, horizons=ONE, needs_model=True),
    "subgaussian_dr": Estimator(form=maps.subgaussian_dr, horizons=ONE, needs_model=True),
    "offcem": Estimator(form=marginal.offcem, horizons=ONE, needs_model=True, terms="offcem_terms"),
    "cascade_dr": Estimator(
        form=slate.cascade_dr,
        horizons=SLATE,
        needs_model=True,
        weighting="cascade",
        terms="slate_terms(model=...)",
    ),
    "seq_dr": Estimator(
        form=sequential.seq_dr, horizons=SESSION, needs_model=True, usual=True, rank=1
    ),
    "wdr": Estimator(form=sequential.wdr, horizons=SESSION, needs_model=True, rank=2),
    "magic": Estimator(form=magic, horizons=SESSION, needs_model=True, whole=True),
    "drl": Estimator(form=marginal.drl, horizons=STATE, needs_model=True, usual=True, rank=1),
}


def fitting(horizon: str, *, usual: bool = False) -> list[str]:
    """Names of the estimators of an estimand; with `usual` those that are shown by default."""
    return [n for n, e in ESTIMATORS.items() if horizon in e.horizons and (e.usual or not usual)]


def preferred(names: list[str]) -> str:
    """The one that a verdict rests on: the lowest rank, else the first."""
    ranked = [n for n in names if ESTIMATORS[n].rank is not None]
    return min(ranked, key=lambda n: ESTIMATORS[n].rank or 0) if ranked else names[0]


def estimator(name: str, **hyper: float) -> Callable[..., Any]:
    """The named estimator's form with its settings bound.

    Raises:
        ValueError: no such estimator or setting, or a setting that is not positive.
    """
    known = hyper_parameters(name)
    for key, value in hyper.items():
        if key not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes no settings"
            raise ValueError(f"{name} has no setting {key!r}; {takes}")
        if not value > 0:
            raise ValueError(f"{key} = {value} of {name} must be above 0")
    return partial(ESTIMATORS[name].form, **hyper)


def hyper_parameters(name: str) -> dict[str, float]:
    """Settings of an estimator and their defaults.

    Raises:
        ValueError: no such estimator.
    """
    if name not in ESTIMATORS:
        raise ValueError(f"no estimator {name!r}; there are {', '.join(ESTIMATORS)}")
    parameters = inspect.signature(ESTIMATORS[name].form).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

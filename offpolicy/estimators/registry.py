"""Every estimator: one record each, in one dict, from which all other lists are derived."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from offpolicy.estimators import formulas
from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import Form
from offpolicy.estimators.likelihood import cr
from offpolicy.estimators.magic import magic
from offpolicy.estimators.terms import LARGEST, Terms

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
    interval: str = ""  # what its interval leaves out, so that it does not hold at its level
    from_zero: bool = False  # its settings may be 0, which changes nothing
    about: str = ""  # what it is and its source, where a shared formula cannot say
    terms: str = ""  # the function that makes its terms, where a log and scores do not suffice


MIPS = "mips_terms or estimated_mips_terms"
CLASSIFIER = "leaves out the error of the classifier, where estimated_mips_terms made the weights"
# fmt: off
# A shared formula on Terms of its own weights is an estimator of its own: `about` says which.
#
# `usual` and `rank` rest on a table over worlds, `longplay benchmark estimators`
# (experiments/results/estimators.md). `cr` and `sndr` err least there, so both are shown; `ips` is
# the unbiased value that others are read against, `clipped_ips` what a bound on the weights costs,
# `dm` what the model behind `dr` says alone. A verdict rests on an uplift and its interval, which
# must hold whatever the model: that rules out `dm` and whatever changes weights. With its control
# variate (`uplift.compare`) the uplifts of `dr` and `sndr` are as close as that of `cr`; `dr` is
# unbiased besides, and reads rows one at a time. Without a model the uplifts of `snips` and `cr`
# are nearly the same, and `snips` streams.
ESTIMATORS: dict[str, Estimator] = {
    "ips": Estimator(form=formulas.ips, horizons=ONE, usual=True, rank=4),
    "clipped_ips": Estimator(form=formulas.clipped_ips, horizons=ONE, usual=True),
    "snips": Estimator(form=formulas.snips, horizons=ONE, usual=True, rank=3),
    "subgaussian_ips": Estimator(form=formulas.subgaussian_ips, horizons=ONE, from_zero=True),
    "exponential_ips": Estimator(form=formulas.exponential_ips, horizons=ONE),
    "log_smoothing_ips": Estimator(form=formulas.log_smoothing_ips, horizons=ONE, from_zero=True),
    "cr": Estimator(form=cr, horizons=ONE, whole=True, usual=True, rank=5),
    "mips": Estimator(
        form=formulas.ips, horizons=ONE, terms=MIPS, interval=CLASSIFIER,
        about="IPS over action embeddings. Saito & Joachims (2022).",
    ),
    "snmips": Estimator(
        form=formulas.snips, horizons=ONE, terms=MIPS, interval=CLASSIFIER,
        about="MIPS divided by the sum of its weights.",
    ),
    "lips": Estimator(
        form=formulas.ips, horizons=ONE, terms="lips_terms",
        about="IPS over abstractions of slates. Kiyohara, Nomura & Saito (2024).",
    ),
    "sips": Estimator(
        form=formulas.pdis, horizons=SLATE, weighting="joint",
        about="Whole-slate weights (joint): unbiased, heavy. Horvitz & Thompson (1952).",
    ),
    "iips": Estimator(
        form=formulas.pdis, horizons=SLATE, weighting="marginal",
        about="Each position's marginal weight: right if none changes another. Li et al. (2018).",
    ),
    "rips": Estimator(
        form=formulas.pdis, horizons=SLATE, weighting="cascade",
        about="Weights down to a position: right if users read down. McInerney et al. (2020).",
    ),
    "snsips": Estimator(
        form=formulas.sntis, horizons=SLATE, weighting="joint",
        about="SIPS divided by the sum of slate weights.",
    ),
    "sniips": Estimator(
        form=formulas.snpdis, horizons=SLATE, weighting="marginal",
        about="IIPS normalised position by position.",
    ),
    "snrips": Estimator(
        form=formulas.snpdis, horizons=SLATE, weighting="cascade",
        about="RIPS normalised position by position. McInerney et al. (2020).",
    ),
    "pi": Estimator(
        form=formulas.pdis, horizons=SLATE, weighting="pseudo_inverse",
        about="Pseudo-inverse: linear rewards, product logging. Swaminathan et al. (2017).",
    ),
    "wpi": Estimator(
        form=formulas.sntis, horizons=SLATE, weighting="pseudo_inverse",
        about="PI divided by the sum of slate weights. Swaminathan et al. (2017).",
    ),
    "aips": Estimator(
        form=formulas.pdis, horizons=SLATE, weighting="adaptive",
        terms="slate_terms(behaviour=...)",
        about="Weights of positions that matter to the user at this one. Kiyohara et al. (2023).",
    ),
    "tis": Estimator(form=formulas.tis, horizons=WHOLE, usual=True, rank=4),
    "sntis": Estimator(form=formulas.sntis, horizons=WHOLE, usual=True, rank=3),
    "pdis": Estimator(form=formulas.pdis, horizons=SESSION, usual=True, rank=4),
    "snpdis": Estimator(form=formulas.snpdis, horizons=SESSION, usual=True, rank=3),
    "mis_state": Estimator(
        form=formulas.pdis, horizons=STATE, usual=True, rank=3,
        about="State-marginal weights rho(s) pi_e / pi_b. Xie, Ma & Wang (2019).",
    ),
    "mis_state_action": Estimator(
        form=formulas.pdis, horizons=STATE, by_action=True, usual=True,
        about="State-action-marginal weights rho(s, a). Uehara et al. (2020).",
    ),
    "dice": Estimator(
        form=formulas.pdis, horizons=STATE, terms="dice_terms",
        interval="takes its ratios as known, though they are fitted to the same rows",
        about="Stationary ratios that are linear in features. Yang et al. (2020).",
    ),
    "dm": Estimator(
        form=formulas.dm, horizons=ONE + SESSION + STATE, needs_model=True, model_only=True,
        usual=True, interval=(
            "speaks of the states that were reached, not of the error of the model: it does not "
            "cover the truth at its level"
        ),
    ),
    "dr": Estimator(form=formulas.dr, horizons=ONE, needs_model=True, usual=True, rank=1),
    "sndr": Estimator(form=formulas.sndr, horizons=ONE, needs_model=True, usual=True, rank=2),
    "clipped_dr": Estimator(form=formulas.clipped_dr, horizons=ONE, needs_model=True),
    "switch_dr": Estimator(form=formulas.switch_dr, horizons=ONE, needs_model=True),
    "dros": Estimator(form=formulas.dros, horizons=ONE, needs_model=True),
    "subgaussian_dr": Estimator(
        form=formulas.subgaussian_dr, horizons=ONE, needs_model=True, from_zero=True,
    ),
    "offcem": Estimator(
        form=formulas.dr, horizons=ONE, needs_model=True, terms="offcem_terms",
        about="Weights of clusters, a model inside them. Saito, Ren & Joachims (2023).",
    ),
    "cascade_dr": Estimator(
        form=formulas.seq_dr, horizons=SLATE, needs_model=True, weighting="cascade",
        terms="slate_terms(model=...)",
        about="Doubly robust down the slate, q and v of what is ahead. Kiyohara et al. (2022).",
    ),
    "seq_dr": Estimator(
        form=formulas.seq_dr, horizons=SESSION, needs_model=True, usual=True, rank=1,
    ),
    "wdr": Estimator(form=formulas.wdr, horizons=SESSION, needs_model=True, rank=2),
    "magic": Estimator(form=magic, horizons=SESSION, needs_model=True, whole=True),
    "drl": Estimator(
        form=formulas.seq_dr, horizons=STATE, needs_model=True, usual=True, rank=1,
        about="Double reinforcement learning, rho_t (r - q) + rho_before v. Kallus, Uehara (2020).",
    ),
}
# fmt: on


def fitting(horizon: str, *, usual: bool = False) -> list[str]:
    """Names of the estimators of an estimand; with `usual` those that are shown by default."""
    return [n for n, e in ESTIMATORS.items() if horizon in e.horizons and (e.usual or not usual)]


def preferred(names: list[str]) -> str:
    """The one that a verdict rests on: the lowest rank, else the first whose interval holds, else
    the first."""
    ranked = [n for n in names if ESTIMATORS[n].rank is not None]
    if ranked:
        return min(ranked, key=lambda n: ESTIMATORS[n].rank or 0)
    return next((n for n in names if not ESTIMATORS[n].interval), names[0])


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
    of_estimand = fitting(terms.horizon)  # none: terms of an estimand of the caller's own
    for name in forms:
        if of_estimand and name not in of_estimand:
            raise ValueError(
                f"{name} is no estimator of the {terms.horizon} estimand; there are "
                f"{', '.join(of_estimand)}. Choose the horizon that {name} is for, or one of these."
            )
    by_rows = {n: form for n, form in forms.items() if not ESTIMATORS[n].whole}
    estimates = estimate_forms(terms, by_rows)
    return {n: estimates[n] if n in estimates else forms[n](terms) for n in forms}


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
        if not (value > 0 or (value == 0 and ESTIMATORS[name].from_zero)):
            least = "0 or more" if ESTIMATORS[name].from_zero else "above 0"
            raise ValueError(f"{key} = {value} of {name} must be {least}")
        if LARGEST < value < math.inf:
            raise ValueError(
                f"{key} = {value} of {name} overflows; give at most {LARGEST:g}, or inf"
            )
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

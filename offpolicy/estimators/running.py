"""From terms to estimates: one estimator by name, or many in one reading of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.registry import ESTIMATORS, estimator, fitting
from offpolicy.estimators.terms import Terms


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

"""The difference in parts of the users: claims that hold together, and whether parts differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64
from offpolicy.intervals.multiplicity import bonferroni
from offpolicy.trials.comparing import Per
from offpolicy.trials.difference import TUNED_AT, Difference, difference
from offpolicy.trials.units import TrialUnits


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of the users."""

    name: str
    difference: Difference  # with bounds that hold for all parts together, at all looks
    claim: str  # "better", "worse", or "not shown"; Holm's over the parts
    shrunk: float  # towards the mean of the parts, by as much as their noise asks for
    shrunk_se: float


@dataclass(frozen=True, slots=True)
class Segments:
    """All parts."""

    segments: tuple[Segment, ...]
    mean: float  # of the parts, weighted by their precision
    spread: float  # standard deviation of the true differences between the parts
    p_value: float  # of "all parts have the same difference", at ONE look; nan with one part alone
    level: float

    @property
    def answer(self) -> str:
        """What may be said."""
        shown = [f"{s.name}: {s.claim}" for s in self.segments if s.claim != "not shown"]
        claims = f"shown: {', '.join(shown)}" if shown else "in no segment is a difference shown"
        if not np.isfinite(self.p_value):
            return f"too few segments to compare; {claims}"
        differ = self.p_value < 1 - self.level
        apart = "the segments differ" if differ else "no segment differs from the others"
        return f"{apart} (p = {self.p_value:.2g}, one look); {claims}"


def segment_differences(
    units: TrialUnits,
    segment: Mapping[Any, str] | NDArray[Any],
    name: str,
    *,
    level: float = 0.95,
    tuned_at: float = TUNED_AT,
    per: Per = "user",
) -> Segments:
    """Canary minus control in each segment: an array (U,) of the rows' segments, known before the
    trial and the same for all rows of a user, or {user: segment}.

    Bounds hold for all segments together at all looks (Bonferroni); claims are Holm's (1979), which
    says more. Shrunk values are empirical Bayes with the variance between segments of DerSimonian &
    Laird (1986); the p-value is that of their statistic Q, chi-square, at one look.

    Raises:
        ValueError: a user in two segments, or an array of another length.
    """
    labels = _labels(units, segment)
    names, code = np.unique(labels, return_inverse=True)
    if len(names) < 1:
        raise ValueError("there are no users, and no segments")
    parts = {str(n): units.where(code == i) for i, n in enumerate(names)}
    options: dict[str, Any] = {"tuned_at": tuned_at, "per": per}
    each = bonferroni(level, len(parts))
    together = {k: difference(p, name, level=each, **options) for k, p in parts.items()}
    claims = dict.fromkeys(parts, "not shown")
    left = list(parts)
    while left:  # Holm: whoever is excluded leaves the level to the others
        now = bonferroni(level, len(left))
        found = {k: _claim(difference(parts[k], name, level=now, **options)) for k in left}
        found = {k: v for k, v in found.items() if v}
        if not found:
            break
        claims |= found
        left = [k for k in left if k not in found]
    known = {k: d for k, d in together.items() if np.isfinite(d.se) and d.se > 0}
    value, se = (np.array([getattr(d, f) for d in known.values()]) for f in ("value", "se"))
    mean, spread, p, shrunk, error = _pooled(value, se)
    at = {k: i for i, k in enumerate(known)}
    rows = tuple(
        Segment(
            k,
            d,
            claims[k],
            float(shrunk[at[k]]) if k in at else float("nan"),
            float(error[at[k]]) if k in at else float("inf"),
        )
        for k, d in together.items()
    )
    return Segments(rows, mean, spread, p, level)


def _claim(d: Difference) -> str:
    return "better" if d.low > 0 else "worse" if d.high < 0 else ""


def _labels(units: TrialUnits, segment: Mapping[Any, str] | NDArray[Any]) -> NDArray[Any]:
    if isinstance(segment, Mapping):
        return np.array([segment.get(user, "unknown") for user in units.user.tolist()])
    labels = np.asarray(segment)
    if labels.shape != (len(units),):
        raise ValueError(f"segment has shape {labels.shape}; it is ({len(units)},), a row each")
    first = labels[units.users.first][units.users.code]
    if (first != labels).any():
        row = int((first != labels).argmax())
        raise ValueError(
            f"user {units.user[row]} is in the segments {first[row]} and {labels[row]}; a segment "
            "is known before the trial and does not change in it"
        )
    return labels


def _pooled(value: F64, se: F64) -> tuple[float, float, float, F64, F64]:
    """Mean, spread between parts, p-value, shrunk values and their standard errors."""
    from scipy.special import chdtrc

    if not len(value):
        return float("nan"), float("nan"), float("nan"), value, se
    w = se**-2.0
    mean = float(w @ value / w.sum())
    if len(value) == 1:
        return mean, float("nan"), float("nan"), value, se
    q, freedom = float(w @ (value - mean) ** 2), len(value) - 1
    between = max((q - freedom) / float(w.sum() - (w @ w) / w.sum()), 0.0)
    v = 1 / (se**2 + between)
    centre, error = float(v @ value / v.sum()), float(v.sum()) ** -0.5
    kept = between * v
    shrunk = centre + kept * (value - centre)
    spread = np.sqrt(kept * se**2 + (1 - kept) ** 2 * error**2)
    return centre, float(np.sqrt(between)), float(chdtrc(freedom, q)), shrunk, spread

"""What an estimator is: a sum of ratios of sums over rows. All statistics follow from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64, I64, Terms

COLUMNS = ("weight", "reward", "q_logged", "v_target", "weight_before", "discount")


class Rows:
    """Consecutive rows of Terms, as views; their layout is computed on first use."""

    __slots__ = ("_rows", "_terms", *COLUMNS)
    weight: F64
    reward: F64
    q_logged: F64
    v_target: F64
    weight_before: F64
    discount: F64

    def __init__(self, terms: Terms, rows: slice) -> None:
        self._terms, self._rows = terms, rows
        for name in COLUMNS:
            setattr(self, name, getattr(terms, name)[rows])

    def copy(self) -> Rows:
        """The same rows, to change a column of."""
        return Rows(self._terms, self._rows)

    @property
    def row_weight(self) -> F64 | None:
        """How often the row counts; None where each counts once."""
        h = self._terms.row_weight
        return None if h is None else h[self._rows]

    @property
    def first(self) -> NDArray[np.bool_]:
        """The row opens its session."""
        return self._terms.layout.first[self._rows]

    @property
    def last(self) -> NDArray[np.bool_]:
        """The row closes its session."""
        return self._terms.layout.last[self._rows]

    @property
    def stratum(self) -> I64:
        """Step or position, 0..T-1."""
        return self._terms.layout.strata[0][self._rows]

    @property
    def n_strata(self) -> int:
        """T."""
        return self._terms.layout.strata[1]

    @property
    def staged(self) -> bool:
        """Sessions or slates, several rows each; else every row is a decision of its own."""
        return is_staged(self._terms)


class Ratio(NamedTuple):
    """sum(top) / sum(bottom) over rows; with `staged`, one such ratio a stratum, added up.

    A session that ended before a stratum still belongs to its bottom: there it counts with `carry`,
    the value on its last row. Without a bottom the ratio is a mean over rows.
    """

    top: F64
    bottom: F64 | None = None
    staged: bool = False
    carry: F64 | None = None


class Form(NamedTuple):
    """An estimator on some rows: value = sum of its ratios.

    `used` are the weights an estimator really used where it changed them, `residual` what they
    multiply: from these comes the bound on the bias. Without `weighs` it has a value where no
    weight is left.
    """

    ratios: tuple[Ratio, ...]
    used: F64 | None = None
    residual: F64 | None = None
    weighs: bool = True


class Lost(NamedTuple):
    """What the used weights miss of the true ones, which average 1, over the rows seen so far."""

    rows: float = 0.0  # 0 where no weight was changed
    used: float = 0.0
    gained: float = 0.0  # where the used weight is above the true one …
    cut: float = 0.0  # … and below it
    low: float = np.inf  # what the weights multiply
    high: float = -np.inf

    def and_of(self, form: Form, t: Rows) -> Lost:
        """With some more rows."""
        if form.used is None or form.residual is None:
            return self
        change, h = form.used - t.weight, t.row_weight
        h = np.ones(len(change)) if h is None else h
        return self.with_(
            Lost(
                float(h.sum()),
                float((h * form.used).sum()),
                float((h * np.maximum(change, 0)).sum()),
                -float((h * np.minimum(change, 0)).sum()),
                float(form.residual.min()),
                float(form.residual.max()),
            )
        )

    def with_(self, other: Lost) -> Lost:
        """Two shards together."""
        a, b = self, other
        return Lost(
            a.rows + b.rows, a.used + b.used, a.gained + b.gained, a.cut + b.cut,
            min(a.low, b.low), max(a.high, b.high),
        )  # fmt: skip

    def bounds(self) -> tuple[float, float]:
        """Truth minus expectation: what is missed of 1 times the rewards seen."""
        if not self.rows:
            return 0.0, 0.0
        gained = self.gained / self.rows
        lost = 1 - self.used / self.rows + gained
        if lost <= 0:  # this sample's weights average more than 1: what it cut is the better guess
            lost = self.cut / self.rows
        low = min(lost * self.low, 0.0) - max(gained * self.high, 0.0)
        high = max(lost * self.high, 0.0) - min(gained * self.low, 0.0)
        return min(low, high), max(low, high)

    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """By how much the means of `missed` and of `gained` move each bound of the truth."""
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        return (low, -high), (high, -low)

    def gaps(self) -> tuple[float, float]:
        """By how much the bounds of the truth lie beside the value."""
        more = self.gained / self.rows
        cut = 1 - self.used / self.rows + more
        low, high = (a * cut + b * more for a, b in self.ends())
        return low, high

    def moved(self, form: Form, t: Rows) -> tuple[F64 | None, F64 | None]:
        """What a unit of mass on each of some rows adds to `gaps`; None where nothing."""
        if form.used is None or not self.rows:
            return None, None
        more: F64 | float = np.maximum(form.used - t.weight, 0) if self.gained else 0.0
        share = (1.0 if t.row_weight is None else t.row_weight) / self.rows
        moved = []
        for (a, b), gap in zip(self.ends(), self.gaps(), strict=True):
            nothing = a == 0 and (b == 0 or not self.gained)
            row = None if nothing else (a * (1 - form.used + more) + b * more - gap) * share
            moved.append(row)
        return moved[0], moved[1]


FormOf = Callable[[Rows], Form]


def missed(form_of: FormOf) -> FormOf:
    """Mean of 1 - used + gained: what the used weights cut, of the true ones that average 1."""

    def form(t: Rows) -> Form:
        used = form_of(t).used
        assert used is not None
        return Form((Ratio(1 - used + np.maximum(used - t.weight, 0)),), weighs=False)

    return form


def gained(form_of: FormOf) -> FormOf:
    """Mean of what the used weights are above the true ones."""

    def form(t: Rows) -> Form:
        used = form_of(t).used
        assert used is not None
        return Form((Ratio(np.maximum(used - t.weight, 0)),), weighs=False)

    return form


def with_bounds(probe: Rows, forms: Mapping[str, FormOf]) -> dict[str, FormOf]:
    """The forms, and for each that changes its weights what bounds its bias, named by
    `bound_names`."""
    more: dict[str, FormOf] = {}
    for name, form_of in forms.items():
        if form_of(probe).used is not None:
            for key, of in zip(bound_names(name), (missed, gained), strict=True):
                more[key] = of(form_of)
    return {**forms, **more}


def bound_names(name: str) -> tuple[str, str]:
    """Keys of an estimator's `missed` and `gained`."""
    return f"({name} missed)", f"({name} gained)"


def with_row_weights(t: Terms, forms: Mapping[str, FormOf]) -> dict[str, FormOf]:
    """The forms with every row counted as often as its row weight says: tops, bottoms and what
    sessions carry on. Horvitz & Thompson (1952), Hajek (1971) for sum(h x) / sum(h)."""
    if t.row_weight is None:
        return dict(forms)
    return {name: _weighted(form_of) for name, form_of in forms.items()}


def _weighted(form_of: FormOf) -> FormOf:
    def form(t: Rows) -> Form:
        plain, h = form_of(t), t.row_weight
        assert h is not None
        ratios = [
            r._replace(
                top=h * r.top,
                bottom=h if r.bottom is None else h * r.bottom,
                carry=None if r.carry is None else h * r.carry,
            )
            for r in plain.ratios
        ]
        return plain._replace(ratios=tuple(ratios))

    return form


def per_session(t: Rows) -> F64:
    """A bottom that counts sessions (slates); decisions where rows are decisions of their own."""
    return t.first.astype(np.float64)


def is_staged(t: Terms) -> bool:
    """The terms speak of sessions or slates, several rows each."""
    return t.rows != "decisions"

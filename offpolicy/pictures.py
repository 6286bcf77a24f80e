"""Pictures of evidence as matplotlib figures, and their PNG bytes for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.doctor.clock_checks import daily_means
from offpolicy.doctor.times import seconds
from offpolicy.estimators.terms import F64, Terms
from offpolicy.intervals.inference import Interval
from offpolicy.line import Line
from offpolicy.log.dataset import LoggedDataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREY = "#2c6fbb", "#c0392b", "#888888"


class _Canvas(NamedTuple):
    figure: Figure
    axes: Axes


class Estimates(Protocol):
    """What a forest plot reads of a report."""

    @property
    def lines(self) -> Sequence[Line]: ...
    @property
    def baseline(self) -> Interval: ...
    @property
    def estimand(self) -> str: ...
    @property
    def horizon(self) -> str: ...


def forest(report: Estimates, truth: float | None = None) -> Figure:
    """Every estimate with its interval, the logging policy's value, and the truth if known."""
    c = _canvas(6.4, 0.8 + 0.35 * len(report.lines))
    for y, line in enumerate(report.lines):
        i = line.value
        c.axes.plot([i.low, i.high], [y, y], color=GREY if line.biased else BLUE, lw=2)
        c.axes.plot(i.value, y, "o", color=GREY if line.biased else BLUE, ms=5)
    c.axes.axvline(report.baseline.value, color="black", lw=1, ls=":", label="logging policy")
    if truth is not None:
        c.axes.axvline(truth, color=RED, lw=1.5, label="truth")
    names = [x.estimator + (" (biased)" if x.biased else "") for x in report.lines]
    c.axes.set_yticks(range(len(names)), names)
    c.axes.invert_yaxis()
    c.axes.set_xlabel(f"{report.estimand} ({report.horizon})", fontsize=8)
    c.axes.legend(fontsize=8, frameon=False)
    return c.figure


def weight_histogram(terms: Terms) -> Figure:
    """How often weights of each size occur, and the share of all weight they carry."""
    c = _canvas()
    w = terms.weight[terms.weight > 0]
    if not w.size:
        raise ValueError("all weights are 0: there is no histogram of them")
    edges = np.geomspace(max(float(w.min()), 1e-6), max(float(w.max()), 1e-5) * 1.001, 40)
    for values, label, colour in ((None, "rows", BLUE), (w, "weight they carry", RED)):
        share, _ = np.histogram(w, edges, weights=values)
        c.axes.stairs(share / max(share.sum(), 1e-300), edges, label=label, color=colour)
    c.axes.axvline(1, color="black", lw=1, ls=":")
    c.axes.set(xscale="log", xlabel="weight", ylabel="share")
    zero = float((terms.weight == 0).mean())
    c.axes.set_title(f"{zero:.1%} of rows have weight 0; the largest is {w.max():.3g}", fontsize=9)
    c.axes.legend(fontsize=8, frameon=False)
    return c.figure


def per_day(log: LoggedDataset, time: ArrayLike) -> Figure:
    """Mean reward of each day with two standard errors; `time` (N,) in seconds or as datetimes."""
    c = _canvas()
    days, mean, se = daily_means(log.reward, seconds(time))
    c.axes.errorbar(days, mean, 2 * se, fmt="o-", color=BLUE, capsize=3)
    c.axes.set(xlabel="day", ylabel="mean reward")
    return c.figure


def reliability(log: LoggedDataset, bins: int = 15) -> Figure:
    """Frequency of what was shown first against its logged probability, both axes logarithmic.

    Raises:
        ValueError: the log carries no candidate_propensity.
    """
    if log.candidate_propensity is None:
        raise ValueError("a reliability diagram needs candidate_propensity, the full distribution")
    p = log.candidate_propensity
    ids = np.arange(log.n_items)[None, :] if log.candidates is None else log.candidates
    hit = ids == log.slate[:, :1]
    live = p > 0
    edges = np.geomspace(float(p[live].min()) * 0.999, 1.0001, bins + 1)
    cell = np.digitize(p[live], edges) - 1
    n = np.bincount(cell, minlength=bins).astype(np.float64)
    filled = n > 0
    logged = np.bincount(cell, p[live], bins)[filled] / n[filled]
    shown = np.bincount(cell, hit[live], bins)[filled] / n[filled]
    c = _canvas(4.6, 4.4)
    error = 2 * np.sqrt(logged * (1 - logged) / n[filled])
    c.axes.errorbar(logged, shown, error, fmt="o", color=BLUE, capsize=2)
    c.axes.plot(edges[[0, -1]], edges[[0, -1]], color="black", lw=1, ls=":")
    c.axes.set(xscale="log", yscale="log", xlabel="logged probability", ylabel="share shown")
    return c.figure


def error_against_size(sizes: Sequence[int], errors: Mapping[str, F64]) -> Figure:
    """Root mean squared error of each estimator over log sizes, both axes logarithmic."""
    c = _canvas()
    for name, rmse in errors.items():
        c.axes.plot(sizes, rmse, "o-", ms=3, label=name)
    c.axes.set(xscale="log", yscale="log", xlabel="decisions in the log", ylabel="RMSE")
    c.axes.legend(fontsize=8, frameon=False)
    return c.figure


def png(figure: Figure, *, dpi: int = 130) -> bytes:
    """The figure as a PNG file's contents."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    return content.getvalue()


def _canvas(width: float = 6.4, height: float = 3.4) -> _Canvas:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return _Canvas(figure, figure.add_subplot())

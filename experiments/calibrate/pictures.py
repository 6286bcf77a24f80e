"""Pictures of a fidelity report: real beside simulated."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from experiments.calibrate.fidelity import Lists, popularity_share, transitions
from experiments.common.pictures import COLOURS, INK, one_panel

REAL, FAKE = INK, COLOURS[1]


def popularity_curve(real: Lists, fake: Lists, n_items: int) -> Figure:
    """Share of consumption by rank of the item, both axes logarithmic."""
    figure, axes = one_panel(6.0, 3.6)
    for lists, colour, name in ((real, REAL, "real"), (fake, FAKE, "simulated")):
        share = np.sort(popularity_share(lists, n_items))[::-1]
        share = share[share > 0]
        axes.loglog(np.arange(1, len(share) + 1), share, color=colour, label=name, lw=1.6)
    return labelled(figure, axes, "rank of the item", "share of all consumption")


def session_lengths(real: Lists, fake: Lists) -> Figure:
    """Share of users with at least so many items."""
    figure, axes = one_panel(6.0, 3.6)
    for lists, colour, name in ((real, REAL, "real"), (fake, FAKE, "simulated")):
        length = np.sort([len(items) for items in lists])
        axes.step(
            length, 1 - np.arange(len(length)) / len(length), color=colour, label=name, lw=1.6
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    return labelled(figure, axes, "items of a user", "share of users with as many or more")


def topic_pairs(real: Lists, fake: Lists, topics: NDArray[np.integer]) -> Figure:
    """From topic (row) to topic (column), the 12 most frequent, real and simulated."""
    n = int(topics.max()) + 1
    tables = [transitions(lists, topics, n) for lists in (real, fake)]
    top = np.argsort(-tables[0].sum(1))[:12]
    top_value = max(float(t[np.ix_(top, top)].max()) for t in tables)
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    for place, (table, name) in enumerate(zip(tables, ("real", "simulated"), strict=True)):
        axes = figure.add_subplot(1, 2, place + 1)
        drawn = axes.imshow(table[np.ix_(top, top)], cmap="Blues", vmin=0, vmax=top_value)
        axes.set_title(name, fontsize=10)
        axes.set_xticks(range(len(top)), [str(z) for z in top], fontsize=7)
        axes.set_yticks(range(len(top)), [str(z) for z in top], fontsize=7)
        axes.set_xlabel("next topic", fontsize=8)
        axes.set_ylabel("topic", fontsize=8)
    figure.colorbar(drawn, ax=figure.axes, shrink=0.8, label="share of all pairs")
    return figure


def attention(share: NDArray[np.floating], error: NDArray[np.floating]) -> Figure:
    """How well each place is seen, with 95 % intervals."""
    figure, axes = one_panel(6.0, 3.6)
    places = np.arange(1, len(share) + 1)
    axes.errorbar(places, share, yerr=1.96 * error, fmt="o-", color=REAL, capsize=3, ms=5)
    axes.set_xticks(places)
    axes.set_ylim(bottom=0)
    return labelled(figure, axes, "place", "click rate against the best place")


def labelled(figure: Figure, axes: Any, x: str, y: str) -> Figure:
    """The figure with its axes named and a legend where there is one to show."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)
    return figure

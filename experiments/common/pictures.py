"""Pictures of finished runs as matplotlib figures of one style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from offpolicy.page.colours import LIGHT, hex_colours

Row = Mapping[str, Any]

INK, GRID, TRUTH = "#1d2733", "#d9dee5", "#111111"
COLOURS = LIGHT  # of what is no policy; policies have theirs by name (`hex_colours`)
VERDICT = {"pass": "#2a9d62", "fail": "#bb3355", "cannot tell": "#8a94a0"}


def learning_curves(curves: Sequence[Row]) -> Figure:
    """Return per session on the same held-out users while policies learn, with 95 % bands.

    curves: rows of policy, decisions, value, low, high.
    """
    figure, axes = one_panel(7.5, 4.0)
    names = list(dict.fromkeys(row["policy"] for row in curves))
    for name, colour in hex_colours(names).items():
        rows = [row for row in curves if row["policy"] == name]
        x = [row["decisions"] / 1000 for row in rows]
        axes.plot(
            x, [r["value"] for r in rows], "o-", color=colour, label=letters(name), ms=3.5, lw=1.6
        )
        axes.fill_between(
            x, [r["low"] for r in rows], [r["high"] for r in rows], color=colour, alpha=0.15, lw=0
        )
    axes.set_xlabel("decisions learned from (thousands)")
    axes.set_ylabel("return per session")
    axes.legend(frameon=False, fontsize=8)
    return figure


def estimates_against_truth(rows: Sequence[Row]) -> Figure:
    """Each candidate's estimated value with its interval, and what it was really worth.

    rows: policy, verdict, estimate, low, high, trusted, truth, truth_low, truth_high; an estimate
    that is not to be trusted is not drawn.
    """
    figure, axes = one_panel(7.5, 0.9 + 0.42 * len(rows))
    for place, row in enumerate(reversed(rows)):
        colour = VERDICT.get(str(row["verdict"]).lower(), "#3366aa")
        if row["trusted"]:
            axes.plot([row["low"], row["high"]], [place, place], color=colour, lw=5, alpha=0.45)
            axes.plot(row["estimate"], place, "o", color=colour, ms=6)
        axes.plot([row["truth_low"], row["truth_high"]], [place, place], color=TRUTH, lw=1.2)
        axes.plot(row["truth"], place, "d", color=TRUTH, ms=5)
    axes.set_yticks(range(len(rows)), [letters(row["policy"]) for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("return per session")
    _clip_to_truth(axes, rows)
    handles = [_handle("d", TRUTH, "truth in the world")]
    handles += [_handle("o", c, f"estimate, verdict {v}") for v, c in VERDICT.items()]
    figure.legend(handles=handles, frameon=False, fontsize=8, loc="outside lower center", ncols=4)
    return figure


def reward_by_step(series: Mapping[str, Sequence[float]]) -> Figure:
    """Mean reward at each step of a session; users who left count 0. The first is the baseline."""
    figure, axes = one_panel(7.5, 4.0)
    first, *others = series
    colours = {first: TRUTH} | hex_colours(others)
    for name, values in series.items():
        style, colour = "--" if name == first else "-", colours[name]
        axes.plot(
            range(1, len(values) + 1), values, style, color=colour, label=letters(name), lw=1.6
        )
    axes.set_xlabel("step of the session")
    axes.set_ylabel("reward per user who came")
    axes.legend(frameon=False, fontsize=8)
    return figure


def letters(name: object) -> str:
    """A name as it is: matplotlib reads formulas between dollar signs, and keeps labels that begin
    with an underscore out of legends."""
    text = str(name).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def one_panel(width: float, height: float) -> tuple[Figure, Any]:
    """A figure of one panel, and its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def _clip_to_truth(axes: Any, rows: Sequence[Row]) -> None:
    """Intervals far wider than the truths would hide them: show three spans around the truths."""
    low = min(row["truth_low"] for row in rows)
    high = max(row["truth_high"] for row in rows)
    room = max(high - low, 1e-9)
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, low - room), min(right, high + room))


def _handle(marker: str, colour: str, label: str) -> Any:
    return Line2D([], [], marker=marker, color=colour, ls="", label=label, ms=5)

"""The timeline of the loop as one picture: value by day, shares of versions, and what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.common.pictures import COLOURS, GRID, INK, TRUTH
from experiments.live.lines import Name

Record = dict[str, Any]
LINE: dict[Name, tuple[str, str, str]] = {  # name in the picture, colour, style
    "loop": ("the loop", COLOURS[0], "-"),
    "never": ("never learn again", "#777777", "--"),
    "at_once": ("promote at once", COLOURS[1], ":"),
    "watched": ("promote at once, roll back at an alarm", COLOURS[3], "-."),
}
MARK = {  # of what happened: marker, colour, row from above, name
    "learnt": ("o", COLOURS[3], 0, "learnt"),
    "weigh": ("^", COLOURS[0], 1, "canary grows"),
    "promote": ("*", COLOURS[2], 2, "promoted"),
    "rollback": ("X", COLOURS[4], 3, "taken back"),
    "given up": ("X", COLOURS[7], 3, "given up"),
    "alarm": ("D", COLOURS[8], 4, "alarm"),
}


MARK_SIZE = {"*": 14}


def timeline(
    lines: Mapping[Name, Sequence[Record]],
    happened: Sequence[Record],
    names: Mapping[str, str],
    *,
    event: tuple[int, str] | None,
    narrow: bool = False,
) -> Figure:
    """lines: days of each line, the loop's first. event: its day, and what it is called."""
    size = (4.3, 8.2) if narrow else (10.5, 6.4)
    figure = Figure(figsize=size, layout="constrained")
    value, share, marks = figure.subplots(3, 1, sharex=True, height_ratios=(3.2, 1.5, 1.4))
    for axes in (value, share, marks):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
        axes.grid(color=GRID, lw=0.7, axis="both" if axes is value else "x")
        axes.set_axisbelow(True)
        if event is not None:
            axes.axvline(event[0], color=TRUTH, lw=1, ls=(0, (4, 3)))
    _values(value, lines)
    if event is not None:
        low = value.get_ylim()[0]
        value.annotate(
            event[1], (event[0], low), (4, 4), textcoords="offset points",
            va="bottom", fontsize=8.5, color=TRUTH,
        )  # fmt: skip
    _shares(share, lines["loop"], names, narrow)
    _marks(marks, happened)
    marks.set_xlabel("simulated day")
    marks.set_xlim(0, len(lines["loop"]))
    marks.xaxis.set_major_locator(MaxNLocator(10 if narrow else 20, integer=True))
    return figure


def _values(axes: Any, lines: Mapping[Name, Sequence[Record]]) -> None:
    for name, days in lines.items():
        label, colour, style = LINE[name]
        x = np.array([r["day"] + 0.5 for r in days])
        y, low, high = (np.array([r[k] for r in days], float) for k in ("value", "low", "high"))
        main = name == "loop"
        axes.plot(x, y, style, color=colour, lw=2 if main else 1.4, label=label,
                  zorder=3 if main else 2)  # fmt: skip
        axes.fill_between(x, low, high, color=colour, alpha=0.2 if main else 0.1, lw=0)
    axes.set_ylabel("reward per session")
    axes.margins(y=0.16)
    axes.legend(frameon=False, fontsize=8.5, loc="upper left")


def _shares(axes: Any, days: Sequence[Record], names: Mapping[str, str], narrow: bool) -> None:
    served = [v for v in names if any(v in r["versions"] for r in days)]
    counts = np.array([[r["versions"].get(v, {}).get("sessions", 0) for r in days] for v in served])
    part = counts / np.maximum(counts.sum(axis=0), 1)
    x = np.arange(len(days) + 1)
    bottom = np.zeros(len(days))
    for nth, version in enumerate(served):
        colour = COLOURS[nth % len(COLOURS)]
        heights = bottom + part[nth]
        axes.fill_between(
            x, np.append(bottom, bottom[-1]), np.append(heights, heights[-1]),
            step="post", color=colour, alpha=0.75, lw=0, label=names[version],
        )  # fmt: skip
        middle = int(part[nth].argmax())
        axes.text(
            middle + 0.5, float(bottom[middle] + part[nth][middle] / 2), names[version],
            ha="center", va="center", fontsize=8.5, color="white", weight="bold",
        )  # fmt: skip
        bottom = heights
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_ylabel("sessions" if narrow else "sessions\nby version")


def _marks(axes: Any, happened: Sequence[Record]) -> None:
    rows = {row: name for _, _, row, name in MARK.values()}
    rows[3] = "taken back, given up"
    for one in happened:
        if one["kind"] in MARK:
            marker, colour, row, _ = MARK[one["kind"]]
            axes.plot(one["day"], row, marker, color=colour, ms=MARK_SIZE.get(marker, 8),
                      mec="white", mew=0.6,
                      clip_on=False, zorder=3)  # fmt: skip
    axes.set_yticks(list(rows), list(rows.values()))
    axes.set_ylim(max(rows) + 0.6, -0.6)

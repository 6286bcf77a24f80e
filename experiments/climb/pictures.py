"""The climb as a picture: value served by round, and stated bounds against realised uplifts."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.common.pictures import COLOURS, GRID, INK, TRUTH
from experiments.study.tables import over_seeds

F64 = NDArray[np.float64]


def climb_picture(values: F64, low: F64, realised: F64, level: float) -> Figure:
    """values (seeds, rounds + 1): what served, and what serves after the last round. low and
    realised (steps,): stated bounds and realised uplifts of all steps taken."""
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.grid(color=GRID, lw=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
    rounds = np.arange(1, values.shape[1] + 1)
    for climb in values:
        left.plot(rounds, climb, color=COLOURS[0], lw=0.6, alpha=0.35)
    over = [over_seeds(values[:, n], level) for n in range(values.shape[1])]
    left.plot(rounds, [i.value for i in over], "o-", color=COLOURS[0], ms=3.5, lw=1.8)
    left.fill_between(
        rounds, [i.low for i in over], [i.high for i in over], color=COLOURS[0], alpha=0.2, lw=0
    )
    left.axhline(over[0].value, color=TRUTH, lw=1, ls="--", label="behaviour: never stepping")
    left.set_xticks(rounds)
    left.set_xlabel("round (the last: what the climb leaves)")
    left.set_ylabel("return per session served")
    left.legend(frameon=False, fontsize=8, loc="lower right")
    ends = [min([0.0, *low, *realised]), max([*low, *realised], default=1.0)]
    right.plot(ends, ends, color=TRUTH, lw=1, ls="--", label="realised = stated bound")
    right.plot(low, realised, "o", color=COLOURS[1], ms=3.5, alpha=0.7)
    right.set_xlabel("stated lower bound of the uplift")
    right.set_ylabel("realised uplift")
    right.legend(frameon=False, fontsize=8, loc="lower right")
    return figure

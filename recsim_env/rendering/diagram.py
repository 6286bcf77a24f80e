"""How a decision goes in a world, drawn with the names that its user model gives to things."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from recsim_env.rendering.trace import KERNEL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, PALE = "#1d2733", "#8a94a0"
WORLD, AGENT = "#eaf0f8", "#fbf1e6"  # fill of what the world does, and of what the agent does
WIDE, HIGH, LETTERS = 0.265, 0.36, 38  # of a box, in shares of the figure; letters of a line
CHOICES = {
    "multinomial_logit": "one item, or none, in proportion to exp(score)",
    "proportional": "one item, or none, in proportion to its score",
    "independent": "each position by itself, or by a cascade",
}


class Box(NamedTuple):
    """A step of the loop."""

    x: float  # centre, as the share of the figure
    y: float
    title: str
    text: str
    fill: str = WORLD


def world_diagram(env: Any) -> Figure:
    """The loop of a world as a figure: who comes, what is observed, what is served, how the user
    chooses, what moves after it, and when the session ends.

    env: an environment of this package, of one user or a vector, under any wrappers.
    """
    from matplotlib.figure import Figure

    core = getattr(env.unwrapped, "vector", env.unwrapped)
    figure = Figure(figsize=(10.0, 3.9), dpi=100)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    boxes = _boxes(core)
    for box in boxes:
        _draw_box(axes, box)
    for begin, end in pairwise(boxes):
        _draw_arrow(axes, begin, end)
    _draw_arrow(axes, boxes[-1], boxes[1], "stays")
    return figure


def _boxes(core: Any) -> list[Box]:
    """The six steps, clockwise: three above, three below."""
    state = [_field(n, core.live.users.dtype[n]) for n in core.live.users.dtype.names]
    hidden = ", ".join(x for x in state if x)
    offered = f"{core.n_candidates} candidates of" if core.n_candidates else "all"
    seen = f"the last {core.history_length} items and {', '.join(core.response_names)}; user: "
    seen += f"{_some(core.user_names)}; {offered} {core.n_items} items"
    limit = "" if core.max_steps is None else f"; cut off after {core.max_steps} decisions"
    left, middle, right, top, bottom = 0.155, 0.5, 0.845, 0.75, 0.25
    return [
        Box(left, top, "sample: a user comes", f"hidden state: {hidden}"),
        Box(middle, top, "observe", seen),
        Box(right, top, "the agent", f"a slate of {core.slate_size}, best first", AGENT),
        Box(right, bottom, "respond: the user chooses", CHOICES[core.model.choice] + "; pays"),
        Box(middle, bottom, "advance: the state moves", "by what was taken, and by time"),
        Box(left, bottom, "leaves?", f"by what the state is now{limit}"),
    ]


def _field(name: str, dtype: Any) -> str:
    if name in KERNEL:
        return ""
    return f"{name} ({', '.join(map(str, dtype.shape))})" if dtype.shape else name


def _some(names: tuple[str, ...]) -> str:
    """The names, or the first and the last of many."""
    return ", ".join(names) if len(names) <= 6 else f"{names[0]}, …, {names[-1]} ({len(names)})"


def _draw_box(axes: Any, box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (box.x - WIDE / 2, box.y - HIGH / 2)
    axes.add_patch(
        FancyBboxPatch(corner, WIDE, HIGH, "round,pad=0,rounding_size=0.02", fc=box.fill, ec=PALE)
    )
    left = box.x - WIDE / 2 + 0.012
    top = box.y + HIGH / 2
    axes.text(left, top - 0.04, box.title, weight="bold", fontsize=10, color=INK, va="top")
    text = textwrap.fill(box.text, LETTERS)
    axes.text(left, top - 0.125, text, fontsize=8.5, color=INK, va="top", linespacing=1.35)


def _draw_arrow(axes: Any, begin: Box, end: Box, label: str = "") -> None:
    """From the edge of one box to that of the next, which is beside, below, or diagonal of it."""
    across, down = end.x - begin.x, end.y - begin.y
    sideways, upright = abs(across) > 0.01, abs(down) > 0.01
    step_x = WIDE / 2 * (1 if across > 0 else -1) if sideways else 0.0
    step_y = HIGH / 2 * (1 if down > 0 else -1) if upright else 0.0
    start, stop = (begin.x + step_x, begin.y + step_y), (end.x - step_x, end.y - step_y)
    style = {"arrowstyle": "-|>", "color": INK, "lw": 1.4, "shrinkA": 2, "shrinkB": 2}
    axes.annotate("", stop, start, arrowprops=style)
    if label:
        middle = ((start[0] + stop[0]) / 2 - 0.012, (start[1] + stop[1]) / 2)
        axes.text(*middle, label, ha="right", va="bottom", fontsize=9, color=INK)

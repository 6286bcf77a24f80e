"""A session as a picture: slates and choices over time, rewards, and the traces of the state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.rendering.trace import Trace, as_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT, DOTS = 9.0, 7.0, 100  # inches, inches, pixels an inch
SHOWN = 60  # decisions that are drawn
LINES, MAPS, WIDEST = 5, 2, 256  # panels of each kind at most; entries of a vector that is drawn
NAMED = 24  # decisions up to which every item's topic is written into its square
INK, PALE, GRID, LINE = "#1d2733", "#8a94a0", "#d9dee5", "#3366aa"
STRONG, FAINT = 0.85, 0.35  # opacity of an item that was taken, and that was only shown


def session_picture(trace: Trace, last: int = SHOWN) -> Figure:
    """One user's session as a figure, steps from left to right; of a longer one the last steps.

    Above, the slates: a column a step, the first position on top, a square an item in the colour
    (and with the number) of its topic; what was taken is framed. Below it the reward of each step,
    then a line for each number of the user's state that moved, and a map for each vector of it.

    last: how many steps, at least 1; ValueError otherwise.
    """
    from matplotlib.figure import Figure

    if last < 1:
        raise ValueError(f"last = {last}: give the number of steps to draw, at least 1")
    first = max(len(trace) - last, 0)
    numbers = {name: as_numbers(values)[first:] for name, values in trace.state.items()}
    moving = {n: x for n, x in numbers.items() if x.shape[1] <= WIDEST and np.ptp(x, axis=0).any()}
    lines = [(n, x[:, 0]) for n, x in moving.items() if x.shape[1] == 1][:LINES]
    maps = [(n, x) for n, x in moving.items() if x.shape[1] > 1][:MAPS]
    k = trace.slates.shape[1]
    ratios = [max(1.0, 0.45 * k), 0.9, *[0.8] * len(lines), *[1.3] * len(maps)]
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DOTS, layout="constrained")
    grid = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)
    slates, rewards, *rest = grid[:, 0]
    drawn = {name for name, _ in (*lines, *maps)}
    figure.suptitle(_title(trace, drawn), fontsize=10, color=INK, x=0.01, ha="left")
    _draw_slates(slates, trace, first)
    _draw_rewards(rewards, trace, first)
    for (name, values), panel in zip(lines, rest, strict=False):
        panel.plot(range(first, len(trace) + 1), values, color=LINE, lw=1.6)
        _label(panel, name)
    for (name, values), panel in zip(maps, rest[len(lines) :], strict=True):
        _draw_map(panel, name, values, first)
    _draw_steps(grid[-1, 0], first, len(trace))
    return figure


def pixels_of(trace: Trace) -> NDArray[np.uint8]:
    """The picture as pixels (H, W, 3), of one size however long the session is."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(session_picture(trace))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def topic_colour(topic: int, n_topics: int) -> tuple[float, float, float]:
    """A topic's colour (red, green, blue), 0..1 each: hues evenly around the wheel, every other one
    darker, so that neighbours differ."""
    hue, dark = topic / max(n_topics, 1), 0.75 if topic % 2 else 1.0
    wave = (0.5 + 0.4 * math.cos(2 * math.pi * (hue + third / 3)) for third in range(3))
    red, green, blue = (dark * x for x in wave)
    return red, green, blue


def _title(trace: Trace, drawn: set[str]) -> str:
    end = trace.end or "the session goes on"
    left_out = [name for name in trace.state if name not in drawn]
    lines = [
        f"{trace.world}: {len(trace)} steps, reward {trace.reward.sum():.1f}; {end}",
        "items are in the colour of their topic; framed: taken",
    ]
    if left_out and len(trace):
        lines.append(f"did not move, or is too long to be drawn: {', '.join(left_out)}")
    return "\n".join(lines)


def _draw_slates(axes: Any, trace: Trace, first: int) -> None:
    topics, n_topics = trace.catalogue.topics, trace.catalogue.n_topics
    k = trace.slates.shape[1]
    rows = [
        (t + 1, place, int(topics[item]), item == trace.consumed[t])
        for t in range(first, len(trace))
        for place, item in enumerate(trace.slates[t])
        if item >= 0
    ]
    steps, bottoms = [row[0] for row in rows], [row[1] + 0.57 for row in rows]
    fills = [
        (*topic_colour(topic, n_topics), STRONG if taken else FAINT) for _, _, topic, taken in rows
    ]
    edges = [1.6 if taken else 0.0 for *_, taken in rows]
    axes.bar(steps, 0.86, 0.86, bottoms, color=fills, edgecolor=INK, linewidth=edges)
    for step, place, topic, taken in rows if len(trace) - first <= NAMED else ():
        axes.text(
            step, place + 1, str(topic), ha="center", va="center", fontsize=7, color=INK,
            weight="bold" if taken else "normal",
        )  # fmt: skip
    axes.set_ylim(k + 0.6, 0.4)
    axes.set_yticks(range(1, k + 1))
    _label(axes, "position", grid=False)


def _draw_rewards(axes: Any, trace: Trace, first: int) -> None:
    axes.bar(np.arange(first, len(trace)) + 1, trace.reward[first:], 0.86, color=PALE)
    _label(axes, "reward")


def _draw_map(axes: Any, name: str, values: NDArray[np.float64], first: int) -> None:
    """Entries from top to bottom, steps from left to right; 0 is white (negative: blue to red)."""
    low, high = float(values.min()), float(values.max())
    most, signed = max(-low, high), low < 0
    axes.imshow(
        values.T, aspect="auto", interpolation="nearest", cmap="RdBu_r" if signed else "Blues",
        vmin=-most if signed else 0.0, vmax=most,
        extent=(first - 0.5, first + len(values) - 0.5, values.shape[1] - 0.5, -0.5),
    )  # fmt: skip
    _label(axes, f"{name}\n{values.shape[1]} entries\n{low:.2g} to {high:.2g}", grid=False)
    axes.set_yticks([])


def _draw_steps(axes: Any, first: int, steps: int) -> None:
    axes.set_xlim(first - 0.5, max(steps, first + 1) + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("decisions made", fontsize=9, color=INK)


def _label(axes: Any, name: str, *, grid: bool = True) -> None:
    axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, color=INK)
    axes.tick_params(colors=INK, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(color=GRID, lw=0.6)
        axes.set_axisbelow(True)

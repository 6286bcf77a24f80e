"""Scales and ticks of a chart, and its frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

WIDE, NARROW = 720.0, 360.0
LARGEST, LEAST = 1e300, 1e-300  # values that are told apart, and their differences
PLAIN = 1e9  # from here on, and below 1e-6, numbers have powers of ten


class Axis(NamedTuple):
    """A linear scale from values to pixels."""

    low: float
    high: float
    start: float  # pixels at `low`
    end: float  # pixels at `high`

    def at(self, value: float) -> float:
        """Pixels of a value; those outside stand at the edge."""
        span = (self.high - self.low) or 1.0
        share = min(max((value - self.low) / span, 0.0), 1.0)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` + 1 round numbers in [low, high]: steps of 1, 2 or 5 times a power of ten."""
    span = (high - low) or 1.0
    rough = span / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def label(value: float, step: float) -> str:
    """A tick's number with as many digits as its step needs."""
    if abs(value) >= PLAIN or 0 < step < 1e-6:
        return f"{value:.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{value + 0.0:,.{digits}f}"


def bounds(
    values: Iterable[float], *, zero: bool = False, room: float = 0.04
) -> tuple[float, float]:
    """The range of what is finite, with a little room; `zero` holds 0 in it."""
    finite = [min(max(v, -LARGEST), LARGEST) for v in values if math.isfinite(v)]
    if zero or not finite:
        finite.append(0.0)
    low, high = min(finite), max(finite)
    high = high if high - low >= LEAST else low
    wide = (high - low) or max(abs(high), 1.0)
    return (low if zero and low == 0 else low - room * wide), high + room * wide


def svg(width: float, height: float, alt: str, parts: Sequence[str], css: str) -> str:
    """A drawing with its alternative text."""
    text = escape(alt, quote=True)
    return (
        f'<svg class="{css}" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{text}">'
        f"{''.join(parts)}</svg>"
    )


def grid_x(axis: Axis, top: float, bottom: float, most: int, title: str) -> list[str]:
    """Vertical lines with numbers below, and the axis's title."""
    at = ticks(axis.low, axis.high, most)
    step = at[1] - at[0] if len(at) > 1 else 1.0
    parts = [line(axis.at(v), top, axis.at(v), bottom, "axis") for v in at]
    parts += [text(axis.at(v), bottom + 15, label(v, step), "middle") for v in at]
    middle = (axis.start + axis.end) / 2
    return [*parts, text(middle, bottom + 32, title, "middle")]


def grid_y(axis: Axis, left: float, right: float, most: int, title: str) -> list[str]:
    """Horizontal lines with numbers at their left; the axis's title stands above."""
    at = ticks(axis.low, axis.high, most)
    step = at[1] - at[0] if len(at) > 1 else 1.0
    parts = [line(left, axis.at(v), right, axis.at(v), "axis") for v in at]
    parts += [text(left - 6, axis.at(v) + 4, label(v, step), "end") for v in at]
    return [*parts, text(2, 12, title, "start")]


def line(x1: float, y1: float, x2: float, y2: float, css: str = "", more: str = "") -> str:
    """A straight line."""
    named = f' class="{css}"' if css else ""
    return f'<line{named} x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{more}/>'


def text(x: float, y: float, words: str, anchor: str, css: str = "") -> str:
    """Words at a point."""
    named = f' class="{css}"' if css else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'

"""Charts as SVG that follows the page's scheme and width: curves with bands, rows of intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from offpolicy.page import axes
from offpolicy.page.axes import NARROW, WIDE, Axis
from offpolicy.page.html import legend

Values = Sequence[float]


class Series(NamedTuple):
    """A curve with its band."""

    name: str
    x: Values
    y: Values
    low: Values
    high: Values


class Row(NamedTuple):
    """A value with its interval, by name; a second one drawn as a diamond, where it is known."""

    name: str
    value: float
    low: float
    high: float
    second: tuple[float, float, float] | None = None  # value, low, high
    drawn: bool = True  # False: the value is not to be trusted, and is left out
    grey: bool = False  # drawn, but not to be relied on


class Box(NamedTuple):
    """A distribution by five quantiles, in increasing order, and its mean."""

    name: str
    quantiles: tuple[float, float, float, float, float]
    mean: float


def curves(
    series: Sequence[Series],
    colours: Mapping[str, str],
    *,
    x_title: str,
    y_title: str,
    caption: str,
    zero: bool = False,
    dashed: Sequence[str] = (),
) -> str:
    """Curves with bands in one frame; not-finite points are left out. `zero` holds 0 in the frame;
    `dashed` names what the others are held against."""
    shown = [s for s in series if any(map(math.isfinite, s.y))]
    spans = [v for s in shown for v in s.y]
    spans += [v for s in shown for v in (*s.low, *s.high)] if len(shown) < 4 else _near(shown)
    y_range = axes.bounds(spans, zero=zero)
    x_range = axes.bounds([v for s in shown for v in s.x], room=0.0)

    def draw(width: float, css: str) -> str:
        height = 300.0 if width == WIDE else 260.0
        left, right, top, bottom = 52.0, width - 10, 22.0, height - 40
        x, y = Axis(*x_range, left, right), Axis(*y_range, bottom, top)
        parts = axes.grid_x(x, top, bottom, 8 if width == WIDE else 5, x_title)
        parts += axes.grid_y(y, left, right, 6, y_title)
        for s in shown:
            parts.append(_band(s, colours[s.name], x, y))
        for s in shown:
            parts.append(_curve(s, colours[s.name], x, y, dash=s.name in dashed))
        return axes.svg(width, height, caption, parts, css)

    return _figure(draw, caption, {s.name: colours[s.name] for s in shown})


def intervals(
    rows: Sequence[Row],
    colours: Mapping[str, str],
    *,
    x_title: str,
    caption: str,
    reference: float | None = None,
) -> str:
    """A row for each name: its value and interval as a bar, a second value as a diamond; of what is
    not a number the name alone, and bounds that are not are open.

    Bars far wider than the values would hide them: the frame holds the values and three of their
    spans; what leaves it is cut at the edge. `reference` is a dashed line.
    """
    rows = [_known(row) for row in rows]
    if reference is not None and not math.isfinite(reference):
        reference = None
    points = [r.value for r in rows if r.drawn] + [v for r in rows if r.second for v in r.second]
    points += [] if reference is None else [reference]
    low, high = axes.bounds(points, room=0.0)
    ends = [v for r in rows if r.drawn for v in (r.low, r.high)]
    most, least = axes.bounds([*points, *ends])[::-1]
    span = (high - low) or max(abs(high), 1.0)
    frame = max(least, low - span), min(most, high + span)

    def draw(width: float, css: str) -> str:
        names = 190.0 if width == WIDE else 116.0
        height = 26.0 * len(rows) + 52
        x = Axis(*frame, names, width - 12)
        bottom = height - 42
        parts = axes.grid_x(x, 6, bottom, 6 if width == WIDE else 4, x_title)
        if reference is not None:
            parts.append(axes.line(x.at(reference), 6, x.at(reference), bottom, "zero"))
        for nth, row in enumerate(rows):
            y = 20 + 26.0 * nth
            parts.append(axes.text(0, y + 4, _short(row.name, width), "start", "name"))
            colour = "var(--grey)" if row.grey else colours.get(row.name, "var(--p0)")
            parts += _interval(row, x, y, colour)
        return axes.svg(width, height, caption, parts, css)

    return _figure(draw, caption, {})


def boxes(rows: Sequence[Box], colours: Mapping[str, str], *, x_title: str, caption: str) -> str:
    """A row for each distribution: its outer quantiles as a line, the inner ones as a box, the
    median as a bar and the mean as a dot; of what is not finite the name alone."""
    frame = axes.bounds([v for r in rows for v in (*r.quantiles, r.mean)])

    def draw(width: float, css: str) -> str:
        names = 190.0 if width == WIDE else 116.0
        height = 28.0 * len(rows) + 52
        x = Axis(*frame, names, width - 12)
        parts = axes.grid_x(x, 6, height - 42, 6 if width == WIDE else 4, x_title)
        for nth, row in enumerate(rows):
            y, colour = 20 + 28.0 * nth, colours.get(row.name, "var(--p0)")
            parts.append(axes.text(0, y + 4, _short(row.name, width), "start", "name"))
            if not all(map(math.isfinite, (*row.quantiles, row.mean))):
                continue
            a, b, c, d, e = map(x.at, row.quantiles)
            stroke = f' stroke="{colour}" stroke-width="2"'
            parts += [
                axes.line(a, y, e, y, more=stroke),
                f'<rect x="{b:.1f}" y="{y - 8:.1f}" width="{max(d - b, 1):.1f}" height="16" '
                f'fill="{colour}" fill-opacity=".3" stroke="{colour}"/>',
                axes.line(c, y - 8, c, y + 8, more=f' stroke="{colour}" stroke-width="3"'),
                f'<circle cx="{x.at(row.mean):.1f}" cy="{y:.1f}" r="3.5" fill="var(--ink)"/>',
            ]
        return axes.svg(width, height, caption, parts, css)

    return _figure(draw, caption, {})


def _figure(draw: object, caption: str, names: Mapping[str, str]) -> str:
    """Two drawings, of which the style shows the one that fits, and what they say."""
    assert callable(draw)
    shown = f"{draw(WIDE, 'wide')}\n{draw(NARROW, 'narrow')}"
    who = legend(names) if names else ""
    return f"<figure>{shown}{who}<figcaption>{escape(caption)}</figcaption></figure>"


def _near(series: Sequence[Series]) -> list[float]:
    """Bounds of bands, as far as they are no wider than the curves' whole span."""
    values = [v for s in series for v in s.y if math.isfinite(v)]
    span = max(values) - min(values)
    ends = [v for s in series for v in (*s.low, *s.high) if math.isfinite(v)]
    return [v for v in ends if min(values) - span / 4 <= v <= max(values) + span / 4]


def _band(s: Series, colour: str, x: Axis, y: Axis) -> str:
    known = [
        (x.at(a), y.at(_or(low, -math.inf)), y.at(_or(high, math.inf)))
        for a, v, low, high in zip(s.x, s.y, s.low, s.high, strict=True)
        if math.isfinite(v)
    ]
    there = [f"{a:.1f},{high:.1f}" for a, _, high in known]
    back = [f"{a:.1f},{low:.1f}" for a, low, _ in reversed(known)]
    return f'<polygon points="{" ".join(there + back)}" fill="{colour}" fill-opacity=".14"/>'


def _curve(s: Series, colour: str, x: Axis, y: Axis, *, dash: bool) -> str:
    known = [(a, v) for a, v in zip(s.x, s.y, strict=True) if math.isfinite(v)]
    points = " ".join(f"{x.at(a):.1f},{y.at(v):.1f}" for a, v in known)
    style = ' stroke-dasharray="6 4"' if dash else ""
    out = (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{style}>'
        f"<title>{escape(s.name)}</title></polyline>"
    )
    if len(known) <= 25:
        dots = (f'<circle cx="{x.at(a):.1f}" cy="{y.at(v):.1f}" r="2.5"/>' for a, v in known)
        out += f'<g fill="{colour}">{"".join(dots)}</g>'
    return out


def _interval(row: Row, x: Axis, y: float, colour: str) -> list[str]:
    parts = list[str]()
    if row.drawn:
        wide = f' stroke="{colour}" stroke-width="7" stroke-opacity=".45"'
        parts.append(axes.line(x.at(row.low), y, x.at(row.high), y, more=wide))
        parts.append(f'<circle cx="{x.at(row.value):.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
    if row.second is not None:
        value, low, high = map(x.at, row.second)
        parts.append(axes.line(low, y, high, y, more=' stroke="var(--ink)" stroke-width="1.4"'))
        corners = ((value - 5, y), (value, y - 5), (value + 5, y), (value, y + 5))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
        parts.append(f'<polygon points="{points}" fill="var(--ink)"/>')
    return parts


def _known(row: Row) -> Row:
    """A row of numbers: what is none is left out, and a bound that is none is open."""
    second = row.second
    if second is not None:
        value, low, high = second
        ends = _or(low, -math.inf), _or(high, math.inf)
        second = (value, *ends) if math.isfinite(value) else None
    return row._replace(
        low=_or(row.low, -math.inf),
        high=_or(row.high, math.inf),
        second=second,
        drawn=row.drawn and math.isfinite(row.value),
    )


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value


def _short(name: str, width: float) -> str:
    """A name that fits its column."""
    most = 28 if width == WIDE else 17
    return name if len(name) <= most else name[: most - 1] + "…"

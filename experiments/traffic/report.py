"""A run in words, for a terminal."""

from __future__ import annotations

import json
from typing import Any

from experiments.common.run_folder import plain
from experiments.common.tables import text_table
from experiments.traffic.summary import Figure, RouteSummary, Summary

STARVED = 5.0  # ms: a generator that is so late at its P99 measures itself


def text(figures: Summary) -> str:
    """The figures with their 95 % intervals, and whether the generator kept its times."""
    lines = [
        f"{figures.rps:,.0f} decisions were due a second, for {figures.seconds:g} s; latency is "
        "counted from the time when each was due",
        "",
        text_table([_row("decide", figures.decide), _row("outcome", figures.outcome)]),
        "",
        f"fallback: {percent(figures.fallback)} of the answers" + _counts(figures.fallbacks),
        "versions" + (_counts(figures.versions) or ": -"),
        _generator(figures),
    ]
    return "\n".join(lines)


def as_json(figures: Summary) -> str:
    """The same figures as JSON; what cannot be said is null."""

    def route(one: RouteSummary) -> dict[str, Any]:
        return {
            "calls": one.calls,
            "latency_ms": {_level(q): f._asdict() for q, f in one.latency_ms.items()},
            "success": one.success._asdict(),
            "not_200": one.statuses,
        }

    whole = {
        "rps": figures.rps,
        "seconds": figures.seconds,
        "decide": route(figures.decide),
        "outcome": route(figures.outcome),
        "fallback": figures.fallback._asdict() | {"reasons": figures.fallbacks},
        "versions": figures.versions,
        "generator": {
            "lateness_ms": {_level(q): v for q, v in figures.lateness_ms.items()},
            "cpu_ms_a_request": figures.generator_cpu_ms,
            "waited_for_a_connection": figures.waited,
            "sent_again": figures.resent,
            "outcomes_due_after_the_end": figures.unsent,
        },
    }
    return json.dumps(plain(whole), indent=2, allow_nan=False)


def _level(q: float) -> str:
    return f"P{100 * q:g}"


def _row(name: str, route: RouteSummary) -> dict[str, str]:
    row = {"": name, "calls": f"{route.calls:,}"}
    row |= {f"{_level(q)} ms": ms(figure) for q, figure in route.latency_ms.items()}
    others = ", ".join(f"{n:,} x {status}" for status, n in route.statuses.items())
    return row | {"status 200": percent(route.success), "else": others or "-"}


def ms(figure: Figure) -> str:
    """A time and its interval."""
    if figure.value != figure.value:
        return "-"
    digits = 0 if figure.value >= 100 else 1
    return f"{figure.value:.{digits}f} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def percent(figure: Figure) -> str:
    """A share and its interval."""
    if figure.value != figure.value:
        return "-"
    value, low, high = (f"{100 * one:.2f}" for one in figure)
    return f"{value} % [{low}, {high}]"


def _counts(of: dict[str, int]) -> str:
    return ": " + ", ".join(f"{n:,} x {what}" for what, n in of.items()) if of else ""


def _generator(figures: Summary) -> str:
    late = figures.lateness_ms
    said = (
        f"generator: {figures.generator_cpu_ms:.3f} ms CPU a request, {figures.waited:,} waited "
        f"for a connection, {figures.resent:,} sent again, {figures.unsent:,} outcomes were "
        "due after the end"
    )
    if not late:
        return said
    said += f"; late by {late[0.5]:.1f} ms at P50, {late[0.99]:.1f} at P99, {late[1.0]:.1f} at most"
    if late[0.99] > STARVED:
        said += "\nthe generator itself was starved: these latencies are partly its own"
    return said

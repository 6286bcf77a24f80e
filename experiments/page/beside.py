"""Example sessions side by side: what each policy showed one user, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from experiments.page.along import Described
from offpolicy.page import html as page

STEPS = 12  # of a session that are shown; the others are counted
WHICH = ("a session that went badly", "a usual session", "a session that went well")


def example_sections(policies: Mapping[str, Described], colours: Mapping[str, str]) -> list[str]:
    """The same users under each policy; the first policy's sessions chose them."""
    first = next(iter(policies.values()), None)
    if first is None or not first["examples"]:
        return []
    text = (
        f"The same users, with the same random numbers, under each policy. They are {WHICH[0]}, "
        f"{WHICH[1]} and {WHICH[2]} for the {next(iter(policies))} (its 10 %, 50 % and 90 % "
        "quantiles). Bold: what the user took. Italic: shown before in this session."
    )
    folded = [
        page.details(
            f"User {nth + 1}: {which}",
            _beside({name: one["examples"][nth] for name, one in policies.items()}, colours),
        )
        for nth, which in enumerate(WHICH[: len(first["examples"])])
    ]
    return [page.section("What users saw", page.paragraph(text), *folded)]


def _beside(sessions: Mapping[str, Mapping[str, Any]], colours: Mapping[str, str]) -> str:
    cards = "".join(_card(name, one, colours) for name, one in sessions.items())
    return f'<div class="beside">{cards}</div>'


def _card(name: str, session: Mapping[str, Any], colours: Mapping[str, str]) -> str:
    shown: Sequence[Mapping[str, Any]] = session["shown"]
    rows = "".join(
        f'<tr><td>{s["step"] + 1}</td><td class="slate">{_slate(s)}</td>'
        f"<td>{s['reward']:.2f}</td></tr>"
        for s in shown[:STEPS]
    )
    rest = len(shown) - STEPS
    more = f"<p>… and {rest} more decisions.</p>" if rest > 0 else ""
    end = "the user left" if session["left"] else "cut there"
    head = f"{page.swatch(colours[name])}{escape(name)}"
    said = f"{len(shown)} decisions, {session['total']:.2f} in all; {end}"
    table = (
        "<table><thead><tr><th>step</th><th>slate</th><th>reward</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )
    return f"<div><h3>{head}</h3><p>{said}</p>{table}{more}</div>"


def _slate(shown: Mapping[str, Any]) -> str:
    items = zip(shown["slate"], shown["before"], strict=True)
    return " ".join(_item(item, item == shown["taken"], again) for item, again in items)


def _item(item: str, taken: bool, again: bool) -> str:
    css = " ".join(name for name, holds in (("taken", taken), ("again", again)) if holds)
    inside = escape(item)
    if css:
        return f'<span class="{css}">{inside}</span>'
    return inside

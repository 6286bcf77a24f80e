"""Elements of a self-contained HTML page: sentences, tables and pictures in one file."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from offpolicy.page.glossary import marked, used
from offpolicy.page.style import PAGE, style

CLASSES = {
    "WRONG": "wrong", "pass": "pass", "better": "pass", "yes": "pass", "fail": "fail",
    "worse": "fail", "cannot tell": "unknown",
}  # fmt: skip
PALE = ' class="grey"'


def page(title: str, lead: str, parts: Iterable[str]) -> str:
    """The whole document; the words of the glossary that it uses are explained at its end."""
    inside = "\n".join(parts)
    head = (
        f'<meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>\n{style(':root')}\n{PAGE}\n</style>"
    )
    body = f'<h1>{escape(title)}</h1>\n<p class="lead">{marked(lead)}</p>\n{inside}'
    words = definitions(used([lead, re.sub(r"<[^>]+>", " ", inside)]))
    main = f'<main class="longplay">\n{body}\n{words}\n</main>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{main}\n</body></html>\n'


def fragment(parts: Iterable[str]) -> str:
    """The same elements with their style as a part of another page, such as a notebook."""
    inside = "\n".join(parts)
    return f'<div class="longplay"><style>{style(".longplay")}</style>\n{inside}\n</div>'


def section(title: str, *parts: str) -> str:
    """A heading and what stands under it."""
    return f"<h2>{escape(title)}</h2>\n" + "\n".join(parts)


def answer(outcome: str, first: str, more: Iterable[str] = (), *rest: str) -> str:
    """What a reader came for, in the colour of its verdict: one sentence, then others; `rest` are
    elements under them."""
    sentences = "".join(f"<p>{marked(text)}</p>" for text in more)
    kind = CLASSES.get(outcome, "unknown")
    return (
        f'<div class="answer {kind}"><p class="first">{marked(first)}</p>{sentences}'
        f"{''.join(rest)}</div>"
    )


def verdict(outcome: str, reason: str) -> str:
    """A verdict in its colour, with its reason."""
    kind = CLASSES.get(outcome, "unknown")
    said = f'<span class="badge {kind}">{escape(outcome.upper())}</span> {marked(reason)}'
    return f'<div class="answer {kind}"><p class="first">{said}</p></div>'


def warning(text: str) -> str:
    """What a reader must know before believing what stands below."""
    return f'<p class="warning">{marked(text)}</p>'


def facts(*texts: str) -> str:
    """Units, dates, users: one line of small facts."""
    return f'<p class="facts">{" · ".join(marked(text) for text in texts if text)}</p>'


def bullets(texts: Iterable[str]) -> str:
    """A list of plain sentences."""
    return "<ul>" + "".join(f"<li>{marked(text)}</li>" for text in texts) + "</ul>"


def paragraph(text: str) -> str:
    """One paragraph of plain text."""
    return f"<p>{marked(text)}</p>"


def table(
    rows: Sequence[Mapping[str, Any]],
    *,
    colours: Mapping[str, str] | None = None,
    grey: Iterable[int] = (),
    left: Iterable[str] = (),
) -> str:
    """Rows of equal keys; the first column is text, verdicts are coloured.

    colours: of first cells, by their text: a swatch stands before them. grey: numbers of rows that
    are not to be relied on. left: columns of running text.
    """
    if not rows:
        return "<p>(no rows)</p>"
    texts, pale, known = set(left), set(grey), colours or {}
    head = "".join(f"<th>{marked(str(name))}</th>" for name in rows[0])
    body = "\n".join(_row(row, texts, known, pale=nth in pale) for nth, row in enumerate(rows))
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    return f'<div class="scroll">{whole}</div>'


def swatch(colour: str) -> str:
    """A square of a colour."""
    return f'<span class="swatch" style="background:{colour}"></span>'


def legend(colours: Mapping[str, str]) -> str:
    """Which colour is whose."""
    rows = (f"<li>{swatch(colour)}{escape(name)}</li>" for name, colour in colours.items())
    return f'<ul class="legend">{"".join(rows)}</ul>'


def data_uri(image: bytes) -> str:
    """A PNG as text that a page can hold."""
    return "data:image/png;base64," + base64.b64encode(image).decode("ascii")


def picture(image: bytes, caption: str) -> str:
    """An embedded PNG, its caption also its alternative text."""
    text = escape(caption, quote=True)
    shown = f'<img alt="{text}" src="{data_uri(image)}">'
    return f"<figure>{shown}<figcaption>{text}</figcaption></figure>"


def fold(title: str, text: str) -> str:
    """Preformatted text behind a heading to click."""
    return details(title, f"<pre>{escape(text)}</pre>")


def details(title: str, *parts: str) -> str:
    """Elements behind a heading to click."""
    return f"<details><summary>{escape(title)}</summary>\n{''.join(parts)}\n</details>"


def definitions(words: Mapping[str, str]) -> str:
    """Words and their meanings, folded: on a telephone nothing hovers."""
    if not words:
        return ""
    rows = (f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in words.items())
    return details("Words", f"<dl>{''.join(rows)}</dl>")


def _row(
    row: Mapping[str, Any], texts: Collection[str], colours: Mapping[str, str], *, pale: bool
) -> str:
    names = [*row]
    first = str(row[names[0]])
    cells = [f"<td>{escape(first)}</td>"]  # a name, whatever word it begins with
    cells += [_cell(row[name], css="left" if name in texts else "") for name in names[1:]]
    if first in colours:
        head, _, rest = escape(first).partition(" ")  # the swatch stays with the first word
        named = f'<span class="whole">{swatch(colours[first])}{head}</span> {rest}'.rstrip()
        cells[0] = f"<td>{named}</td>"
    return f"<tr{PALE if pale else ''}>{''.join(cells)}</tr>"


def _cell(value: Any, *, css: str) -> str:
    text = str(value)
    inside = escape(text)
    if kind := next((c for word, c in CLASSES.items() if re.match(rf"{word}\b", text)), ""):
        inside = f'<span class="badge {kind}">{inside}</span>'
    return f'<td class="{css}">{inside}</td>' if css else f"<td>{inside}</td>"

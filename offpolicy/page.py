"""A self-contained HTML page: sentences, tables and pictures in one file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733;
  max-width: 72rem; margin: 2.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
p.lead { color: #4c5a68; margin: 0 0 1.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem;
  white-space: nowrap; }
th, td { padding: .32rem .65rem; border-bottom: 1px solid #e2e7ec; text-align: right; }
th:first-child, td:first-child { text-align: left; }
th { color: #4c5a68; font-weight: 600; border-bottom: 2px solid #c9d1d9; }
td.pass { color: #1d7f4c; font-weight: 600; } td.fail { color: #a82a48; font-weight: 600; }
td.wrong { background: #fbe3e8; color: #8a0f2e; font-weight: 700; } td.unknown { color: #6a7682; }
img { max-width: 100%; } details { margin: 1rem 0; }
pre { background: #f5f7f9; padding: .8rem; overflow-x: auto; }
p.verdict { padding: .7rem 1rem; border-left: .4rem solid #8a94a0; background: #f5f7f9; }
p.verdict.pass { border-color: #2a9d62; } p.verdict.fail { border-color: #bb3355; }
figure { margin: 0; } figcaption { color: #4c5a68; font-size: .88rem; }
""".strip()

CLASSES = {"pass": "pass", "fail": "fail", "cannot tell": "unknown", "WRONG": "wrong"}


def page(title: str, lead: str, parts: Iterable[str]) -> str:
    """The whole document."""
    head = (
        f'<meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>\n{STYLE}\n</style>'
    )
    body = f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>\n' + "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{body}\n</body></html>\n'


def section(title: str, *parts: str) -> str:
    """A heading and what stands under it."""
    return f"<h2>{escape(title)}</h2>\n" + "\n".join(parts)


def verdict(outcome: str, reason: str) -> str:
    """A verdict in its colour, with its reason."""
    kind = CLASSES.get(outcome, "unknown")
    said = f"<b>{escape(outcome.upper())}</b> {escape(reason)}"
    return f'<p class="verdict {kind}">{said}</p>'


def bullets(texts: Iterable[str]) -> str:
    """A list of plain sentences."""
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def paragraph(text: str) -> str:
    """One paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys; the first column is text, verdict cells are coloured."""
    if not rows:
        return "<p>(no rows)</p>"
    head = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
    body = "\n".join(
        "<tr>" + "".join(_cell(value) for value in row.values()) + "</tr>" for row in rows
    )
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    return f'<div class="scroll">{whole}</div>'


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
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def _cell(value: Any) -> str:
    text = str(value)
    kind = next((css for word, css in CLASSES.items() if word in text), "")
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"

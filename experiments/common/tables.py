"""Rows of equal keys as tables: aligned for a terminal, Markdown for a page of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from offpolicy.tables import markdown


def text_table(lines: Sequence[Mapping[str, str]]) -> str:
    """Aligned columns, the first to the left."""
    names = list(lines[0]) if lines else []
    width = {n: max(len(n), *(len(line[n]) for line in lines)) for n in names}
    rows = [{n: n for n in names}, *lines]
    return "\n".join(
        "  ".join(r[n].ljust(width[n]) if n == names[0] else r[n].rjust(width[n]) for n in names)
        for r in rows
    )


def markdown_table(lines: Sequence[Mapping[str, str]]) -> str:
    """The same table in Markdown."""
    return markdown(list(lines[0]) if lines else [], [list(line.values()) for line in lines]) + "\n"

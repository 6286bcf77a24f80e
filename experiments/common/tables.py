"""Rows of equal keys as tables: aligned for a terminal, Markdown for a page of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from offpolicy.tables import aligned, markdown


def text_table(lines: Sequence[Mapping[str, str]]) -> str:
    """Aligned columns, the first to the left."""
    return aligned(list(lines[0]) if lines else [], [list(line.values()) for line in lines])


def markdown_table(lines: Sequence[Mapping[str, str]]) -> str:
    """The same table in Markdown."""
    return markdown(list(lines[0]) if lines else [], [list(line.values()) for line in lines]) + "\n"

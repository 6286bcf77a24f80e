"""Numbers as text: tables as Markdown and for a terminal, bounds of an interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from offpolicy.intervals.inference import Interval


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> str:
    """A Markdown table; the first `left` columns are text, the others are numbers, to the right."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    body = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "|".join(rule) + "|", *body])


def aligned(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns for a terminal, the first to the left, the others to the right."""
    lines = [list(map(str, row)) for row in (head, *rows)]
    width = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            x.rjust(w) if k else x.ljust(w)
            for k, (x, w) in enumerate(zip(line, width, strict=True))
        ).rstrip()
        for line in lines
    )


def bounds(i: Interval, sign: str = "") -> str:
    """[low, high]."""
    return f"[{i.low:{sign}.4g}, {i.high:{sign}.4g}]"

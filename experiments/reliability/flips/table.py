"""What became of damaged folders, as a page of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from experiments.common.tables import markdown_table
from experiments.reliability.flips.asking import CRASH, HANG
from experiments.reliability.flips.damage import COLUMNS
from experiments.reliability.flips.kinds import WHOLE
from experiments.reliability.flips.worker import EQUAL, FOREIGN, MEMORY, OTHER, REFUSED

FINE = (REFUSED, EQUAL, WHOLE)
HEADS = {
    REFUSED: "refused",
    EQUAL: "equal",
    WHOLE: "whole file",
    OTHER: "other contents",
    FOREIGN: "foreign error",
    CRASH: "crash",
    HANG: "hang",
}
NOTES = f"""\
One damage at a time to a small folder, which a process with {MEMORY >> 30} GiB of memory then
reads and uses.
*Refused*: by a ValueError or an error of the project's own that says what is wrong. *Equal*: read
with the same arrays, settings and answers. *Whole file*: a file that stands for itself was taken
from another folder of its kind, or is gone: the folder is another one then, and nothing in it says
which it was (a log in one file; the history of changes, segments of events and snapshots, which may
be moved away). *Foreign error*: of another type, or without a word of the file. What is behind
*refused* and *equal* must be 0.

Formats from before the digests are read as they are: shapes, ranges and finite numbers are checked,
and weights of policies and encoders have had their hash since version 0.1."""


def broken(records: Mapping[str, Any]) -> int:
    """How many damages broke the promise."""
    return sum(
        number
        for record in records.values()
        for counts in record["columns"].values()
        for outcome, number in counts.items()
        if outcome not in FINE
    )


def page(records: Mapping[str, Any]) -> str:
    """The table, what was broken, and what each format carries."""
    rows = [
        {"folder": name, "damage": column}
        | {"tried": f"{sum(counts.values()):,}"}
        | {head: f"{counts.get(outcome, 0):,}" for outcome, head in HEADS.items()}
        for name, record in records.items()
        for column in COLUMNS
        if (counts := Counter(record["columns"].get(column, {})))
    ]
    digests = [{"folder": name, "digests": record["digests"]} for name, record in records.items()]
    examples = [
        f"* {name}: {what}: {done} {said}".rstrip()
        for name, record in records.items()
        for what, done, said in record["broken"]
    ]
    tried = sum(sum(c.values()) for r in records.values() for c in r["columns"].values())
    verdict = f"{broken(records):,} of {tried:,} damages broke the promise."
    parts = [NOTES, markdown_table(rows), verdict, "\n".join(examples), markdown_table(digests)]
    return "\n\n".join(part.rstrip() for part in parts if part)

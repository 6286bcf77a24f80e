"""`longplay benchmark kills`: runs are stopped at random moments, and gone on with.

Each run is of tiny size. After kill -9, SIGTERM or SIGINT a reader must find nothing broken; the
run is then resumed, or done again, and must end with the bytes of one that nobody disturbed. No
temporary file and no process may be left, and who is stopped by SIGTERM or SIGINT says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.common.run_folder import open_run
from experiments.common.show import Show
from experiments.common.tables import markdown_table
from experiments.common.workers import Parallel, executor_of, results
from experiments.reliability.kills.attack import BROKEN, LATE, NAMES, SIGNALS, STOPPED, attack

NOTES = """\
*Stopped*: the signal came while it ran, and then: what stood on the disk could be read, the run
that was resumed or done again ended with the same bytes, nothing temporary and no process was left,
and SIGTERM and SIGINT ended it with status 143 and 130 and a word (a server: SIGTERM with 0).
*Compared*: of the files that a run leaves, those in which two undisturbed runs agree byte for byte;
the others tell times. *Broken* must be 0."""


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Stop commands and writers, and go on with them."""

    kills: int = 20
    """kill -9 of each."""
    terms: int = 10
    """SIGTERM of each."""
    interrupts: int = 10
    """SIGINT of each."""
    jobs: tuple[str, ...] = NAMES
    """What to stop."""
    seed: int = 0
    """Of the random numbers."""

    def __post_init__(self) -> None:
        for name, least in (("kills", 0), ("terms", 0), ("interrupts", 0), ("workers", 1),
                            ("seed", 0)):  # fmt: skip
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")
        for name in self.jobs:
            if name not in NAMES:
                raise ValueError(f"there is no job {name!r}; there are {', '.join(NAMES)}")


def run(settings: Settings) -> int:
    """Stop what is left to stop, print the table, write it; 1 where a promise was broken."""
    folder, show = open_run(settings.out, "kills", settings, settings.resume), Show()
    print(f"run folder: {folder.path}", flush=True)
    stops = (settings.kills, settings.terms, settings.interrupts)
    names = dict.fromkeys(settings.jobs)
    todo = [(name, stops, settings.seed) for name in names if not folder.has(_stage(name))]
    with show.stage(f"{len(todo)} of {len(names)} jobs") as update:
        found = results(attack, todo, executor_of(settings), folder)
        for done, ((name, _, _), record) in enumerate(found, 1):
            folder.write_json(f"stages/{_stage(name)}.json", record)
            update(done / len(todo))
            show.note(f"  done: {name}")
    records = {name: folder.read_json(f"stages/{_stage(name)}.json") for name in names}
    text = page(records)
    print(text)
    folder.write_text("kills.md", text + "\n")
    print(f"written: {folder.write_json('kills.json', records)}")
    return 1 if any(record["broken"] for record in records.values()) else 0


def page(records: dict[str, Any]) -> str:
    """The table, and what was broken."""
    rows = [
        {"run": name, "signal": sent.name, "compared": record["compared"]}
        | {head: str(record["signals"][sent.name].get(head, 0)) for head in (STOPPED, LATE, BROKEN)}
        for name, record in records.items()
        for sent in SIGNALS
    ]
    examples = "\n".join(
        f"* {name}, {sent} {nth}: {said}"
        for name, record in records.items()
        for sent, nth, said in record["broken"]
    )
    return "\n\n".join(part for part in (NOTES, markdown_table(rows).rstrip(), examples) if part)


def _stage(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")

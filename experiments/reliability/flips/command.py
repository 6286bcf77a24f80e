"""`longplay benchmark flips`: every kind of saved folder is damaged, one place at a time, and read.

A process of limited memory and time reads and uses each damaged folder. It must be refused with an
error that says what is wrong, or be read with equal contents.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.common.run_folder import open_run
from experiments.common.show import Show
from experiments.common.workers import Parallel, executor_of, results
from experiments.reliability.flips.asking import worker
from experiments.reliability.flips.damage import COLUMNS, cases
from experiments.reliability.flips.kinds import KINDS
from experiments.reliability.flips.table import FINE, broken, page

KEPT = 20  # examples of broken promises in the record of a kind


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Damage saved folders and read them."""

    flips: int = 2_000
    """Bits to flip in each kind of folder, one at a time; a twentieth as many cuts and zeroed
    blocks."""
    kinds: tuple[str, ...] = ()
    """What to damage, by the beginnings of names: log, policy, encoder, world, registry, events;
    all by default."""
    seed: int = 0
    """Of the random numbers."""

    def __post_init__(self) -> None:
        for name in ("flips", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be 0 or more")
        for start in self.kinds:
            if not any(name.startswith(start) for name in KINDS):
                raise ValueError(f"no kind begins with {start!r}; there are {', '.join(KINDS)}")

    @property
    def names(self) -> list[str]:
        """Kinds to damage."""
        return [name for name in KINDS if name.startswith(self.kinds or ("",))]


def run(settings: Settings) -> int:
    """Damage what is left to damage, print the table, write it; 1 where a promise was broken."""
    folder, show = open_run(settings.out, "flips", settings, settings.resume), Show()
    print(f"run folder: {folder.path}", flush=True)
    todo = [
        (name, settings.flips, settings.seed)
        for name in settings.names
        if not folder.has(_stage(name))
    ]
    with show.stage(f"{len(todo)} of {len(settings.names)} kinds of folders") as update:
        found = results(attack, todo, executor_of(settings), folder)
        for done, ((name, _, _), record) in enumerate(found, 1):
            folder.write_json(f"stages/{_stage(name)}.json", record)
            update(done / len(todo))
            show.note(f"  done: {name}, {record['seconds']:.0f} s")
    records = {name: folder.read_json(f"stages/{_stage(name)}.json") for name in settings.names}
    text = page(records)
    print(text)
    folder.write_text("flips.md", text + "\n")
    print(f"written: {folder.write_json('flips.json', records)}")
    return 1 if broken(records) else 0


def attack(name: str, flips: int, seed: int) -> dict[str, Any]:
    """Counts of outcomes by column, and examples of those that break the promise."""
    began, kind = time.monotonic(), KINDS[name]
    record: dict[str, Any] = {"digests": kind.digests, "columns": {}, "broken": []}
    with TemporaryDirectory(prefix="longplay-flips-") as place:
        folder, other, to = (Path(place) / part for part in ("folder", "other", "damaged"))
        kind.make(folder, 0)
        kind.make(other, 1)
        with worker(name, folder, other, to, seed) as process:
            for column in COLUMNS:
                counts: Counter[str] = Counter()
                for nth in range(cases(column, folder, other, flips)):
                    answer = process.ask(column, nth)
                    became = kind.judged(answer.outcome, column, answer.done)
                    counts[became] += 1
                    if became not in FINE and len(record["broken"]) < KEPT:
                        record["broken"].append([became, answer.done, answer.said])
                record["columns"][column] = dict(counts)
    return record | {"seconds": time.monotonic() - began}


def _stage(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")

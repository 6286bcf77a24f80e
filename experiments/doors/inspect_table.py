"""`longplay inspect FILE`: what a table seems to hold, as its columns would be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from experiments.common.tables import text_table
from experiments.data.datasets import of_file
from experiments.data.guess import NEEDED, Guess, guess
from experiments.data.mapping import as_options, column_names, write_mapping
from offpolicy import LoggedDataset, read_log
from offpolicy.storage.foreign import Mapped
from offpolicy.storage.manifest import MANIFEST
from offpolicy.storage.tables import read_table

SHOWN = 5
OF = {
    "interactions": "train-encoder, leaderboard, calibrate and compare --data, recommend",
    "log": "check, evaluate, gate, improve, plan, drift, which-estimator, calibrate --log",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Guess what the columns of a table are, show its first rows as they would be read, and say
    what is missing for which command; exit status 1 where it cannot be read yet."""

    file: tyro.conf.Positional[Path]
    """A table: .parquet, .csv, .jsonl, or a folder of them; or a log of this project."""
    columns: tuple[str, ...] = ()
    """What is known already, ours=theirs, or a .yaml: it replaces what is guessed."""
    out: Path | None = None
    """Write the columns here, as a .yaml that --columns of every command takes."""


def run(settings: Settings) -> int:
    """Print, write."""
    if (settings.file / MANIFEST).exists():
        print(f"{settings.file} is a log of this project: no --columns are needed")
        print(read_log(settings.file))
        return 0
    table = read_table(settings.file)
    found = merged(guess(table), column_names(settings.columns), table.column_names)
    kind = "interactions" if found.kind == "interactions" else "a log of decisions"
    print(f"{settings.file}: {table.num_rows:,} rows, as {kind} (for {OF[found.kind]})\n")
    if found.columns:
        print(text_table(_lines(found, table)))
    print(f"\nnot used: {', '.join(found.unused) or 'nothing'}")
    for line in lacking(found):
        print(line)
    if settings.out is not None:
        write_mapping(settings.out, found.columns, f"How Longplay reads {settings.file.name}")
        print(f"written: {settings.out}; longplay COMMAND ... --columns {settings.out}")
    elif found.columns:
        print(as_options(found.columns))
    if any(name in found.missing for name in (*NEEDED[found.kind], "step or time")):
        return 1
    print(f"\nThe first rows, as they are read:\n\n{_rows(settings.file, found)}")
    return 0


def merged(found: Guess, given: Mapped, there: Sequence[str]) -> Guess:
    """The guess, where nothing else was said.

    Raises:
        ValueError: a column that was named is not there.
    """
    parts = {n: [t] if isinstance(t, str) else list(t) for n, t in given.items()}
    for ours, several in parts.items():
        lost = [t for t in several if t not in there and not t.startswith("@")]
        if lost:
            raise ValueError(f"--columns {ours}={lost[0]}: the table has {', '.join(there)}")
    taken = {t for several in parts.values() for t in several}
    kept = {n: t for n, t in found.columns.items() if t not in taken and n not in given}
    columns: dict[str, Any] = kept | dict(given)
    if "step" in columns:
        columns.pop("time", None)
    used = taken | set(kept.values())
    missing = tuple(n for n in found.missing if n not in columns)
    if {"step", "time"} & set(columns) or "session" not in columns:
        missing = tuple(n for n in missing if n != "step or time")
    return Guess(found.kind, columns, missing, tuple(n for n in there if n not in used))


def lacking(found: Guess) -> list[str]:
    """What is missing, for whom, and what to do."""
    why: dict[str, str] = {
        "user": "who took the item: name it, --columns user=...",
        "item": "what was taken: name it, --columns item=...",
        "timestamp": "when it was taken: name it, --columns timestamp=...; an order will do",
        "slate": "what was shown: name it, --columns slate=... (several columns: slate=a,b)",
        "propensity": "the probability of what was shown, at serve time: without it nothing can be "
        "evaluated (offpolicy.estimate_propensity estimates it, and marks every result)",
        "reward": "what came back: name it, --columns reward=..., or clicked=... for a list",
        "step or time": "the order of the rows of a session: --columns step=... or time=...",
    }
    lines = [f"missing: {name}, {why[name]}" for name in found.missing]
    if found.kind == "interactions" and "reward" not in found.columns:
        lines.append("no reward: items are not told apart by what users thought of them")
    if found.kind == "log" and "session" not in found.columns:
        lines.append("no session: every row is a decision of its own, --horizon one_step alone")
    if found.kind == "log" and not {"consumed", "clicked"} & set(found.columns):
        lines.append(
            "no consumed: policies that read histories cannot be scored, nor a world be fitted"
        )
    return lines


def _lines(found: Guess, table: Any) -> list[dict[str, str]]:
    lines: list[dict[str, str]] = []
    for ours, theirs in found.columns.items():
        first = theirs if isinstance(theirs, str) else theirs[0]
        kind = str(table.schema.field(first).type) if first in table.column_names else ""
        called = theirs if isinstance(theirs, str) else ", ".join(theirs)
        lines.append({"here": ours, "in the file": called, "type": kind})
    return lines


def _rows(file: Path, found: Guess) -> str:
    """The first rows of what was read."""
    if found.kind == "log":
        return _decisions(read_log(_source(file), columns=found.columns))
    data = of_file(file, found.columns)
    events, users = data.sequences, data.users
    assert users is not None
    who = users.of_codes(np.asarray(events.users)[events.owner[:SHOWN]])
    rows = []
    for at, user in enumerate(who):
        row = {"user": user, "item": data.item_names[events.items[at]]}
        row["time"] = "" if events.times is None else _instant(float(events.times[at]))
        row["reward"] = "" if events.rewards is None else f"{events.rewards[at]:g}"
        rows.append(row)
    total = f"{len(users):,} users, {events.n_items:,} items, {events.n_events:,} events"
    return text_table(rows) + f"\n\n{total}"


def _source(file: Path) -> Any:
    return file if file.suffix in (".csv", ".jsonl", ".ndjson", ".json") else read_table(file)


def _decisions(log: LoggedDataset) -> str:
    heads: list[tuple[str, Callable[[int], str]]] = [
        ("session", lambda i: log.names_of("session", log.session[i : i + 1])[0]),
        ("step", lambda i: str(log.step[i])),
        ("slate", lambda i: " ".join(_named(log, log.slate[i]))),
        ("propensity", lambda i: f"{log.propensity[i]:.4g}"),
        ("reward", lambda i: f"{log.reward[i]:g}"),
    ]
    if log.consumed is not None:
        taken = log.consumed
        heads.append(("consumed", lambda i: " ".join(_named(log, taken[i : i + 1])) or "-"))
    rows = [{name: cell(i) for name, cell in heads} for i in range(min(SHOWN, len(log)))]
    return text_table(rows) + f"\n\n{log}"


def _named(log: LoggedDataset, items: NDArray[Any]) -> list[str]:
    return log.names_of("item", items[items >= 0])


def _instant(seconds: float) -> str:
    """A time since 1970, or a number."""
    if abs(seconds) < 1e8:
        return f"{seconds:g}"
    return str(np.datetime64(int(seconds), "s")).replace("T", " ")

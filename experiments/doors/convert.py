"""`longplay import FORMAT FILE`: a file of another project as a log, or as interactions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from experiments.data.datasets import Interactions
from experiments.doors.formats.registry import read_format
from offpolicy import LoggedDataset, write_log
from offpolicy.storage.parquet import write_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Read a file of another project, and write what every command reads."""

    format: tyro.conf.Positional[str]
    """obp, dsjson, rllib, d3rlpy, kuairand, criteo (to logs), recbole, finn (to interactions)."""
    file: tyro.conf.Positional[Path]
    """The file."""
    out: Path
    """A log's folder, or a .parquet file of interactions."""


def run(settings: Settings) -> int:
    """Read, write, print."""
    read = read_format(settings.format, settings.file)
    if isinstance(read, LoggedDataset):
        write_log(read, settings.out)
        print(read)
    else:
        write_interactions(read, settings.out)
        print(f"{len(read.sequences):,} users, {read.sequences.n_events:,} events")
    print(f"written: {settings.out}")
    return 0


def write_interactions(data: Interactions, file: Path) -> None:
    """user, item, timestamp[, reward] in Parquet. Raises ValueError for another kind of file."""
    import pyarrow as pa

    if file.suffix != ".parquet":
        raise ValueError(f"--out {file}: interactions are written to a .parquet file")
    events, users = data.sequences, data.users
    who = events.owner if events.users is None else np.asarray(events.users)[events.owner]
    columns: dict[str, Any] = {
        "user": list(map(str, who.tolist())) if users is None else users.of_codes(who),
        "item": data.items.of_codes(events.items),
        "timestamp": np.arange(events.n_events) if events.times is None else events.times,
    }
    if events.rewards is not None:
        columns["reward"] = events.rewards
    write_table(pa.table(columns), file)

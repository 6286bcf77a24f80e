"""`longplay compact SOURCE DESTINATION`: order a log on disk so that sessions are whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from experiments.data.mapping import Columns, column_names
from offpolicy.streaming.compaction import compact


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Rewrite Parquet so that the rows of a session, and the sessions of a user, stand together."""

    source: tyro.conf.Positional[Path]
    """A log, or a folder of Parquet files."""
    destination: tyro.conf.Positional[Path]
    """A new folder."""
    rows_per_part: int = 2_000_000
    """Rows held in memory, and per file."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs: session=visit_id step=turn user=member; or a .yaml that
    longplay inspect wrote. The files keep their own names."""
    session: str = "session"
    """The column that names the session."""
    step: str = "step"
    """The column that orders its rows; of --columns the time, where these name no step."""
    user: str = "user"
    """The column that names the user, if there is one: users are then kept whole, too."""
    verify: bool = True
    """Compare the files of a log with the sha256 of their manifest."""


def run(settings: Settings) -> int:
    """Compact and say where."""
    named = column_names(settings.columns)
    theirs = {name: _one(named, name, given) for name, given in _given(settings).items()}
    if "step" not in named and "time" in named and settings.step == "step":
        theirs["step"] = _one(named, "time", "time")
    where = compact(
        settings.source,
        settings.destination,
        rows_per_part=settings.rows_per_part,
        session=theirs["session"],
        step=theirs["step"],
        user=theirs["user"],
        verify=settings.verify,
    )
    print(f"written: {where}")
    return 0


def _given(settings: Settings) -> dict[str, str]:
    return {"session": settings.session, "step": settings.step, "user": settings.user}


def _one(named: Columns, ours: str, given: str) -> str:
    """What the file calls one of our columns. ValueError for several names, or two that differ."""
    theirs = named.get(ours, given)
    if not isinstance(theirs, str):
        raise ValueError(f"--columns {ours}=...: sessions are ordered by one column; name one")
    if ours in named and given not in (ours, theirs):
        raise ValueError(f"--{ours} {given} and --columns {ours}={theirs} differ: keep one")
    return theirs

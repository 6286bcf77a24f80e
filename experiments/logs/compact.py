"""`longplay compact SOURCE DESTINATION`: order a log on disk so that sessions are whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

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
    session: str = "session"
    """The column that names the session."""
    step: str = "step"
    """The column that orders its rows."""
    user: str = "user"
    """The column that names the user, if there is one: users are then kept whole, too."""
    verify: bool = True
    """Compare the files of a log with the sha256 of their manifest."""


def run(settings: Settings) -> int:
    """Compact and say where."""
    where = compact(
        settings.source,
        settings.destination,
        rows_per_part=settings.rows_per_part,
        session=settings.session,
        step=settings.step,
        user=settings.user,
        verify=settings.verify,
    )
    print(f"written: {where}")
    return 0

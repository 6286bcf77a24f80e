"""`longplay check LOG`: is this log fit to be weighed?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro
from numpy.typing import NDArray

from experiments.common.metrics_file import check_metrics_file, write_readings
from experiments.logs.item_names import items_beside, open_named_log
from experiments.logs.log_files import any_column, scores_of
from offpolicy import Health, LogCheck, LoggedDataset, check_log
from offpolicy.poisoning.bots import bots
from offpolicy.poisoning.heavy_users import heavy_users
from offpolicy.storage.atomic import write_text
from serving.signals.feeds.of_log import last_version, user_readings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Examine a log; exit status 1 when it fails."""

    log: tyro.conf.Positional[Path]
    """A log (folder or file), or any table (.parquet, .csv, .jsonl) with --columns."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs: slate=item_id propensity=p; slate=a,b for two places."""
    items: str | None = None
    """Items of a foreign log are names: a file of them, one a line in the order of their ids, or
    `log` for those of the log (text is). By default items.txt beside a saved policy."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    target_scores: Path | None = None
    """The target's probability of each logged slate (a file, or a folder that policies.save
    wrote), to check its support and mean weight too."""
    time: str | None = None
    """When each decision was made, for values per day: a column of the table or of the log
    (seconds, or dates)."""
    event_id: str | None = None
    """A column that names each decision once: its repeats are found."""
    reward_age: str | None = None
    """A column with the age of each reward when the log was written, with --mature-after."""
    mature_after: float | None = None
    """Age at which a reward is final, in the unit of --reward-age."""
    expected_shares: tuple[str, ...] = ()
    """Share of the units that each logging policy was promised: a=0.5 b=0.5."""
    users: bool = False
    """Look for bots and for users that count for too many, too."""
    metrics: Path | None = None
    """A file whose name ends with .prom, for the textfile collector of Prometheus' node exporter:
    with --users, the shares of top users and of bots. The alerts of `longplay signals` read it."""
    json: Path | None = None
    """Write the findings here."""


def shares_of(entries: tuple[str, ...]) -> dict[str, float] | None:
    """a=0.5 b=0.5 -> {"a": 0.5, "b": 0.5}; None where nothing was promised.

    Raises:
        ValueError: an entry is written otherwise.
    """
    shares = {}
    for entry in entries:
        name, _, share = entry.rpartition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise ValueError(f"--expected-shares {entry}: write logger=share, as a=0.5") from None
    return shares or None


def _column(settings: Settings, name: str | None, log: LoggedDataset) -> NDArray[Any] | None:
    return None if name is None else any_column(name, settings.log, log, settings.columns)


def run(settings: Settings) -> int:
    """Print the findings, worst last where the eye rests."""
    if settings.metrics is not None and not settings.users:
        raise ValueError("--metrics writes what --users finds: add --users")
    check_metrics_file(settings.metrics)
    target = settings.target_scores
    items = items_beside([target], settings.items)
    log = open_named_log(settings.log, settings.columns, settings.n_items, items=items)
    scores = None if target is None else scores_of(str(target), log, columns=settings.columns)
    times = _column(settings, settings.time, log)
    health = check_log(
        log,
        scores,
        time=times,
        event_id=_column(settings, settings.event_id, log),
        reward_age=_column(settings, settings.reward_age, log),
        mature_after=settings.mature_after,
        expected_shares=shares_of(settings.expected_shares),
    )
    if settings.users:
        found = bots(log, time=times)
        health = LogCheck((*health.findings, *heavy_users(log), *found.findings))
        write_readings(settings.metrics, user_readings(log, found), last_version(log.logger))
    print(log)
    print(health)
    if settings.json is not None:
        findings = [asdict(f) | {"level": f.level.name} for f in health.findings]
        verdict = {"verdict": health.verdict, "findings": findings}
        write_text(settings.json, json.dumps(verdict, indent=1))
    return 1 if health.verdict is Health.FAIL else 0

"""`longplay drift RECENT --reference LOG`: has traffic changed, does it count, what is to do?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from experiments.common.metrics_file import check_metrics_file, write_readings
from experiments.logs.item_names import items_beside, open_named_log
from experiments.logs.log_files import any_column, scores_of
from offpolicy import LoggedDataset
from offpolicy.doctor.times import seconds
from offpolicy.drift.findings import Drift
from offpolicy.drift.judging import DriftRule
from offpolicy.drift.report import Scores, drift
from offpolicy.storage.atomic import write_text
from serving.signals.feeds.of_log import drift_readings, last_version

STATUS = {Drift.NONE: 0, Drift.NOTED: 0, Drift.ALARM: 1, Drift.CANNOT_TELL: 3}
Columns = dict[str, tuple[NDArray[Any], NDArray[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Compare a recent log with a reference; exit status 0 = no alarm, 1 = value or overlap moved,
    3 = cannot tell."""

    recent: tyro.conf.Positional[Path]
    """The recent log (folder or file), or any table (.parquet, .csv, .jsonl) with --columns; with
    --split the one log that holds both."""
    reference: Path | None = None
    """The log to compare with, of the same catalogue and, best, of whole weeks."""
    split: str | None = None
    """Instead of --reference: sessions that begin before this moment (a date, or seconds, as in
    --time), or the first share of all sessions (0.5), are the reference."""
    time: str | None = None
    """When each decision was made: a column of the tables or of the logs (seconds, or dates). Adds
    a detector of changes inside the recent log, and orders the sessions for --split."""
    segments: tuple[str, ...] = ()
    """Columns whose values are segments, such as a country: value in each, all held together."""
    inputs: tuple[str, ...] = ()
    """Further columns to compare, numbers or texts."""
    target: str | None = None
    """The policy that should be serving: a folder of policies.save, or a file of target scores of
    the recent log. Its mean weight must be 1."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs: slate=item_id propensity=p."""
    items: str | None = None
    """Items of a foreign log are names: a file of them, one a line in the order of their ids, or
    `log` for those of the log (text is)."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    level: float = 0.95
    """Of logs without a change 1 - level raise an alarm, at most."""
    margin: float = 0.02
    """A change of value counts where it is surely larger, as a share of the value."""
    monitored: bool = False
    """Compared again as the recent log grows: valid at all looks together."""
    seed: int = 0
    """Of the permutations."""
    metrics: Path | None = None
    """A file whose name ends with .prom, for the textfile collector of Prometheus' node exporter:
    how many findings count, by subject. The alerts of `longplay signals` read it."""
    json: Path | None = None
    """Write the findings here."""
    page: Path | None = None
    """Write the report as a page here."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """Both logs, and how a column of theirs is read."""

    logs: tuple[LoggedDataset, LoggedDataset]
    whole: tuple[LoggedDataset, LoggedDataset]  # as they were read
    paths: tuple[Path, Path]
    rows: tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]
    names: tuple[str, ...]  # of their columns, as settings give them

    def column(self, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """(N,) of the reference and of the recent log."""
        read = [
            any_column(name, p, w, self.names) for p, w in zip(self.paths, self.whole, strict=True)
        ]
        a, b = (x if r is None else x[r] for x, r in zip(read, self.rows, strict=True))
        return a, b


def run(settings: Settings) -> int:
    """Compare, print, write."""
    if (settings.reference is None) == (settings.split is None):
        raise ValueError(
            "name one: --reference LOG, or --split of RECENT (a date, or a share: 0.5)"
        )
    check_metrics_file(settings.metrics)
    parts = _opened(settings)
    report = drift(
        *parts.logs,
        target=_target(settings, parts),
        time=None if settings.time is None else parts.column(settings.time)[1],
        segments={name: parts.column(name) for name in settings.segments},
        columns={name: parts.column(name) for name in settings.inputs},
        rule=DriftRule(
            level=settings.level,
            margin=settings.margin,
            monitored=settings.monitored,
            seed=settings.seed,
        ),
    )
    print(report)
    version = last_version(parts.logs[1].logger)
    write_readings(settings.metrics, drift_readings(report), version)
    if settings.json is not None:
        write_text(settings.json, report.to_json())
    if settings.page is not None:
        write_text(settings.page, report.to_html())
    return STATUS[report.verdict]


def _opened(settings: Settings) -> _Parts:
    items = items_beside([settings.target], settings.items)

    def read(path: Path) -> LoggedDataset:
        return open_named_log(path, settings.columns, settings.n_items, items=items)

    recent = read(settings.recent)
    if settings.reference is not None:
        logs = read(settings.reference), recent
        return _Parts(
            logs, logs, (settings.reference, settings.recent), (None, None), settings.columns
        )
    early = _early(settings, recent)
    rows = np.flatnonzero(early), np.flatnonzero(~early)
    logs = recent.take(rows[0]), recent.take(rows[1])
    return _Parts(logs, (recent, recent), (settings.recent,) * 2, rows, settings.columns)


def _early(settings: Settings, log: LoggedDataset) -> NDArray[np.bool_]:
    """(N,) rows of sessions of the reference: whole sessions, by their first decision."""
    assert settings.split is not None
    share = _share(settings.split)
    begun = np.arange(log.n_sessions, dtype=np.float64)
    if settings.time is not None:
        at = np.asarray(
            seconds(any_column(settings.time, settings.recent, log, settings.columns)), np.float64
        )
        begun = at[log.groups.first]
    elif share is None:
        raise ValueError(f"--split {settings.split} is a moment: --time names the column of times")
    if share is not None:
        before = np.argsort(np.argsort(begun, kind="stable")) < share * log.n_sessions
    else:
        before = begun < _moment(settings.split)
    if not before.any() or before.all():
        raise ValueError(
            f"--split {settings.split} leaves {int(before.sum())} of {log.n_sessions} sessions "
            "before it: choose a moment inside the log, or a share such as 0.5"
        )
    return np.asarray(before[log.sessions])


def _share(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < 1 else None


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float(np.asarray(seconds([text]))[0])


def _target(settings: Settings, parts: _Parts) -> Scores | None:
    """A saved policy scores both logs; a file of scores is of the recent one."""
    if settings.target is None:
        return None
    if settings.target != "uniform" and not Path(settings.target).is_dir():
        if settings.split is not None:
            raise ValueError("--split takes a saved policy as --target; scores are of one log")
        return None, scores_of(settings.target, parts.logs[1], columns=settings.columns)
    a, b = (scores_of(settings.target, log, seed=settings.seed) for log in parts.logs)
    return a, b

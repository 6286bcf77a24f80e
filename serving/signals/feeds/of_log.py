"""What a decision log says of drift and of its users, as readings."""

from __future__ import annotations

from collections.abc import Iterable

from offpolicy.drift.findings import Drift
from offpolicy.drift.record import SUBJECTS, DriftReport
from offpolicy.log.dataset import LoggedDataset
from offpolicy.poisoning.bots import Bots
from offpolicy.poisoning.heavy_users import top_share
from serving.arms import LIVE
from serving.metrics.text.watched import Reading, Readings


def drift_readings(report: DriftReport) -> Readings:
    """How many findings count, by subject; None of a subject that was not compared, or of which
    nothing counts and something cannot be told."""
    found: dict[tuple[str, str], Reading] = {}
    for subject in SUBJECTS:
        own = [f for f in report.findings if f.subject == subject]
        many = sum(f.counts for f in own)
        unsure = not own or (not many and any(f.level is Drift.CANNOT_TELL for f in own))
        found["longplay_drift_findings", subject] = None if unsure else float(many)
    return found


def user_readings(log: LoggedDataset, bots: Bots) -> Readings:
    """Shares of this log, which are counted and not estimated."""
    return {
        ("longplay_top_users_share", ""): top_share(log),
        ("longplay_bots_share", ""): bots.share_of_rows if bots.looked else None,
    }


def last_version(loggers: Iterable[object] | None) -> dict[str, str]:
    """By arm, of a log that knows no arms: the policy that drew its last row."""
    every = [] if loggers is None else [str(one) for one in loggers]
    return {LIVE: every[-1]} if every else {}

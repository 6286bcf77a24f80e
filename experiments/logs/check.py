"""`longplay check LOG`: is this log fit to be weighed?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from experiments.logs.log_files import open_log, scores_of
from offpolicy import Health, check_log
from offpolicy.storage.atomic import write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Examine a log; exit status 1 when it fails."""

    log: tyro.conf.Positional[Path]
    """A log (folder or file), or any table (.parquet, .csv, .jsonl) with --columns."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs: slate=item_id propensity=p; slate=a,b for two places."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    target_scores: Path | None = None
    """The target's probability of each logged slate (a file, or a folder that policies.save
    wrote), to check its support and mean weight too."""
    json: Path | None = None
    """Write the findings here."""


def run(settings: Settings) -> int:
    """Print the findings, worst last where the eye rests."""
    log = open_log(settings.log, settings.columns, settings.n_items)
    target = settings.target_scores
    scores = None if target is None else scores_of(str(target), log, columns=settings.columns)
    health = check_log(log, scores)
    print(log)
    print(health)
    if settings.json is not None:
        findings = [asdict(f) | {"level": f.level.name} for f in health.findings]
        verdict = {"verdict": health.verdict, "findings": findings}
        write_text(settings.json, json.dumps(verdict, indent=1))
    return 1 if health.verdict is Health.FAIL else 0

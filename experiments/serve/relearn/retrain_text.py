"""What `longplay retrain` and `longplay release lineage` print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from experiments.common.durations import date_of
from offpolicy.report import finite
from serving.relearning.cut import Cut
from serving.relearning.lineage import Lineage
from serving.relearning.running import Run


def lines_of(run: Run) -> str:
    """Why it learns or why not; then the cut, the gate and what to do."""
    if run.trigger is None or run.cut is None or run.challenge is None:
        return f"does not learn: {run.why}"
    challenge, lineage = run.challenge, run.challenge.lineage
    lines = [
        f"learns: {run.why}",
        f"cut: {about_cut(run.cut)}",
        f"taught: {lineage.taught:,} {lineage.unit}s; judged: {lineage.judged:,} others, whom "
        f"{lineage.parent} served",
        f"gate: {challenge.verdict}",
    ]
    for one in () if challenge.report is None else challenge.report.candidates:
        i = one.uplift
        lines.append(
            f"  {one.name}: uplift {i.value:+.4g} [{i.low:+.4g}, {i.high:+.4g}] at "
            f"{i.level:.0%} ({challenge.report.horizon})"  # type: ignore[union-attr]
        )
    lines.append(f"version: {challenge.version or 'none was added'}")
    return "\n".join([*lines, f"next: {challenge.next}"])


def record_of(run: Run) -> dict[str, Any]:
    """The same for a program."""
    record: dict[str, Any] = {"learns": run.challenge is not None, "why": run.why}
    if run.trigger is not None:
        record["trigger"] = run.trigger.kind
    if run.cut is not None:
        record["cut"] = json.loads(run.cut.to_json())
    if run.challenge is None:
        return record
    challenge = run.challenge
    record |= {
        "version": challenge.version,
        "ready": challenge.ready,
        "verdict": asdict(challenge.verdict),
        "lineage": json.loads(challenge.lineage.to_json()),
        "uplifts": {}
        if challenge.report is None
        else {one.name: asdict(one.uplift) for one in challenge.report.candidates},
        "next": challenge.next,
    }
    kept: dict[str, Any] = finite(record)
    return kept


def about_cut(cut: Cut) -> str:
    """A cut in a line."""
    when = "" if cut.first is None or cut.last is None else (
        f", {date_of(cut.first)} to {date_of(cut.last)}"
    )  # fmt: skip
    return f"{cut.name}: {cut.rows:,} decisions of {cut.sessions:,} sessions{when}, {cut.hash[:12]}"


def lineage_lines(found: Sequence[tuple[str, Lineage | None]]) -> str:
    """A version and those before it, the newest first."""
    lines = []
    for version, lineage in found:
        if lineage is None:
            lines.append(f"{version}  added by hand, or gone")
            continue
        settings = "".join(f" {k}={v}" for k, v in lineage.settings.items())
        way = "" if lineage.share is None else f", {lineage.share:.4g} of the way"
        lines += [
            f"{version}  {lineage.learner}{settings}{way}, seed {lineage.seed}",
            f"  cut      {about_cut(lineage.cut)}",
            f"  taught   {lineage.taught:,} {lineage.unit}s; judged by {lineage.judged:,}",
            f"  gate     {lineage.verdict}: {lineage.reason}",
            f"  code     {lineage.code}",
            f"  why      {lineage.trigger or 'not said'}",
            f"  parent   {lineage.parent or 'none'}",
        ]
    return "\n".join(lines)

"""`longplay trial read LOG --canary VERSION`: what a trial says now, at any look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from experiments.logs.item_names import open_named_log
from experiments.logs.log_files import any_column, scores_of
from experiments.trials.inputs import TrialLog, trial_of_events, trial_of_log
from experiments.trials.reading_text import agreement_lines, difference_rows, segment_lines
from offpolicy.log.groups import group
from offpolicy.tables import markdown
from offpolicy.trials.agreement import Agreement, agreement
from offpolicy.trials.difference import TUNED_AT, Difference, difference
from offpolicy.trials.exposure import SampleRatio, multiple_exposure, sample_ratio
from offpolicy.trials.of_log import METRICS, units_of_log
from offpolicy.trials.segments import Segments, segment_differences
from offpolicy.trials.units import TrialUnits
from serving.events.folder import SegmentFolder

SUSPECT = 0.001  # p-value of the sample ratio below which arms are not comparable
PER: tuple[Literal["user", "session"], ...] = ("user", "session")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Differences of two arms that hold at all looks, and whether the arms may be compared. Exit
    status 1 where they may not."""

    log: tyro.conf.Positional[str]
    """A decision log with `logger` and `user` (folder or file), any table with --columns; or with
    --reward the events of a server (folder or URL), whose decisions name their arm."""
    canary: str | None = None
    """The policy of the canary, as the column logger has it, or a part of its name."""
    control: str | None = None
    """The policy it is compared with; the one that wrote most of the other rows by default."""
    stratum: str | None = None
    """A column of the stages in which the canary's share was another."""
    share: tuple[float, ...] = ()
    """Of the users that were to get the canary, for the sample ratio: one number, or one for each
    stratum. Events tell it themselves."""
    segments: str | None = None
    """A column of parts of the users, known before the trial: a user is where the first decision
    in the log says."""
    past: Path | None = None
    """A log from before the trial: what users were paid there takes variance off."""
    policy: str | None = None
    """The saved canary: its value is also estimated from the control's rows."""
    reward: tuple[str, ...] = ()
    """Of events: what an outcome of each kind is worth, liked=1."""
    window: str = "10min"
    """Of events: how long after its decision an outcome counts."""
    now: str = "now"
    """Of events: sessions that are over at this moment count: now, a date, or `end`."""
    level: float = 0.95
    """Of the bounds."""
    tuned_at: float = TUNED_AT
    """Effective sessions at which bounds are narrowest, chosen before looking (trial plan)."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    json: Path | None = None
    """Write what was read here."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a trial says."""

    canary: str
    control: str
    users: int
    decisions: int
    by_user: int
    left_out: int
    comparable: bool
    sample_ratio: dict[str, SampleRatio]
    multiple_exposure: float | None  # None where the log names no users
    differences: dict[str, Difference]  # "reward per user" -> ...
    adjusted: Difference | None  # reward per user, less what the past explains
    segments: Segments | None
    agreement: Agreement | None


def read(settings: Read) -> tuple[str, Reading]:
    """What a person reads, and what a program reads."""
    trial = _opened(settings)
    past = None if settings.past is None else open_named_log(settings.past, settings.columns, None)
    units = units_of_log(trial.log, trial.rows, stratum=trial.stratum, past=past)
    options: dict[str, Any] = {"level": settings.level, "tuned_at": settings.tuned_at}
    ratios = _ratios(units, trial)
    twice = None if trial.log.user is None else multiple_exposure(units)
    parts = None
    if settings.segments is not None:
        column = any_column(
            settings.segments, Path(settings.log), trial.log, settings.columns
        ).astype("U")
        first = group(trial.log.unit).first
        of_user = dict(zip(trial.log.unit[first].tolist(), column[first].tolist(), strict=True))
        parts = segment_differences(units, of_user, "reward", **options)
    reading = Reading(
        trial.canary,
        trial.control,
        units.users.n,
        int(trial.rows.canary.sum() + trial.rows.control.sum()),
        trial.rows.by_user,
        trial.rows.left_out,
        all(r.p_value >= SUSPECT for r in ratios.values()) and not twice,
        ratios,
        twice,
        {
            f"{name} per {per}": difference(units, name, per=per, **options)
            for name in METRICS
            for per in PER
            if (name, per) != ("decisions", "user") or len(trial.log) > trial.log.n_sessions
        },
        None if past is None else difference(units, "reward", covariate=True, **options),
        parts,
        None if settings.policy is None else _agreement(settings, trial),
    )
    return text_of(reading, settings.level), reading


def _opened(settings: Read) -> TrialLog:
    if settings.reward:
        return trial_of_events(settings.log, settings.reward, settings.window, settings.now)
    if settings.canary is None:
        raise ValueError(
            "which policy is the canary? Give --canary VERSION, as the column logger names it; of "
            "a folder of events give --reward KIND=WORTH"
        )
    if Path(settings.log).is_dir() and SegmentFolder(settings.log).segments():
        raise ValueError(
            f"{settings.log} is a folder of events: give --reward KIND=WORTH to join them, and no "
            "--canary, as each decision names its arm"
        )
    return trial_of_log(
        Path(settings.log),
        settings.canary,
        settings.control,
        settings.stratum,
        settings.share,
        settings.columns,
        settings.n_items,
    )


def _ratios(units: TrialUnits, trial: TrialLog) -> dict[str, SampleRatio]:
    """Of each stratum whose share is known."""
    names = [""] if trial.stratum is None else np.unique(trial.stratum).astype("U").tolist()
    rows = units.cells.rows
    return {
        names[s] or "all": sample_ratio(
            int(rows[2 * i + 1]), int(rows[2 * i]), trial.shares[names[s]]
        )
        for i, s in enumerate(units.cells.strata.tolist())
        if 0 < trial.shares.get(names[s], 0.0) < 1
    }


def _agreement(settings: Read, trial: TrialLog) -> Agreement:
    """Of sessions that one arm served from their first decision to their last."""
    assert settings.policy is not None
    parts = []
    for rows in (trial.rows.control, trial.rows.canary):
        broken = np.bincount(trial.log.sessions, ~rows, trial.log.n_sessions)[trial.log.sessions]
        parts.append(trial.log.take(broken == 0))
    scores, own = (scores_of(settings.policy, log) for log in parts)
    return agreement(parts[0], scores, parts[1], own, level=settings.level)


def text_of(r: Reading, level: float) -> str:
    """Exposure first: without it nothing below means anything."""
    lines = [
        f"{r.decisions:,} decisions of {r.users:,} users; canary {r.canary}, control {r.control}"
    ]
    if r.by_user or r.left_out:
        lines.append(
            f"{r.by_user:,} decisions of other policies count for the arm of their user, "
            f"{r.left_out:,} belong to no arm"
        )
    for name, ratio in r.sample_ratio.items():
        fault = "" if ratio.p_value >= SUSPECT else ": USERS ARE MISSING IN AN ARM"
        lines.append(
            f"sample ratio ({name}): {ratio.canary:,} of {ratio.canary + ratio.control:,} users in "
            f"the canary, {ratio.observed:.4g} where {ratio.share:g} was promised, p = "
            f"{ratio.p_value:.3g}{fault}"
        )
    if not r.sample_ratio:
        lines.append("sample ratio: not tested; --share says what share of users was promised")
    if r.multiple_exposure is None:
        lines.append(
            "users seen in both arms of a stratum: not known; the log names no users, and each "
            "session counts as one"
        )
    else:
        fault = ": USERS DO NOT KEEP THEIR ARM" if r.multiple_exposure else ""
        lines.append(f"users seen in both arms of a stratum: {r.multiple_exposure:.3%}{fault}")
    if not r.comparable:
        lines.append("The arms may not be compared: find what broke the assignment first.")
    head = ["", "canary", "control", "difference", f"{level:.4g} at all looks", "se", "says"]
    rows = difference_rows(r.differences)
    if r.adjusted is not None:
        rows += difference_rows({"reward per user, less the past": r.adjusted})
    lines += ["", markdown(head, rows), "", "Each line holds by itself, not all of them together."]
    saved = None if r.adjusted is None else r.adjusted.saved
    if saved is not None:
        between = f"[{saved.low:.1%}, {saved.high:.1%}]"
        lines += ["", f"users' past took {saved.value:.1%} {between} of the variance away"]
    if r.segments is not None:
        lines += ["", *segment_lines(r.segments)]
    if r.agreement is not None:
        lines += ["", *agreement_lines(r.agreement)]
    return "\n".join(lines)

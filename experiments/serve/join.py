"""`longplay join EVENTS --out LOG`: what was served, and what came of it, as a decision log."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from experiments.common.durations import moment_of, seconds_of
from experiments.common.metrics_file import check_metrics_file, write_readings
from experiments.serve.join_report import report
from experiments.serve.places import reached_events
from offpolicy.storage.atomic import write_text
from serving.catalogue import Catalogue
from serving.joining.rule import JoinRule, Shape, UserCap
from serving.joining.stream import join_log
from serving.joining.survey import Survey, shape_of, survey
from serving.links.urls import shown
from serving.signals.feeds.joined import JoinedDays

ENDS = ("terminated", "truncated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Join decisions and outcomes of an event log; sessions that are over become rows."""

    events: tyro.conf.Positional[str]
    """A folder of events, or the URL of a server of them (redis://..., nats://...). It may be
    written to meanwhile."""
    out: Path
    """A new folder for the decision log."""
    reward: tuple[str, ...] = ()
    """What an outcome of each kind is worth: liked=1 purchase=5. The reward is the sum of worth x
    value over the outcomes of a decision. Leave it out to see the kinds that the log holds."""
    window: str = "10min"
    """How long after its decision an outcome counts: 30s, 10min, 2h, 1d."""
    windows: tuple[str, ...] = ()
    """The same for single kinds: purchase=1d."""
    idle: str = "30min"
    """A session is over when nothing was decided in it for so long; not less than the server's."""
    idle_end: Literal["terminated", "truncated"] = "truncated"
    """How a session ended that nobody ended: the user left, or we stopped looking."""
    cap: tuple[str, ...] = ()
    """The most that one user may add in one --cap-window: reward=50 decisions=200. What is beyond
    is cut and counted; `longplay check` and heavy users' tails tell how much is much."""
    cap_window: str = "1d"
    """Of --cap."""
    now: str = "now"
    """Sessions that are over at this moment are joined: now, a date, or `end`: nothing comes any
    more, so that all of them are."""
    policy: tuple[str, ...] = ()
    """Join the decisions of these versions alone; needed where versions are of different sizes."""
    items: Path | None = None
    """The catalogue's names, where the events do not hold them: a file, as the server has it."""
    metrics: Path | None = None
    """A file whose name ends with .prom, for the textfile collector of Prometheus' node exporter:
    what the last day was worth, by arm, and histories that are not the
    log's. The alerts of `longplay signals` read it."""
    json: Path | None = None
    """Write the counts and the rule of the join here."""


def run(settings: Settings) -> int:
    """Join, and say what was found."""
    if settings.out.exists():
        raise ValueError(
            f"{settings.out} exists. A join is made anew from all events: give a new --out, and "
            "remove the old log when you no longer need it"
        )
    check_metrics_file(settings.metrics)
    rule, now, days = rule_of(settings), moment_of("--now", settings.now), JoinedDays()
    with reached_events(settings.events) as events:
        found = survey(events)
        if not settings.reward:
            raise ValueError(kinds_said(found))
        shape, versions = shape_of(found.starts, settings.policy)
        shape, only = named(shape, settings.items), None if versions is None else versions.have
        counts = join_log(events, settings.out, rule, shape, now=now, only=only, each=days.add)
    write_readings(settings.metrics, days.readings(), days.versions())
    print(report(found, counts, rule, settings.out))
    for kind in sorted(rule.reward.keys() - found.kinds.keys()):
        print(f"--reward {kind}: no outcome is of this kind. {kinds_said(found)}", file=sys.stderr)
    if settings.json is not None:
        where = shown(settings.events) if "://" in settings.events else settings.events
        record = {"events": where, "now": settings.now, "counts": dict(counts)}
        made = {"window": rule.window, "windows": dict(rule.windows), "reward": dict(rule.reward)}
        made |= {"idle": rule.idle, "idle_end": rule.idle_end}
        made |= {"cap": None if rule.cap is None else asdict(rule.cap)}
        write_text(settings.json, json.dumps(record | {"rule": made}, indent=1))
    return 0


def rule_of(settings: Settings) -> JoinRule:
    """Raises ValueError, which names the option."""
    counted = counted_by(settings.reward, settings.window, settings.windows)
    idle = seconds_of("--idle", settings.idle)
    return replace(counted, idle=idle, idle_end=settings.idle_end, cap=cap_of(settings))


def counted_by(reward: tuple[str, ...], window: str, windows: tuple[str, ...] = ()) -> JoinRule:
    """How outcomes count, by the options --reward, --window and --windows. Raises ValueError,
    which names the option."""
    return JoinRule(
        window=seconds_of("--window", window),
        windows={
            kind: seconds_of(f"--windows {kind}", text)
            for kind, text in pairs_of("--windows", windows, "purchase=1d").items()
        },
        reward={
            kind: worth_of(kind, text)
            for kind, text in pairs_of("--reward", reward, "liked=1").items()
        },
    )


def cap_of(settings: Settings) -> UserCap | None:
    """Raises ValueError, which names the option."""
    if not settings.cap:
        return None
    most = {
        name: worth_of(name, text, "--cap")
        for name, text in pairs_of("--cap", settings.cap, "reward=50").items()
    }
    if unknown := most.keys() - {"reward", "decisions"}:
        raise ValueError(f"--cap {min(unknown)}: caps are reward=50 and decisions=200")
    decisions = most.get("decisions")
    if decisions is not None and not decisions.is_integer():
        raise ValueError(f"--cap decisions={decisions:g}: give a whole number")
    return UserCap(
        reward=most.get("reward"),
        decisions=None if decisions is None else int(decisions),
        window=seconds_of("--cap-window", settings.cap_window),
    )


def named(shape: Shape, items: Path | None) -> Shape:
    """With the item names of a file. Raises ValueError where those of the events are others."""
    if items is None:
        return shape
    names = Catalogue.from_file(items).names
    if len(names) != shape.n_items or shape.item_names not in (None, names):
        raise ValueError(
            f"--items {items}: its {len(names)} names are not those of the {shape.n_items} items "
            "that were served"
        )
    return replace(shape, item_names=names)


def pairs_of(option: str, entries: tuple[str, ...], example: str) -> dict[str, str]:
    """Name=text entries of an option. Raises ValueError, which names it and shows an example."""
    pairs = {}
    for entry in entries:
        kind, _, text = entry.rpartition("=")
        if not kind or not text:
            raise ValueError(f"{option} {entry}: write it as {example}")
        if kind in pairs:
            raise ValueError(f"{option} {entry}: {kind} is given twice")
        pairs[kind] = text
    return pairs


def worth_of(kind: str, text: str, option: str = "--reward") -> float:
    """A number of an option. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option} {kind}={text}: write a number, as {kind}=1") from None


def kinds_said(found: Survey) -> str:
    """What can be rewarded, and how to say it."""
    if not found.kinds:
        return (
            f"the log holds {found.events['decision']:,} decisions and no outcome: POST /outcome, "
            "or Engine.outcome, reports what came of a decision"
        )
    told = ", ".join(f"{kind} {n:,}" for kind, n in found.kinds.most_common())
    likely = [kind for kind, _ in found.kinds.most_common() if kind not in ENDS]
    example = f"--reward {likely[0]}=1" if likely else "--reward KIND=1"
    return f"say what outcomes are worth, as {example}. Kinds in the log: {told}"

"""`longplay release watch`: steps the rollout until it ends, a line a step."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from experiments.common.durations import seconds_of
from experiments.common.metrics_file import check_metrics_file, write_readings
from experiments.serve.places import followed_events
from experiments.serve.release.rollout_text import step_line
from serving import Registry
from serving.rollout.actions import ALERT, Step
from serving.rollout.controller import Controller
from serving.rollout.journal import Journal, as_dict
from serving.rollout.lease import ControllerRunsError
from serving.signals.readings import events_read, readings_of, versions_of

PROMOTED, BACK, HELD_BY_ANOTHER = 0, 1, 3  # exit status; 2 is for bad input
GOES_ON = 0  # of one look
PATIENCE = 10  # looks in a row that may fail: a server of events that is away comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Look at the event log and move the rollout, until it ends: exit status 0 where the version
    serves all users, 1 where it was taken back or somebody else moved the pointer, 3 where another
    controller runs. It may be killed and started again at any moment."""

    registry: Path
    """The registry's folder."""
    events: str | None = None
    """The event log of the server, as of `longplay release canary`."""
    every: str = "1min"
    """Time between two looks."""
    once: bool = False
    """Look once: exit status 0 also where it goes on."""
    by: str = "controller"
    """Stands in the history."""
    metrics: Path | None = None
    """A file whose name ends with .prom, for the textfile collector of Prometheus' node exporter:
    written whole after each look. The alerts of `longplay signals` read it."""
    json: bool = False
    """Print each step as a line of JSON, with all numbers that it saw."""


def watch(settings: Watch) -> int:
    """Step it, and say each step."""
    registry, every = Registry(settings.registry), seconds_of("--every", settings.every)
    check_metrics_file(settings.metrics)
    journal, failures = Journal(registry.folder), 0
    with followed_events(settings.registry, settings.events) as events:
        one = Controller(registry, events, by=settings.by)
        try:
            while True:
                try:
                    step = one.look()
                    failures = 0
                except ControllerRunsError as error:
                    print(f"longplay release watch: {error}", file=sys.stderr)
                    return HELD_BY_ANOTHER
                except OSError as error:
                    failures += 1
                    if settings.once or failures > PATIENCE:
                        raise
                    print(f"looked in vain, and will again: {error}", file=sys.stderr, flush=True)
                else:
                    if settings.metrics is not None:
                        _expose(journal, one, settings.metrics)
                    if step is None:
                        return _ended(journal)
                    _say(journal, step, one, settings.json)
                    if step.state.final:
                        return _ended(journal)
                    if settings.once:
                        return GOES_ON
                time.sleep(every)
        finally:
            one.close()


def _say(journal: Journal, step: Step, one: Controller, as_json: bool) -> None:
    made = journal.last()
    assert made is not None
    print(json.dumps(as_dict(made)) if as_json else step_line(made), flush=True)
    for action in step.actions:
        if action.kind == ALERT:
            print(f"ALERT: {action.text}", file=sys.stderr, flush=True)
    if one.reader is not None and one.reader.follower.unreadable is not None:
        n = one.reader.counts["unreadable_events"]
        print(
            f"{n:,} events cannot be read: {one.reader.follower.unreadable}",
            file=sys.stderr,
            flush=True,
        )
        one.reader.follower.unreadable = None


def _expose(journal: Journal, one: Controller, file: Path) -> None:
    """What the last look saw, for Prometheus; of a rollout that has ended, that it has."""
    record = journal.load()
    if record is not None:
        last = journal.last() if record.ended is None else None
        found = readings_of(record, last)
        if one.reader is not None and record.ended is None:
            read, missing = one.reader.follower.read, one.reader.counts["missing_events"]
            found = {**found, **events_read(record.read, read, missing)}
        write_readings(file, found, versions_of(record))


def _ended(journal: Journal) -> int:
    record = journal.load()
    if record is None:
        raise ValueError(
            f"no rollout began in {journal.folder}: longplay release canary VERSION --registry "
            f"{journal.folder}"
        )
    print(f"{record.state.version}: {record.ended}", flush=True)
    return PROMOTED if record.state.phase == "done" else BACK

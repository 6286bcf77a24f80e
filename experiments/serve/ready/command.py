"""`longplay release readiness`: the pre-production and the production checklist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import tyro

from experiments.serve.durations import seconds_of
from experiments.serve.places import reached_events
from experiments.serve.ready import events, records, server, versions
from experiments.serve.ready.line import Finding, Line, check, record_of, text_of
from experiments.serve.ready.versions import Subject, subject_of
from serving.registry.registry import LIMIT, Registry

MB = 1_000_000
GIVE = "give {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Two checklists, each line with its proof: before a version serves users, and while it does.
    Exit status 0 only if every line holds that is not waived."""

    version: tyro.conf.Positional[str | None] = None
    """A version, or the beginning of one; by default the canary, else the live one."""
    registry: Path
    """The registry's folder."""
    stage: Literal["both", "pre-production", "production"] = "both"
    """Which list."""
    waive: tuple[str, ...] = ()
    """Names of lines that need not hold here; they are printed all the same."""
    log: Path | None = None
    """The log that the policy was judged on, for the log doctor."""
    load: Path | None = None
    """What longplay traffic --json printed, of a load test."""
    crash: Path | None = None
    """What longplay benchmark serving --parts kill printed."""
    trial: Path | None = None
    """The plan that longplay trial plan --json wrote."""
    drift: Path | None = None
    """The report of longplay drift, as JSON."""
    alerts: tuple[Path, ...] = ()
    """Files of Prometheus alert rules."""
    runbook: Path | None = None
    """The runbook for who is on call, Markdown."""
    events: str | None = None
    """The event log: a folder, or the URL of a server."""
    url: str | None = None
    """The running server."""
    token_file: Path | None = None
    """A file with the token that the server asks for; by default $LONGPLAY_TOKEN."""
    prometheus: str | None = None
    """URL of the Prometheus that reads the server."""
    window: str = "10min"
    """How long after its decision an outcome counts."""
    last: int = 20_000
    """Events of each writer, the last ones, that are examined one by one."""
    limit_mb: float = LIMIT / MB
    """What a version may take, on disk or in memory while it is loaded."""
    json: bool = False
    """Print JSON."""


def readiness(settings: Readiness) -> tuple[str, dict[str, Any]]:
    """What a person reads and what a program reads, whose `ready` says all."""
    registry = Registry(settings.registry, limit=int(settings.limit_mb * MB))
    subject = subject_of(registry, settings.version)
    lines: list[Line] = []
    if settings.stage != "production":
        lines += before(settings, subject)
    if settings.stage != "pre-production":
        lines += during(settings, subject)
    unknown = set(settings.waive) - {line.name for line in lines}
    if unknown:
        raise ValueError(
            f"--waive {sorted(unknown)[0]}: there are {', '.join(line.name for line in lines)}"
        )
    lines = [replace(line, waived=line.name in settings.waive) for line in lines]
    head = f"version {subject.version.version} of {settings.registry}\n\n"
    return head + text_of(lines), {"version": subject.version.version} | record_of(lines)


def before(settings: Readiness, s: Subject) -> Sequence[Line]:
    """What must hold before a version serves users."""
    where, own = settings.registry, s.version.version
    again = f"longplay release add POLICY --registry {where}"
    line = partial(check, "pre-production")
    return [
        line(
            "gate",
            "the gate's report is kept, and passed",
            f"longplay gate LOG --target POLICY --out gate.json; {again} --gate gate.json",
            lambda: versions.gate(s),
        ),
        line(
            "log",
            "the log it was judged on is fit to be weighed",
            GIVE.format("--log LOG, and mend what longplay check says of it"),
            lambda: records.log(settings.log, s.version.evidence.log),
        ),
        line(
            "golden",
            "golden requests are answered as when it was added",
            f"{again}, on this machine",
            lambda: versions.golden(s),
        ),
        line(
            "rules",
            "rules are in force, and slates keep them",
            "put the policy under rules (policies.constrained), or --waive rules",
            lambda: versions.rules(s),
        ),
        line(
            "sizes",
            "catalogue and sizes are those of what serves now",
            "stop the servers, promote, start them again; then --waive sizes",
            lambda: versions.sizes(s),
        ),
        line(
            "load",
            "a load test met P95, P99 and success",
            GIVE.format("--load: longplay traffic --url URL --rps N --json > load.json"),
            lambda: records.load(settings.load),
        ),
        line(
            "crash",
            "kill -9 under load lost nothing acknowledged",
            GIVE.format("--crash: longplay benchmark serving --parts kill > crash.md"),
            lambda: records.crash(settings.crash),
        ),
        line(
            "memory",
            "it is under the limit of size and memory",
            f"make it smaller, or raise --limit-mb; {again} measures it",
            lambda: versions.memory(s),
        ),
        line(
            "rollback",
            "a rollback was rehearsed in a copy",
            "add and promote a version to fall back to, popularity for example",
            lambda: versions.rollback(s),
        ),
        line(
            "secret",
            "the secret is set, and others cannot read it",
            f"chmod 600 {where / 'secret'}, or set LONGPLAY_SECRET",
            lambda: versions.secret(s),
        ),
        line(
            "fallback",
            "items are named that may always be shown",
            f"longplay release promote {s.pointer.live or own} --registry {where} --fallback ITEM",
            lambda: versions.fallback(s),
        ),
        line(
            "trial",
            "the trial's size is planned",
            GIVE.format("--trial: longplay trial plan LOG --json trial.json"),
            lambda: records.trial(settings.trial),
        ),
    ]


def during(settings: Readiness, s: Subject) -> Iterator[Line]:
    """What must hold while it serves."""
    line = partial(check, "production")
    url = None if settings.url is None else server.Server(settings.url, _token(settings))
    yield line(
        "ready",
        "the server answers",
        "give --url; longplay serve says why it does not start",
        lambda: server.ready(url),
    )
    yield line(
        "version",
        "what is served is what the pointer names",
        "look at longplay_load_failures in /metrics: the server could not load the version",
        lambda: server.version(url, s.registry, s.pointer),
    )
    yield from _of_events(settings, s)
    yield line(
        "metrics",
        "/metrics has every signal",
        "pip install 'longplay[serve]' of this version, and restart the server",
        lambda: server.metrics(url),
    )
    yield line(
        "scraped",
        "Prometheus reads them",
        "give --prometheus URL; add the server to its scrape_configs",
        lambda: server.scraped(settings.prometheus),
    )
    yield line(
        "alerts",
        "alert rules are there and valid",
        "give --alerts FILE ...",
        lambda: records.alerts(settings.alerts),
    )
    yield line(
        "drift",
        "neither value nor overlap moved",
        "give --drift FILE; of an alarm do what it says",
        lambda: records.drift(settings.drift),
    )
    yield line(
        "previous",
        "the version before loads",
        "add the version before again, which mends it",
        lambda: versions.previous(s),
    )
    yield line(
        "runbook",
        "who is on call finds what to do",
        "give --runbook FILE with a heading for each kind of fault",
        lambda: records.runbook(settings.runbook),
    )


def _of_events(settings: Readiness, s: Subject) -> Iterator[Line]:
    """Lines of one reading of the event log."""
    window, made = seconds_of("--window", settings.window), list[events.Events]()
    with ExitStack() as stack:

        def read() -> events.Events:
            if not made:
                assert settings.events is not None
                log = stack.enter_context(reached_events(settings.events))
                made.append(events.read_events(log, settings.last))
            return made[0]

        checks = (
            ("numbers", "the event log is complete", "find the writer or disk that lost them",
             lambda: events.numbers(read())),
            ("outcomes", "outcomes arrive", "look at the callers of POST /outcome",
             lambda: events.outcomes(read(), window)),
            ("weight", "logged propensities are those played", "roll back; longplay check the log",
             lambda: events.weight(read())),
            ("violations", "no slate breaks a rule", "roll back, and mend the rules",
             lambda: events.breaches(read(), s)),
            ("skew", "policies see the histories that the log derives",
             "look at the session store: it lags or lost outcomes",
             lambda: events.skew(read())),
            ("arms", "the canary has its share of users", "longplay release show canary; restart "
             "servers that do not follow", lambda: events.arms(read(), s.pointer)),
        )  # fmt: skip
        for name, what, fix, find in checks:
            given: Finding = (None, "no event log was given (--events)")
            find_it = find if settings.events is not None else partial(_same, given)
            yield check("production", name, what, f"give --events; {fix}", find_it)


def _same(finding: Finding) -> Finding:
    return finding


def _token(settings: Readiness) -> str | None:
    from serving.http.tokens import read_token

    return read_token(settings.token_file)

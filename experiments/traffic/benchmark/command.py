"""`longplay benchmark serving`: load, overload, kills, a full disk, stores that are gone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.traffic.benchmark.bench import Row
from policies.validation import COUNT, POSITIVE

Part = Literal["load", "plain", "kill", "swap", "disk", "redis", "nats"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`longplay serve` on two cores that the load shares, each figure beside its target. A policy
    of SASRec and a softmax under four rules, candidates retrieved by item vectors."""

    parts: tuple[Part, ...] = ("load", "plain", "kill", "swap", "disk", "redis", "nats")
    rps: tuple[float, ...] = (500.0, 1000.0)
    """Decisions a second, one after another; outcomes come on top."""
    seconds: float = 60.0
    """At each rate."""
    plain_seconds: float = 30.0
    """Of the plain handler, at the first rate."""
    overload_seconds: float = 30.0
    """At twice the capacity."""
    probe_seconds: float = 5.0
    """At each rate that is tried for the capacity."""
    kills: int = 20
    kill_rps: float = 200.0
    outage_rps: float = 100.0
    outage_seconds: float = 30.0
    """With a full disk, with a store that is killed and comes back, and with another version made
    live."""
    rows: int = 10_000
    """Items of the catalogue."""
    candidates: int = 200
    slate_size: int = 10
    history: int = 50
    dim: int = 64
    users: int = 20_000
    seed: int = 0
    """Of the random numbers."""
    folder: Path | None = None
    """Where registry, logs and the server's errors are kept; a temporary folder by default."""

    def __post_init__(self) -> None:
        COUNT.check("kills", self.kills)
        for name in ("seconds", "plain_seconds", "overload_seconds", "probe_seconds",
                     "kill_rps", "outage_rps", "outage_seconds"):  # fmt: skip
            POSITIVE.check(name, getattr(self, name))
        if not self.rps or not self.parts:
            raise ValueError("--rps and --parts need at least one value each")


def run(settings: Settings) -> int:
    """Print a row a figure: measured, its target, and whether it is met."""
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from experiments.common.tables import text_table
    from experiments.traffic.benchmark.bench import prepare
    from experiments.traffic.benchmark.crash import audited_main, crash
    from experiments.traffic.benchmark.disk import full_disk
    from experiments.traffic.benchmark.load import load, plain
    from experiments.traffic.benchmark.policy import Sizes
    from experiments.traffic.benchmark.stores import store_killed
    from experiments.traffic.benchmark.swap import swap
    from experiments.traffic.record import Record
    from experiments.traffic.visits import Behaviour

    sizes = Sizes(
        n_items=settings.rows, n_candidates=settings.candidates, slate_size=settings.slate_size,
        history=settings.history, dim=settings.dim,
    )  # fmt: skip
    rows, records = [_machine()], list[Record]()
    with ExitStack() as stack:
        folder = settings.folder
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="longplay-serving-")))
        bench = prepare(folder, sizes, Behaviour(users=settings.users), settings.seed)
        if "load" in settings.parts:
            more, played = load(
                bench, settings.rps, settings.seconds, settings.probe_seconds,
                settings.overload_seconds,
            )  # fmt: skip
            rows, records = rows + more, records + played
        if "plain" in settings.parts:
            rows += plain(bench, settings.rps[0], settings.plain_seconds)
        if "kill" in settings.parts:
            more, killed = crash(bench, settings.kills, settings.kill_rps)
            rows, records = rows + more, [*records, killed]
        if records:
            rows += audited_main(bench, records)
        if "swap" in settings.parts:
            rows += swap(bench, settings.outage_rps, settings.outage_seconds)
        if "disk" in settings.parts:
            rows += full_disk(bench, settings.outage_rps, settings.outage_seconds)
        for kind in ("redis", "nats"):
            if kind in settings.parts:
                rows += store_killed(bench, kind, settings.outage_rps, settings.outage_seconds)
    print(
        f"SASRec (d {sizes.dim}) + 4 rules, top {sizes.n_candidates} of {sizes.n_items:,} items, "
        f"slates of {sizes.slate_size}, histories of {sizes.history}; times in ms are counted from "
        "when each request was due, [95 % interval]"
    )
    print(text_table([row.cells() for row in rows]))
    missed = sum(row.met is False for row in rows)
    print(f"{missed} of {sum(row.met is not None for row in rows)} targets missed")
    return 0


def _machine() -> Row:
    """What else this machine was doing: without two cores to itself the server misses its times."""
    busy, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    return Row("machine", "load average at the start; cores", f"{busy:.1f}; {cores}")

"""What the server answers while what it logs to is gone, and once it is back."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from experiments.traffic.benchmark.bench import Bench, Row, zero
from experiments.traffic.benchmark.process import ServerProcess
from experiments.traffic.play import play
from experiments.traffic.record import Record
from experiments.traffic.report import percent
from experiments.traffic.schedule import Phase
from experiments.traffic.summary import share

ALARM = "failed; the fallback is served"  # in the server's own log
MARGIN = 0.5  # s around the outage that are not judged


@dataclass(slots=True)
class Watched:
    """What happened meanwhile; times are of the performance counter, in s."""

    failing: list[str] = field(default_factory=list)  # what /ready names in the outage
    gone: float = 0.0
    coming: float = 0.0  # when it began to come back
    back: float = 0.0
    failed: Exception | None = None


def outage(
    bench: Bench,
    server: ServerProcess,
    phase: Phase,
    take_away: Callable[[], None],
    bring_back: Callable[[], None],
    turn: int,
) -> tuple[Record, Watched]:
    """Load, in whose middle third something is away. Raises what taking it away or bringing it back
    raises."""
    watched = Watched()

    def act() -> None:
        try:
            time.sleep(phase.seconds / 3)
            take_away()
            watched.gone = time.perf_counter()
            time.sleep(phase.seconds / 3)
            with urlopen(f"{server.url}/ready", timeout=10) as answer:
                watched.failing.extend(json.load(answer).get("failing", ()))
            watched.coming = time.perf_counter()
            bring_back()
            watched.back = time.perf_counter()
        except Exception as error:  # noqa: BLE001  (raised below)
            watched.failed = error

    actor = threading.Thread(target=act, name="outage")
    actor.start()
    record = play(server.url, bench.plan([phase], turn))
    actor.join()
    if watched.failed is not None:
        raise watched.failed
    return record, watched


def outage_rows(part: str, record: Record, watched: Watched, errors: str) -> list[Row]:
    """Whether everybody was served, by the fallback while nothing could be logged, and whether
    anybody was told. errors: the server's own log."""
    good, mine = record.decides.good, record.by_policy
    due, done = np.array(record.decides.due), np.array(record.decides.done)
    gone, coming, back = (at - record.began for at in (watched.gone, watched.coming, watched.back))
    early = done < coming  # answered before it came back
    during = (due > gone + MARGIN) & (due < coming - MARGIN)
    first, alarms = done[mine & (due > back)].min(initial=np.inf), errors.count(ALARM)
    return [
        Row(part, "decide success", percent(share(int(good.sum()), len(good))), "> 99.9%",
            bool(good.mean() > 0.999)),
        Row(part, "by the fallback, before the outage", _reasons(record, due < gone)),
        Row(part, "by the fallback, during the outage", _reasons(record, during), "some",
            bool((during & good & ~mine).any())),
        zero(part, "by the policy, during the outage", int((mine & early & during).sum()),
             f" of {int(during.sum()):,}"),
        Row(part, "by the fallback, afterwards", _reasons(record, due > back)),
        Row(part, "what /ready then names", ", ".join(watched.failing) or "nothing", "some part",
            bool(watched.failing)),
        Row(part, "alarms in the server's own log", f"{alarms}", "> 0", alarms > 0),
        Row(part, "s until the policy answers again", f"{first - back:.1f}",
            "some", bool(first < np.inf)),
    ]  # fmt: skip


def _reasons(record: Record, within: NDArray[np.bool_]) -> str:
    """Why the fallback answered those of the decisions (N,)."""
    rows = [row for row in record.fallback if within[row]]
    reasons = Counter(record.fallback[row] for row in rows)
    said = ", ".join(f"{n:,} x {why}" for why, n in reasons.most_common())
    return (said or "none") + f" of {int(within.sum()):,}"

"""The table of faults: what sees each, after how many decisions, what the controller does, and what
the log is worth afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.faults.judging import told as told_of_logs
from experiments.faults.releases import Release
from experiments.faults.service.fault import Fault
from offpolicy.tables import markdown

Played = Sequence[Mapping[str, Any]]
Kind = Fault | Release
NEEDED = 0.95  # of the runs, in which a fault is seen
HEAD = (
    "fault", "what happens", "seen", "decisions until then: median, P95", "signals that fired",
    "the controller", "the log afterwards",
)  # fmt: skip


def seen_after(fault: Kind, played: Played) -> list[int]:
    """Decisions from the fault to the first signal that ought to see it, where one did."""
    found = (fault.detection(one["fired"]) for one in played)
    return sorted(n for n in found if n is not None)


def holds(fault: Kind, played: Played) -> bool | None:
    """Whether at least 19 of 20 runs saw it; None where nothing can."""
    if fault.unseen:
        return None
    return len(seen_after(fault, played)) >= NEEDED * len(played)


def table(
    faults: Sequence[Kind], records: Mapping[str, Played], true: float, of_releases: float
) -> str:
    """Markdown. true: what the target is worth that logs are judged by; of_releases: the same among
    the users of releases."""
    rows = [
        row(fault, records[fault.name], of_releases if isinstance(fault, Release) else true)
        for fault in faults
        if records.get(fault.name)
    ]
    return markdown(HEAD, rows, left=2)


def row(fault: Kind, played: Played, true: float) -> tuple[str, ...]:
    """One fault."""
    seen = seen_after(fault, played)
    ok = holds(fault, played)
    told = f"{len(seen)} of {len(played)}" + {True: "", False: " (too few)", None: ""}[ok]
    if fault.unseen:
        told = f"not seen: {fault.unseen}"
    when = "-" if not seen else f"{np.median(seen):.0f}, {np.quantile(seen, 0.95):.0f}"
    return (
        fault.title,
        fault.stands_for,
        told,
        when,
        _signals(fault, played),
        _controller(played),
        told_of_logs(played, true),
    )


def _signals(fault: Kind, played: Played) -> str:
    """Those that fired in half of the runs at least, and how often; those that ought to see it
    first, whatever their share."""
    n = Counter(key for one in played for key in one["fired"])
    own = [key for key in fault.seen_by if n[key]]
    others = [key for key, k in n.most_common() if key not in own and 2 * k >= len(played)]
    return "; ".join(f"{short(key)} {n[key]}" for key in (*own, *others)) or "none"


def _controller(played: Played) -> str:
    """How rollouts stood at the end, how often, and why mostly."""
    ends = Counter(one["steps"][-1]["phase"] if one["steps"] else "none" for one in played)
    said = "; ".join(f"{phase.replace('_', ' ')} {n}" for phase, n in ends.most_common())
    stops = Counter(
        key.removeprefix("rollout: ")
        for one in played
        for key in one["fired"]
        if key.startswith("rollout: ")
    )
    why = ", ".join(f"{kind} {n}" for kind, n in stops.most_common(3))
    return f"{said} ({why})" if why else said


def short(key: str) -> str:
    """An alarm without what all alarms are called."""
    return key.removeprefix("Longplay")


def clean_table(alarms: Mapping[str, int], days: int) -> str:
    """Of signals that fired on days without a fault: on how many, with their target."""
    rows = [
        (short(key), f"{n} of {days}", f"{100 * n / days:.1f}", "yes" if 100 * n <= days else "NO")
        for key, n in alarms.items()
    ]
    if not rows:
        return f"No signal fired on {days} days without a fault."
    return markdown(("signal", "days", "in 100 days", "at most 1 in 100"), rows, left=1)


NOTES = """\
Days of a small service through the real engine (about 1,700 decisions a day, 25 % of the users with
a canary that is as good), on a simulated clock; the fault comes at a moment of its own between half
past three and six. Signals are alarms of the one table (`longplay signals`), with the indicators of
the day before as their reference; `rollout` is the controller, `count` the join, `engine` the part
that failed. Looks are an hour apart (some 70 decisions), joins of the log six hours; windows and
limits of time are 30 times as long as the table's, which are made for tens of times the traffic.
Decisions are counted from the fault to the first signal that ought to see it. Latencies are those
of a simulated timer. The log of the first runs is judged: `check_log`, `evaluate` and the gate, on
all that was logged on that day."""

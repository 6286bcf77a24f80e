"""`longplay benchmark fuzz`: odd and hostile calls of every registry and command, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from experiments.common.run_folder import RunFolder, open_run
from experiments.common.workers import Parallel, executor_of, results
from experiments.reliability.fuzz.calls import Told
from experiments.reliability.fuzz.catalogue import PARTS, check_parts
from experiments.reliability.fuzz.supervision import Limits, called
from offpolicy.tables import markdown
from policies.validation import COUNT, whole

BLOCK = 1000  # calls of one process
EXAMPLES = 3  # of each kind of fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Parallel):
    """Call every entry of every registry, and every command, with odd and hostile arguments. Each
    call must answer or refuse with a message. Status 1 where one did not."""

    calls: int = 50_000
    """How many."""
    seed: int = 0
    """Of the arguments: call number i of a seed is the same in every run."""
    parts: tuple[str, ...] = ()
    """Of policies, rules, encoders, worlds, estimators, logs, serving, commands; all by default."""
    first: int = 0
    """Number of the first call: a fault is seen again by --first I --calls 1, with the same
    --parts."""
    cpu_seconds: int = 60
    """Of a call; one that takes more is a hang."""
    memory_mb: int = 8_000
    """Address space of a process of calls, of which the libraries take about half."""

    def __post_init__(self) -> None:
        COUNT.check_all(self, "calls", "cpu_seconds", "memory_mb", "workers")
        whole(0).check_all(self, "seed", "first")
        check_parts(self.parts)


def run(settings: Settings) -> int:
    """Make the calls that are left to make, print the table, write it; 1 where there are faults."""
    folder = open_run(settings.out, "fuzz", settings, settings.resume)
    print(f"run folder: {folder.path}", flush=True)
    parts = settings.parts or tuple(PARTS)
    limits = Limits(settings.cpu_seconds, settings.memory_mb)
    last = settings.first + settings.calls
    blocks = range(settings.first, last, BLOCK)
    jobs = [
        (parts, settings.seed, first, min(first + BLOCK, last), limits)
        for first in blocks
        if not folder.has(f"{first:08d}")
    ]
    for (_, _, first, _, _), told in results(called, jobs, executor_of(settings), folder):
        folder.write_json(f"stages/{first:08d}.json", [asdict(one) for one in told])
        print(f"{first:8d} {_counted(told)}", flush=True)
    told = [one for first in blocks for one in _read(folder, first)]
    text = report(told, settings.first)
    folder.write_text("fuzz.md", text)
    print(text)
    return int(any(one.fault for one in told))


def _read(folder: RunFolder, first: int) -> list[Told]:
    return [Told(**one) for one in folder.read_json(f"stages/{first:08d}.json")]


def _counted(told: Iterable[Told]) -> str:
    counts = Counter(one.outcome for one in told)
    return ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))


def report(told: list[Told], first: int) -> str:
    """Calls by part, and examples of every fault with the number of its call."""
    by_part: dict[str, list[Told]] = {}
    for one in told:
        by_part.setdefault(one.target.split(":")[0], []).append(one)
    rows = [
        [name, str(len({one.target for one in mine})), *_row(mine)]
        for name, mine in [*sorted(by_part.items()), ("all", told)]
    ]
    head = ["part", "entries", "calls", "answered", "refused", "faults"]
    faults: dict[tuple[str, str], list[str]] = {}
    for number, one in enumerate(told, first):
        if one.fault:
            kind = one.outcome, one.says.rsplit(" at ", 1)[-1]
            faults.setdefault(kind, []).append(
                f"- call {number}, {one.target}: {one.outcome}, {one.says}\n  `{one.arguments}`"
            )
    found = [line for lines in faults.values() for line in lines[:EXAMPLES]]
    return "\n".join([markdown(head, rows), "", *(found or ["No call broke the promise."]), ""])


def _row(told: list[Told]) -> list[str]:
    counts = Counter("faults" if one.fault else one.outcome for one in told)
    shown = (counts[name] for name in ("answered", "refused", "faults"))
    return [f"{len(told):,}", *(f"{n:,}" for n in shown)]

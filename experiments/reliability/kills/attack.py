"""One job, stopped again and again at random moments, gone on with, and compared."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from experiments.reliability.kills import serving
from experiments.reliability.kills.jobs import JOBS, Job, leftovers
from experiments.reliability.kills.launching import (
    BrokenPromiseError,
    Ended,
    Launcher,
    check_end,
)

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SERVE = "serve"
NAMES = (*JOBS, SERVE)
YOUNG = 1.1  # s until an empty leftover is nobody's who is about to write
LATEST = 0.95  # of an undisturbed run's time
STOPPED, LATE, BROKEN = "stopped", "finished before", "broken"


def attack(name: str, stops: tuple[int, int, int], seed: int) -> dict[str, Any]:
    """So many SIGKILL, SIGTERM and SIGINT: counts for each signal, and what was broken."""
    record: dict[str, Any] = {"signals": {}, "broken": []}
    with Launcher() as launcher, TemporaryDirectory(prefix="longplay-kills-") as place:
        at = Path(place)
        stop = serving.Stopped(launcher) if name == SERVE else Stopped(launcher, JOBS[name], at)
        record["compared"] = stop.compared
        for sent, many in zip(SIGNALS, stops, strict=True):
            counts: Counter[str] = Counter()
            share = 1.0 if name == SERVE else JOBS[name].share
            for nth in range(max(1, round(many * share)) if many else 0):
                rng = np.random.default_rng([seed, NAMES.index(name), int(sent), nth])
                with TemporaryDirectory(dir=place) as one:
                    try:
                        late = stop.once(Path(one), sent, float(rng.random()))
                        counts[LATE if late else STOPPED] += 1
                    except (ValueError, OSError) as error:
                        counts[BROKEN] += 1
                        record["broken"].append([sent.name, nth, str(error)[:400]])
            record["signals"][sent.name] = dict(counts)
    return record


class Stopped:
    """A job's undisturbed ends, and what is found after it was stopped."""

    def __init__(self, launcher: Launcher, job: Job, place: Path) -> None:
        self.launcher, self.job = launcher, job
        ends, times = [], []
        for nth in range(2):
            folder = place / f"undisturbed-{nth}"
            folder.mkdir()
            ended = self._run(folder, folder, job.prepare)
            if ended.status:
                raise ValueError(f"an undisturbed run ended with {ended.status}: {ended.errors}")
            ends.append(job.contents(folder))
            times.append(ended.seconds)
        self.seconds, self.names = min(times), set(ends[0])
        self.same = {name: said for name, said in ends[0].items() if ends[1].get(name) == said}

    @property
    def compared(self) -> str:
        """How many files must have the same bytes."""
        return f"{len(self.same)} of {len(self.names)}"

    def once(self, place: Path, sent: signal.Signals, when: float) -> bool:
        """Stop, look, go on, and compare; True where it had ended before the signal came.

        Raises BrokenPromiseError.
        """
        folder = place / "there"
        folder.mkdir()
        ended = self._run(folder, place, self.job.prepare, sent, LATEST * self.seconds * when)
        late = ended.done == len(self.job.steps(folder))
        check_end(ended._replace(status=0) if late else ended, sent)
        try:
            self.job.intact(folder, ended.done)
        except (ValueError, OSError) as error:
            raise BrokenPromiseError(f"after {ended.done} steps: {error}") from error
        time.sleep(YOUNG)
        again = self._run(folder, place, None)
        if again.status or again.left:
            raise BrokenPromiseError(f"done again: status {again.status}, {again.errors[-300:]}")
        self._compare(folder)
        return late

    def _compare(self, folder: Path) -> None:
        found = self.job.contents(folder)
        differ = [name for name, said in self.same.items() if found.get(name) != said]
        differ += sorted(set(found) ^ self.names)
        if differ:
            raise BrokenPromiseError(f"another end: {', '.join(differ[:5])}")
        if left := leftovers(folder):
            raise BrokenPromiseError(f"left behind: {', '.join(left[:5])}")

    def _run(
        self,
        folder: Path,
        place: Path,
        prepare: Any = None,
        sent: signal.Signals | None = None,
        after: float | None = None,
    ) -> Ended:
        if prepare is not None:
            prepare(folder)
        steps = self.job.steps if prepare is not None else self.job.again
        out = place.with_name(f"{place.name}-out")
        process = self.launcher.begin(steps(folder), out)
        began = time.monotonic()
        ended = self.launcher.end(process, out, sent, *([] if after is None else [after]))
        return ended._replace(seconds=time.monotonic() - began)

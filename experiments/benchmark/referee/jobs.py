"""All that is measured, by id: what a worker does of it, and how many logs that takes."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from experiments.benchmark.referee.doctor.clean_logs import SHAPES
from experiments.benchmark.referee.doctor.exam import Exam, Opinion, examined
from experiments.benchmark.referee.doctor.planted import FAULTS
from experiments.benchmark.referee.measure import measure
from experiments.benchmark.referee.own_terms import OWN_TERMS, measure_own
from experiments.benchmark.referee.peeking import WATCHES, peek
from experiments.benchmark.referee.processes.catalogue import PROCESSES

CLEAN_ROWS, FAULT_ROWS = 5000, 20_000


class Job(NamedTuple):
    """One stage of a run."""

    part: str  # process, terms, watch, clean or fault
    name: str

    @property
    def id(self) -> str:
        """As it is named on the command line, and the stage's file."""
        if self.part == "process":
            return self.name
        return f"{self.part}-{re.sub('[^a-z0-9]+', '-', self.name.lower()).strip('-')}"


JOBS: dict[str, Job] = {
    job.id: job
    for part, names in (
        ("process", PROCESSES),
        ("terms", OWN_TERMS),
        ("watch", WATCHES),
        ("clean", SHAPES),
        ("fault", FAULTS),
    )
    for job in (Job(part, name) for name in names)
}


def work(job_id: str, replicates: int, seed: int) -> dict[str, Any]:
    """Measure one job; `replicates` are a process's logs, the other parts take a share of it."""
    part, name = JOBS[job_id]
    if part == "process":
        return measure(name, replicates, max(replicates * 3 // 10, 1), seed)
    if part == "terms":
        return measure_own(name, replicates, seed)
    if part == "watch":
        return peek(name, max(replicates // 4, 1), seed)
    logs = max(replicates // (10 if part == "clean" else 25), 1)
    began, opinions = time.process_time(), []
    for k in range(logs):
        rng = np.random.default_rng([seed, crc32(job_id.encode()), k])
        opinions.append(examined(_exam(part, name, rng)))
    cpu = time.process_time() - began
    return {"name": name, **_counts(opinions), "cpu_seconds": cpu}


def _exam(part: str, name: str, rng: np.random.Generator) -> Exam:
    if part == "clean":
        return SHAPES[name](rng, CLEAN_ROWS)
    fault = FAULTS[name]
    return fault.damage(fault.traffic(rng, FAULT_ROWS), rng)


def _counts(opinions: list[Opinion]) -> dict[str, Any]:
    """Logs by verdict, checks that spoke, and what one of them said."""
    verdicts = Counter(o.verdict for o in opinions)
    checks = Counter(check for o in opinions for check in o.checks)
    said = next((o.found for o in opinions if o.found), "")
    return {"logs": len(opinions), "verdicts": verdicts, "checks": checks, "said": said}

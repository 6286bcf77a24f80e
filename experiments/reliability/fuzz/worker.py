"""A process that makes fuzzed calls under limits; what it says of each goes to its stdout."""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import asdict, replace

import numpy as np

from experiments.reliability.fuzz.calls import perform
from experiments.reliability.fuzz.catalogue import targets_of, turn_of


def main() -> None:
    """Read jobs from stdin, a line of JSON each, until it is closed."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # what is called may print
    os.dup2(quiet, 2)
    for line in sys.stdin:
        job = json.loads(line)
        limit = int(job["memory_mb"]) * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        targets = targets_of(job["parts"])
        for index in range(job["first"], job["last"]):
            part, target = turn_of(index, targets)
            target = replace(target, name=f"{part}: {target.name}")
            print(json.dumps({"begun": index, "target": target.name}), file=out, flush=True)
            limit_cpu(job["cpu_seconds"])
            told = perform(target, np.random.default_rng([job["seed"], index]))
            print(json.dumps(asdict(told)), file=out, flush=True)


def limit_cpu(seconds: int) -> None:
    """The process is killed by SIGXCPU when the call takes more than so many CPU seconds, compiled
    loops too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()

"""A process that has imported what commands need, and forks one for every run.

It reads lines of JSON `{"steps": ..., "out": FILE}`, and writes the process's number and, once it
has ended, its exit status (negative: the signal). The process notes finished steps in FILE.done.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys

from experiments.__main__ import TerminatedError
from experiments.__main__ import main as longplay
from experiments.reliability.kills.jobs import WRITERS, Step

PRELOADED = (
    "torch", "pandas", "pyarrow.parquet", "scipy.stats", "gymnasium", "recsim_env",
    "policies.rollout",
    "experiments.compare.command", "experiments.study.command", "experiments.train.train_encoder",
    "experiments.train.train_policy", "experiments.logs.compact", "experiments.serve.serve",
    "experiments.serve.release.command", "policies.encoders.models.gru4rec",
    "policies.encoders.models.markov", "policies.bandits.linucb",
)  # fmt: skip


def run(steps: list[Step], out: str, begun: int) -> int:
    """Do the steps one after another, in a session of their own, as `longplay` does one."""
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _terminated)
        for number in (1, 2):
            file = os.open(f"{out}.{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(file, number)
        os.close(begun)
        return _done(steps, out)
    except KeyboardInterrupt as stop:
        print("stopped", file=sys.stderr)
        return 143 if isinstance(stop, TerminatedError) else 130


def _terminated(number: int, frame: object) -> None:
    raise TerminatedError


def _done(steps: list[Step], out: str) -> int:
    for step in steps:
        name, *arguments = step
        status = WRITERS[name](*arguments) if name in WRITERS else longplay(step)
        if status:
            return status
        done = os.open(f"{out}.done", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(done, b".")
        os.close(done)
    return 0


def main() -> None:
    """Answer until there is nothing more to read."""
    for name in PRELOADED:
        __import__(name)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    print(json.dumps("ready"), file=answers)
    for line in sys.stdin:
        asked = json.loads(line)
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            status = run(asked["steps"], asked["out"], writing)
            atexit._run_exitfuncs()  # the rest of an interpreter's end is slow, and writes nothing
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        os.close(writing)
        os.read(reading, 1)  # until it has its session and its signal handlers
        os.close(reading)
        print(json.dumps(process), file=answers)
        print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])), file=answers)


if __name__ == "__main__":
    main()

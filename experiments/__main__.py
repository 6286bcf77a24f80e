"""The `longplay` command: one registry line per subcommand, imported only when it is called."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import NamedTuple

import tyro

from experiments.common.pipes import patient_stdout


class Command(NamedTuple):
    """A module that offers `Settings` (a frozen dataclass) and `run(settings) -> int`."""

    module: str
    purpose: str


COMMANDS: dict[str, Command] = {
    "compare": Command(
        "experiments.compare.command", "train, log, evaluate, gate and check policies in a world"
    ),
    "evaluate": Command("experiments.logs.evaluate", "value of a policy from a log"),
    "calibrate": Command(
        "experiments.calibrate.command",
        "fit a world to real interactions or to a served log, and report its fidelity",
    ),
    "coverage": Command(
        "experiments.published.coverage", "how often intervals hold the truth in the default world"
    ),
    "train-encoder": Command(
        "experiments.train.train_encoder", "learn a sequence encoder from real data and test it"
    ),
    "train-policy": Command(
        "experiments.train.train_policy", "train a policy in a world; resumes after a kill"
    ),
    "leaderboard": Command(
        "experiments.train.leaderboard", "all encoders on one data set, learning-free rows first"
    ),
    "study": Command(
        "experiments.study.command", "which supervised encoder pays under which agent, and where"
    ),
    "climb": Command(
        "experiments.climb.command", "learn, step, serve, log, repeat: a climb by vouched steps"
    ),
    "live": Command(
        "experiments.live.command",
        "serve, log, join, learn, gate, roll out: the loop closed in a simulator, with a timeline",
    ),
    "inspect": Command(
        "experiments.doors.inspect_table",
        "what a table seems to hold: guess its columns, show its rows, say what is missing",
    ),
    "import": Command(
        "experiments.doors.convert",
        "a file of another project (obp, dsjson, rllib, d3rlpy, kuairand, recbole, finn) as ours",
    ),
    "recommend": Command(
        "experiments.doors.recommend",
        "what to show one user, in your ids, from a policy or encoder",
    ),
    "check": Command("experiments.logs.check", "is this log fit to be weighed? the log doctor"),
    "drift": Command(
        "experiments.logs.drift", "has traffic changed since a reference log, and what to do"
    ),
    "gate": Command(
        "experiments.logs.gate", "may these candidates be rolled out? pass, fail or cannot tell"
    ),
    "improve": Command(
        "experiments.logs.improve", "the furthest step to a better policy that a log vouches for"
    ),
    "plan": Command(
        "experiments.logs.plan", "after `cannot tell`: a step, a better log or a trial, in numbers"
    ),
    "trial": Command(
        "experiments.trials.command", "an A/B test: its size before it starts, what it says so far"
    ),
    "which-estimator": Command(
        "experiments.logs.which_estimator", "redraw logs like yours: which estimator errs least?"
    ),
    "compact": Command(
        "experiments.logs.compact", "order a log on disk so that sessions are whole"
    ),
    "join": Command(
        "experiments.serve.join", "what was served and what came of it -> a decision log"
    ),
    "forget": Command(
        "experiments.serve.forget", "remove a user from sessions, events and joined logs"
    ),
    "retire": Command("experiments.serve.retire", "remove segments of events that are old"),
    "serve": Command(
        "experiments.serve.serve", "answer requests over HTTP with the live version of a registry"
    ),
    "signals": Command(
        "experiments.serve.signals", "alert rules, dashboards and a runbook, from one table"
    ),
    "release": Command(
        "experiments.serve.release.command",
        "versions of policies to serve: add, list, promote, roll out, roll back",
    ),
    "retrain": Command(
        "experiments.serve.relearn.retrain",
        "learn again from the log: a challenger, judged and added",
    ),
    "explain": Command(
        "experiments.serve.explain", "why a slate: parts of scores, rules, past items that moved it"
    ),
    "published": Command(
        "experiments.published.command",
        "reproduce published off-policy tables: open-bandit, digits, mips, coverage, gate",
    ),
    "traffic": Command(
        "experiments.traffic.command",
        "load for a server, open loop: sessions, outcomes, latency, success",
    ),
    "benchmark env": Command(
        "experiments.benchmark.env", "user-steps per CPU-second of the simulators"
    ),
    "benchmark planning": Command(
        "experiments.benchmark.planning", "random, greedy oracle and planning oracle in every world"
    ),
    "benchmark offpolicy": Command(
        "experiments.benchmark.offpolicy", "time and memory of the evaluator"
    ),
    "benchmark collect": Command(
        "experiments.benchmark.collect", "decisions logged per second, world and policy together"
    ),
    "benchmark bandits": Command(
        "experiments.benchmark.bandits", "predictions and updates of linear bandits"
    ),
    "benchmark training": Command(
        "experiments.benchmark.training", "steps that PPO learns from, the encoder in the loop"
    ),
    "benchmark drift": Command(
        "experiments.rollout.drift_rates",
        "how often alarms of drift and of bots are false, and how often planted ones are seen",
    ),
    "benchmark faults": Command(
        "experiments.benchmark.faults", "how often the log doctor sees each fault"
    ),
    "benchmark referee": Command(
        "experiments.benchmark.referee.command",
        "coverage, wrong verdicts, false alarms and detections of the evaluator",
    ),
    "benchmark estimators": Command(
        "experiments.benchmark.estimators.command",
        "how far each estimator errs, over worlds of known value",
    ),
    "benchmark agents": Command(
        "experiments.benchmark.agents", "what agents reach in the classic worlds, over seeds"
    ),
    "benchmark planners": Command(
        "experiments.improve.planners", "what planners and other learners make of one log"
    ),
    "benchmark organic": Command(
        "experiments.benchmark.organic", "clicks a recommendation where views tell what to show"
    ),
    "benchmark plans": Command(
        "experiments.improve.plans", "do plans keep what they promise? sessions, power, losses"
    ),
    "benchmark fitted-world": Command(
        "experiments.improve.fitted_world",
        "an agent of a world fitted to a log, and ten policies, in the fitted world and the true",
    ),
    "benchmark serving": Command(
        "experiments.traffic.benchmark.command",
        "the server under load, overload, kill -9, a full disk, and stores that are gone",
    ),
    "benchmark hybrid": Command(
        "experiments.rollout.hybrid", "lists made offline and reranked online: cost and value"
    ),
    "benchmark rollout": Command(
        "experiments.rollout.command",
        "how often a rollout takes back a good version, and lets a bad one through",
    ),
    "benchmark encoders": Command(
        "experiments.benchmark.encoders", "training and serving speed of the encoders"
    ),
}

USER_ERRORS = (ValueError, OSError, ImportError)


def usage() -> str:
    """The list of subcommands."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {c.purpose}" for name, c in COMMANDS.items())
    head, foot = "usage: longplay COMMAND [OPTIONS]", "longplay COMMAND --help lists its options."
    return f"{head}\n\n{rows}\n\n{foot}"


def split(args: list[str]) -> tuple[str | None, list[str]]:
    """The subcommand's name (one or two words, the longest that is known) and what follows it."""
    for words in (2, 1):
        name = " ".join(args[:words])
        if len(args) >= words and name in COMMANDS:
            return name, args[words:]
    return None, args


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; bad input is one paragraph on stderr and status 2."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported, which is later
    if argv is None:
        patient_stdout()
    args = list(sys.argv[1:] if argv is None else argv)
    name, rest = split(args)
    if name is None:
        help_wanted = bool(args) and args[0] in {"-h", "--help"}
        print(usage(), file=sys.stdout if help_wanted else sys.stderr)
        if args and not help_wanted:
            print(f"\nlongplay: there is no command {args[0]!r}", file=sys.stderr)
        return 0 if help_wanted else 2
    try:
        module = import_module(COMMANDS[name].module)
        try:
            settings = tyro.cli(module.Settings, args=rest, prog=f"longplay {name}")
        except SystemExit as stop:  # --help, or options that it has explained on stderr
            return stop.code if isinstance(stop.code, int) else 2
        with _told_of_terminations():
            status = int(module.run(settings))
        if name.startswith("benchmark") and status == 0:
            print(import_module("experiments.benchmark.machine_reference").measure(), flush=True)
        return status
    except USER_ERRORS as error:
        if os.environ.get("LONGPLAY_TRACEBACK"):
            raise
        print(f"longplay {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"longplay {name}: {_stopped()}", file=sys.stderr)
        return 143 if isinstance(stop, TerminatedError) else 130


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came: as with Ctrl-C, worker processes end and the user is told."""


@contextmanager
def _told_of_terminations() -> Iterator[None]:
    """SIGTERM raises inside; servers set handlers of their own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, frame: object) -> None:
    raise TerminatedError


def _stopped() -> str:
    """What to say of a run that was stopped."""
    from experiments.common.run_folder import begun  # it is loaded where there was a run

    folder = begun()
    return "stopped" if folder is None else f"stopped; go on with --resume {folder}"


if __name__ == "__main__":
    raise SystemExit(main())

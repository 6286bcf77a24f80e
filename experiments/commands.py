"""Every subcommand of `longplay`: one registry line, its module imported when it is called."""

from __future__ import annotations

from typing import NamedTuple


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
    "sweep": Command(
        "experiments.sweeps.command", "many runs of compare or train-policy, from one file"
    ),
    "tune": Command(
        "experiments.sweeps.tune", "search the settings of a policy that do best, with Optuna"
    ),
    "runs": Command("experiments.sweeps.runs", "run folders: list, compare, prune, join"),
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
        "a file of another project as ours: obp, dsjson, rllib, d3rlpy, kuairand, criteo, ...",
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
        "an agent of a world fitted to a log, and its rivals, in the fitted world and the true",
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
    "benchmark flips": Command(
        "experiments.reliability.flips.command",
        "saved folders with damaged bits: refused, or read with equal contents",
    ),
    "benchmark fuzz": Command(
        "experiments.reliability.fuzz.command",
        "odd and hostile calls of every registry and command: answered or refused, or a fault",
    ),
    "benchmark kills": Command(
        "experiments.reliability.kills.command",
        "runs that are killed at random moments and gone on with: the same bytes, nothing left",
    ),
    "benchmark encoders": Command(
        "experiments.benchmark.encoders", "training and serving speed of the encoders"
    ),
}

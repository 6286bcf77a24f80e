"""`longplay benchmark rollout`: how often a rollout takes back a good version, and lets a bad one
through; measured by playing thousands of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from experiments.common.run_folder import RunFolder, open_run
from experiments.common.show import Show
from experiments.common.workers import Parallel, executor_of, results
from experiments.rollout.planning import planned, pool_of_returns
from experiments.rollout.report import page, to_csv
from experiments.rollout.scenarios import BY_ID, RULE, SCENARIOS, TRAFFICS, work

PIECE = 50  # rollouts of a stage of the run
PARTS = ("rollouts", "faults", "clean")


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Play rollouts of canaries of known truth, by the rule and by two usual ways."""

    rollouts: int = 1_000
    """With a canary that is as good; other kinds have a share of them, 50 to 10 %."""
    sessions: int = 1_200
    """Of a world, whose returns the simulated users' are drawn from."""
    parts: tuple[str, ...] = PARTS
    """What to play: rollouts; faults (what sees each, in days of a service); clean (days without a
    fault, for false alarms)."""
    runs: int = 20
    """Of each fault; at least 2."""
    clean_days: int = 200
    """Without a fault."""
    only: tuple[str, ...] = ()
    """Rows to play, by parts of their names, or of the faults' titles; all by default."""
    seed: int = 2
    """Of the random numbers."""

    def __post_init__(self) -> None:
        if self.rollouts < 1 or self.sessions < 50:
            raise ValueError("rollouts must be at least 1, and sessions at least 50")
        if not self.parts or set(self.parts) - set(PARTS):
            raise ValueError(f"parts is {self.parts}; it holds some of {', '.join(PARTS)}")
        if min(self.runs, self.clean_days) < 1:
            raise ValueError("runs and clean_days must be at least 1")
        if self.only and not any(self.chosen(part) for part in self.parts):
            there = [name for part in self.parts for name in rows_of(part)]
            raise ValueError(f"no row holds {self.only}; there are {', '.join(there) or 'none'}")
        if self.runs < 2 and "faults" in self.parts and self.chosen("faults"):
            raise ValueError("runs is 1; faults need 2: their logs are judged by a mean over runs")

    def chosen(self, part: str) -> list[str]:
        """Names of the rows of a part that are played."""
        rows = rows_of(part).items()
        return [k for k, said in rows if not self.only or any(word in said for word in self.only)]


def rows_of(part: str) -> dict[str, str]:
    """Rows of a part by name, with the text that --only looks in; days without a fault are none."""
    if part == "rollouts":
        return {name: name for name in BY_ID}
    if part == "clean":
        return {}
    from experiments.faults.catalogue import FAULTS

    return {fault.name: f"{fault.name} {fault.title}" for fault in FAULTS}


def run(settings: Settings) -> int:
    """Play what is left to play, print the page, write it with its figures."""
    folder = open_run(settings.out, "rollout", settings, settings.resume)
    print(f"run folder: {folder.path}", flush=True)
    pages = [_part(part, settings, folder) for part in PARTS if part in settings.parts]
    text = "\n\n".join(part for part in pages if part)
    print(text)
    print(f"written: {folder.write_text('rollout.md', text + chr(10))}")
    return 0


def _part(part: str, settings: Settings, folder: RunFolder) -> str:
    """Play it; its page, "" where none of its rows is chosen."""
    if part == "rollouts":
        return _rollouts(settings, folder) if settings.chosen(part) else ""
    from experiments.faults.running import clean_part, faults_part

    seed, executor = settings.seed, executor_of(settings)
    if part == "faults":
        names, runs = settings.chosen(part), settings.runs
        return faults_part(folder, names, runs=runs, seed=seed, executor=executor) if names else ""
    return clean_part(folder, days=settings.clean_days, seed=seed, executor=executor)


def _rollouts(settings: Settings, folder: RunFolder) -> str:
    show = Show()
    pool = folder.stage("pool", lambda: pool_of_returns(settings.sessions, settings.seed))
    plans = folder.stage("plans", lambda: _plans(pool, settings.seed))
    pieces = _pieces(settings)
    todo = [p for p in pieces if not folder.has(_file(p))]
    jobs = [(name, first, n, settings.seed, pool, _tuned(plans, name)) for name, first, n in todo]
    with show.stage(f"{sum(n for _, _, n in todo)} rollouts") as update:
        for done, (job, record) in enumerate(results(work, jobs, executor_of(settings), folder), 1):
            folder.write_json(f"stages/{_file(job[:3])}.json", record)
            update(done / len(jobs))
    records: dict[str, list[Any]] = defaultdict(list)
    cpu = 0.0
    for piece in pieces:
        record = folder.read_json(f"stages/{_file(piece)}.json")
        records[piece[0]] += record["played"]
        cpu += record["cpu_seconds"]
    show.note(f"written: {folder.write_text('rollout.csv', to_csv(records))}")
    return f"{_notes(plans)}\n\n{page(records)}\n\n{cpu:.0f} CPU-seconds of rollouts."


def _pieces(settings: Settings) -> list[tuple[str, int, int]]:
    """(scenario, first rollout, how many); the slow ones first."""
    out = []
    for name in settings.chosen("rollouts"):
        count = max(round(settings.rollouts * BY_ID[name].share), 1)
        out += [(name, k, min(PIECE, count - k)) for k in range(0, count, PIECE)]
    return out


def _file(piece: tuple[str, int, int]) -> str:
    return f"{piece[0]}-{piece[1]}"


def _plans(pool: list[float], seed: int) -> dict[str, Any]:
    returns = np.sort(np.asarray(pool))
    used = {s.traffic for s in SCENARIOS}
    return {k: planned(t, returns, RULE, seed) for k, t in TRAFFICS.items() if k in used}


def _tuned(plans: dict[str, Any], scenario: str) -> float:
    return float(plans[BY_ID[scenario].traffic]["needed"]["worse"]["tuned_at"])


def _notes(plans: dict[str, Any]) -> str:
    rows = "\n".join(
        f"* {name}: {p['users']:,} users in five days, mean {p['mean']:.4g} a session; at "
        "one half, " + ", ".join(f"{k}: {v['users']:,.0f} users" for k, v in p["needed"].items())
        for name, p in plans.items()
    )
    rule = replace(RULE, tuned_at=float(plans["returns"]["needed"]["worse"]["tuned_at"]))
    return NOTES.format(plans=rows, rule=rule.to_json().decode())


NOTES = """\
The rule's settings were chosen on seeds 990 to 993. Seeds 0 and 1 were read before the last stage
lasted four days and before a canary that falls had to wait (then 6 and 1 of 200 canaries that are
new to users at first reached everybody); the default seed, 2, was read after both.

Shares stand with exact binomial bounds at 95 %; costs are median / 95th percentile / worst, up to
the end of the rollout, when a person would be asked (held), or when everybody has the canary; what
comes after a wrong promotion is not counted. Users come again, more or less often (gamma), with
returns of sessions that the world Longplay-v0 paid a LinUCB policy, each near the user's own place
among them; *rate 1 %*: many sessions, of which 1 % convert; *day and weekend*: how many come, and
what they return, moves with the hour and the day. A look every 12 hours. `step` is
serving.rollout; *t test*: back when a metric is significantly worse at that look at 5 %, else on
after a day; *no errors*: on after a day unless hard limits are broken. *better, then 10 % worse*:
+5 % until a time drawn evenly from the shortest length of a rollout (seven days) but its last day;
*turning later*: from twice that length, so that some are promoted before they turn, which no rule
can know. *new to users at first*: -10 %, and +25 % that halves with every three sessions of a user.
As good as control and held: the plan below says how many more users it would take to tell.

Users that a decision takes, by a plan from days before (power 95 % for a canary 10 % worse, else
80 %):

{plans}

The rule: `{rule}`"""

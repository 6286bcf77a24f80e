"""`longplay benchmark plans`: does a plan keep what it promises? Sessions, power and losses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from experiments.common.building import rated
from experiments.common.show import Show
from experiments.common.tables import markdown_table, text_table
from experiments.common.worlds import WorldSizes, make_world
from experiments.improve.trying import F64, Pool, draw_log, judged, play, pool, true_uplift
from offpolicy import GateRule, LoggedDataset, TargetScores
from offpolicy.plan.making import PlanSettings, make_plan
from offpolicy.plan.record import Plan, Source, Trial
from offpolicy.storage.atomic import write_text
from policies import Policy, build, collect, score_log

NEAR = 0.1  # a promise is kept within this share of it
SHARES = (0.1, 0.5)  # of the target in the logs that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Make plans from logs and try them, again and again."""

    worlds: tuple[str, ...] = ("Longplay", "Retention")
    runs: int = 200
    """Logs, or trials, behind every number."""
    temperature: float = 8.0
    """Of the present policy, a softmax over mean ratings."""
    candidates: tuple[float, ...] = (4.0, 1.0)
    """Temperatures of the candidates; low ones are far from what was logged."""
    plans: int = 5
    """Logs of the present policy from which plans are made; runs are shared among them."""
    sessions: int = 8000
    """Of each of these logs."""
    pool: int = 20_000
    """Sessions of each policy that logs and trials are drawn from; their means are the truth."""
    warm_sessions: int = 4000
    """Under uniform slates, for the ratings that the policies know."""
    slate_size: int = 3
    n_candidates: int = 20
    max_steps: int = 30
    users: int = 512
    seed: int = 0
    """Of the random numbers."""
    out: Path | None = None
    """Write the table (.md) or the rows (.json) here."""

    def __post_init__(self) -> None:
        if self.plans < 1 or self.runs < 2 * self.plans:
            raise ValueError("runs must be at least 2 a plan: every share needs an error")


class Tried(NamedTuple):
    """What one plan promised, and what came of it in several runs."""

    what: str
    promised: float
    seen: F64
    at: str = ""  # "least" or "most": a bound, kept by what lies beyond it
    size: float = np.nan  # sessions that the plan gave it


class Row(NamedTuple):
    """The mean promise of several plans, and what came of it."""

    world: str
    candidate: str
    what: str
    size: float
    promised: float
    seen: float
    error: float  # standard error of `seen`
    at: str

    @property
    def kept(self) -> str:
        """yes; no; or chance: missed by less than two standard errors."""
        slack = NEAR * abs(self.promised)
        low = -np.inf if self.at == "most" else self.promised - slack
        high = np.inf if self.at == "least" else self.promised + slack
        if low <= self.seen <= high:
            return "yes"
        return "chance" if low - 2 * self.error <= self.seen <= high + 2 * self.error else "no"

    def text(self) -> dict[str, str]:
        """For a table."""
        promised = {"least": "at least ", "most": "at most "}.get(self.at, "")
        return {
            "world": self.world,
            "candidate": self.candidate,
            "what": self.what,
            "sessions": "" if np.isnan(self.size) else f"{self.size:,.0f}",
            "promised": f"{promised}{self.promised:.4g}",
            "seen": f"{self.seen:.4g} ± {2 * self.error:.2g}",
            "ratio": f"{self.seen / self.promised:.2f}",
            "kept": self.kept,
        }


class Pair(NamedTuple):
    """A present policy and a target: logs to plan from, and their sessions to try plans with."""

    logs: list[tuple[LoggedDataset, TargetScores]]
    present: Pool
    target: Pool

    @property
    def uplift(self) -> float:
        """The truth of trials that draw from the two pools."""
        return float(self.target.returns.mean() - self.present.returns.mean())


def run(settings: Settings) -> int:
    """Plan, try, print, write."""
    show, rows = Show(), list[Row]()
    for world in settings.worlds:
        with show.stage(f"{world}: plans and {settings.runs} runs of each") as update:
            for done, row in enumerate(_world(settings, world)):
                rows.append(row)
                update(min(done / (12 * len(settings.candidates)), 1.0))
    lines = [r.text() for r in rows]
    print(f"{NOTES}\n\n{text_table(lines)}")
    if settings.out is not None:
        plain = json.dumps([r._asdict() | {"kept": r.kept} for r in rows], indent=1)
        write_text(settings.out, plain if settings.out.suffix == ".json" else markdown_table(lines))
    return 0


def _world(s: Settings, world: str) -> Iterator[Row]:
    sizes = WorldSizes(
        slate_size=s.slate_size, n_candidates=s.n_candidates, history_length=20,
        max_steps=s.max_steps,
    )  # fmt: skip
    made = make_world(f"recsim_env/{world}-v0", sizes)
    env, one = made.make(s.users), made.make(1)
    seeds = np.random.SeedSequence((s.seed, crc32(world.encode()))).generate_state(3 + 2 * s.plans)
    warm = collect(env, build("uniform", one), n_sessions=s.warm_sessions, seed=int(seeds[0]))

    def served(policy: Policy, n: int, nth: int) -> LoggedDataset:
        return collect(env, policy, n_sessions=n, seed=int(seeds[nth]))

    now = rated(one, warm, s.temperature)
    logs = [served(now, s.sessions, 3 + 2 * k) for k in range(s.plans)]
    many = served(now, s.pool, 1)
    for temperature in s.candidates:
        target = rated(one, warm, temperature)
        back = [served(target, s.sessions, 4 + 2 * k) for k in range(s.plans)]
        theirs = served(target, s.pool, 2)
        better = _pair(logs, many, theirs, now, target)
        worse = _pair(back, theirs, many, target, now)
        if better.uplift < 0:
            better, worse = worse, better
        name = f"temperature {temperature:g}, {better.uplift:+.3g}"
        rng = np.random.default_rng((s.seed, crc32(f"{world} {temperature}".encode())))
        rule, runs = GateRule(), s.runs // s.plans
        logged = [
            x
            for share in (0.0, *SHARES)
            for nth in range(s.plans)
            for x in _logs(better, nth, share, rule, runs, rng)
        ]
        trials = [x for nth in range(s.plans) for x in _trial(better, nth, rule, runs, rng)]
        stopped = [x for nth in range(s.plans) for x in _stopped(worse, nth, rule, runs, rng)]
        yield from _rows(world, name, [*logged, *trials, *stopped])


def _pair(
    logs: Sequence[LoggedDataset],
    present: LoggedDataset,
    target: LoggedDataset,
    now: Policy,
    candidate: Policy,
) -> Pair:
    def scored(policy: Policy, log: LoggedDataset) -> TargetScores:
        return score_log(policy, log, n_slates=0)

    pools = [
        pool(x, scored(now, x).propensity, scored(candidate, x).propensity)
        for x in (present, target)
    ]
    return Pair([(x, scored(candidate, x)) for x in logs], *pools)


def _rows(world: str, name: str, tried: Sequence[Tried]) -> Iterator[Row]:
    """Plans of several logs together, in the order of their first appearance."""
    together: dict[tuple[str, str], list[Tried]] = {}
    for x in tried:
        together.setdefault((x.what, x.at), []).append(x)
    for (what, at), group in together.items():
        seen = np.concatenate([x.seen for x in group])
        size, promised = (float(np.mean([x[i] for x in group])) for i in (4, 1))
        error = float(np.std(seen) / np.sqrt(len(seen)))
        yield Row(world, name, what, size, promised, float(seen.mean()), error, at)


def _plan(pair: Pair, nth: int, margin: float, *shares: float) -> Plan:
    log, scores = pair.logs[nth]
    settings = PlanSettings(margin=abs(margin), shares=shares)
    return make_plan(log, scores, horizon="per_decision", settings=settings)


def _logs(
    pair: Pair, nth: int, share: float, rule: GateRule, runs: int, rng: np.random.Generator
) -> Iterator[Tried]:
    """The log of a plan for a candidate that is as good as assumed: is it judged, and seen?"""
    margin = true_uplift(pair.present, pair.target, share)
    plan = _plan(pair, nth, margin, *([share] if share else []))
    row = plan.loggers[1 if share else 0]
    bounded = "least" if row.source is Source.AT_MOST else ""
    for size, judging in ((row.to_judge, True), (row.to_see, False)):
        if not size <= LARGEST:
            continue
        n = int(np.ceil(size))
        seen = [
            judged(draw_log(pair.present, pair.target, share, n, rng), share, rule)
            for _ in range(runs)
        ]
        ess, passed = (np.array(x, np.float64) for x in zip(*seen, strict=True))
        name = f"log by {row.logger}"
        if judging:
            at = bounded if share else ""
            yield Tried(f"{name}: effective sample", plan.min_ess, ess, at, size)
        else:
            yield Tried(f"{name}: power", plan.power, passed, bounded, size)


def _trial(
    pair: Pair, nth: int, rule: GateRule, runs: int, rng: np.random.Generator
) -> Iterator[Tried]:
    """The trial of a candidate that is as good as assumed. Where the log is too thin to say how its
    returns spread: of one whose returns spread as logged, and, at the sessions that are enough for
    any spread, of the real one."""
    plan = _plan(pair, nth, pair.uplift)
    trial, target, name = plan.trial, pair.target, "trial"
    if trial.source == "as logged":
        target = target._replace(returns=pair.present.returns + pair.uplift)
        name = "trial, spread as logged"
    ends, lengths = _played(pair.present, target, trial, rule, runs, rng)
    yield Tried(f"{name}: power", plan.power, ends == 1, "", trial.sessions)
    yield Tried(f"{name}: sessions until seen", trial.until_seen, lengths)
    if trial.source == "as logged":
        tuned = trial.tuned_at * trial.at_most / trial.sessions
        wide = replace(trial, sessions=trial.at_most, tuned_at=tuned)
        ends, _ = _played(pair.present, pair.target, wide, rule, runs, rng)
        yield Tried("trial, any spread: power", plan.power, ends == 1, "least", wide.sessions)


def _stopped(
    pair: Pair, nth: int, rule: GateRule, runs: int, rng: np.random.Generator
) -> Iterator[Tried]:
    """The trial of a candidate that is as much worse as was hoped for better."""
    trial, target = _plan(pair, nth, pair.uplift).trial, pair.target
    if trial.source == "as logged":
        target = target._replace(returns=pair.present.returns + pair.uplift)
    ends, lengths = _played(pair.present, target, trial, rule, runs, rng)
    each = trial.share * trial.harm
    slack = each * trial.sessions / trial.looks  # a loss ends at a look
    yield Tried("worse: sessions until stopped", trial.until_stopped, lengths)
    yield Tried("worse: loss", trial.loss, lengths * each)
    inside = (lengths * each <= trial.loss_bound + slack).astype(np.float64)
    yield Tried("worse: lost no more than the bound", 0.95, inside, "least")
    yield Tried("worse: seen as better", 1 - rule.confidence, ends == 1, "most")


def _played(
    present: Pool, target: Pool, trial: Trial, rule: GateRule, runs: int, rng: np.random.Generator
) -> tuple[F64, F64]:
    """How trials ended, and after how many sessions."""
    played = [play(present, target, trial, rule, rng) for _ in range(runs)]
    return np.array([p.end for p in played], float), np.array([p.sessions for p in played], float)


LARGEST = 60_000  # sessions of a log that is tried

NOTES = """\
Candidates are as good, or as bad, as the plan assumes: true uplifts are those of the pools that
logs and trials are drawn from. Kept: within 10 % of the promise, or beyond a bound; chance: missed
by less than two standard errors."""

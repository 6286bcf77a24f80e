"""`longplay benchmark drift`: how often clean logs raise an alarm of drift or of bots, and how
often planted ones do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

import recsim_env  # noqa: F401  (registers the environments)
from offpolicy import LoggedDataset
from offpolicy.drift.judging import DriftRule
from offpolicy.drift.report import drift
from offpolicy.intervals.binomial import exact_bounds
from offpolicy.poisoning.checking import check_users
from offpolicy.storage.atomic import write_text
from offpolicy.tables import markdown
from policies import build, collect
from recsim_env.disturb import Bots, Drift

MATTERS = 0.1  # change of the value a session, as a share of it, that must be seen
SLOTS, STEPS = 250, 60  # of worlds whose slots are users, or whose clock is looked at
LONGEST = 10  # decisions a session
SIZES = (200, 1_000)  # sessions of clean logs
BOT_SHARES = (0.01, 0.05, 0.1)
TRUTH = 1_500  # sessions by which a planted change is known


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Clean and planted logs, examined as `longplay drift` and `longplay check --users` do."""

    logs: int = 200
    """Pairs of clean logs of each kind; planted ones are a tenth of it, 20 at least."""
    seed: int = 0
    """Of the first one; settings were chosen on others, from 100,000 on."""
    out: Path | None = None
    """Write the rows here, as JSON."""

    def __post_init__(self) -> None:
        if self.logs < 1:
            raise ValueError(f"--logs {self.logs}: at least 1")


@dataclass(frozen=True, slots=True)
class Rate:
    """How often one kind of log raised an alarm."""

    what: str
    logs: int
    alarms: int
    low: float  # exact binomial bounds of the rate, 95 %
    high: float
    wanted: str

    @property
    def met(self) -> bool:
        """The rate itself is on its side of what is wanted."""
        rate = self.alarms / self.logs
        return rate <= 0.05 if self.wanted == "<= 5 %" else rate >= 0.95


def run(settings: Settings) -> int:
    """Measure, print, write."""
    began, rows = time.process_time(), []
    planted = max(settings.logs // 10, min(settings.logs, 20))
    rows += drift_rates(range(settings.seed, settings.seed + settings.logs), planted=planted)
    rows += bot_rates(range(settings.seed, settings.seed + settings.logs), planted=planted)
    print(page(rows))
    print(f"\n{time.process_time() - began:.0f} CPU-seconds")
    if settings.out is not None:
        write_text(settings.out, json.dumps([asdict(r) | {"met": r.met} for r in rows], indent=1))
    return 0


def page(rows: Sequence[Rate]) -> str:
    """A table."""
    head = ("logs", "n", "alarms", "rate", "95 %", "wanted", "")
    return markdown(
        head,
        [
            (
                r.what, r.logs, r.alarms, f"{r.alarms / r.logs:.1%}",
                f"[{r.low:.1%}, {r.high:.1%}]", r.wanted, "met" if r.met else "NOT met",
            )
            for r in rows
        ],
    )  # fmt: skip


def drift_rates(seeds: Sequence[int], *, planted: int = 20) -> list[Rate]:
    """Of `drift`: alarms on pairs of clean logs, one a seed, and on the first `planted` seeds with
    a drift of preferences that changes the value of a session by a tenth or more."""
    rows = []
    for name, draw in CLEAN.items():
        rows.append(_rate(name, [draw(seed) for seed in seeds], "<= 5 %"))
    for name, plant in PLANTED.items():
        rows.append(_rate(name, [plant(seed) for seed in seeds[:planted]], ">= 95 %"))
    return rows


def bot_rates(seeds: Sequence[int], *, planted: int = 20) -> list[Rate]:
    """Of `check_users`: alarms on clean logs, and on logs with a share of bots (one at least)."""

    def suspected(log: LoggedDataset) -> bool:
        return bool(check_users(log).troubles)

    def clean(seed: int) -> bool:
        return suspected(_slots(_world(SLOTS), seed))

    def nameless(seed: int) -> bool:
        return suspected(replace(_slots(_world(SLOTS), seed), user=None))

    rows = [
        _rate("bots: clean, 250 users", [clean(seed) for seed in seeds], "<= 5 %"),
        _rate("bots: clean, no user ids", [nameless(seed) for seed in seeds], "<= 5 %"),
    ]
    for share in BOT_SHARES:
        logs = [suspected(_slots(_with_bots(share, seed), seed)) for seed in seeds[:planted]]
        rows.append(_rate(f"bots: {share:.0%} of 250 users", logs, ">= 95 %"))
    return rows


def _rate(what: str, alarms: Sequence[bool], wanted: str) -> Rate:
    n, k = len(alarms), int(sum(alarms))
    return Rate(what, n, k, *exact_bounds(k, n), wanted)


def _world(slots: int, **settings: Any) -> Any:
    sizes = {"n_items": 100, "slate_size": 3, "n_candidates": 20, "history_length": 10}
    return gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=slots, max_steps=LONGEST, **sizes | settings
    )


def _policy(env: Any, seed: int) -> Any:
    """Mean rewards of items with 30 % exploration, learnt before the drift."""
    policy = build("epsilon_greedy", env, epsilon=0.3)
    policy.update(collect(env, build("uniform", env), n_sessions=500, seed=seed))
    return policy


def _streams(seed: int, n: int) -> list[int]:
    return [int(s) for s in np.random.SeedSequence([seed, 18]).generate_state(n)]


def _clean_world(seed: int, sessions: int) -> bool:
    env, (warm, a, b) = _world(SLOTS), _streams(seed, 3)
    policy = _policy(env, warm)
    logs = [collect(env, policy, n_sessions=sessions, seed=s) for s in (a, b)]
    return drift(logs[0], logs[1], rule=DriftRule(permutations=99)).alarm


class _Law(NamedTuple):
    users: int
    sessions: float  # of a user, on average
    reward: Callable[[np.random.Generator, int], np.ndarray[Any, np.dtype[np.float64]]]


LAWS = {
    "lognormal rewards (sigma 1.5), several sessions a user": _Law(
        400, 3.0, lambda rng, n: rng.lognormal(0, 1.5, n)
    ),
    "one purchase in 100 decisions": _Law(
        400, 3.0, lambda rng, n: (rng.random(n) < 0.01) * rng.lognormal(2, 0.5, n)
    ),
    "60 users with many sessions": _Law(60, 20.0, lambda rng, n: rng.gamma(0.5, 2.0, n)),
}


def _clean_law(seed: int, law: _Law) -> bool:
    """Users who differ in what they pay, how often they come and what they are shown; the recent
    log is of other users, with segments and times."""
    rng = np.random.default_rng([seed, 19])
    logs = [_drawn(rng, law, k * 10_000) for k in (0, 1)]
    labels = (logs[0].user % 4, logs[1].user % 4)  # type: ignore[operator]
    at = rng.permutation(logs[1].n_sessions)[logs[1].sessions] * 600.0 + logs[1].step
    rule = DriftRule(permutations=99)
    return drift(*logs, segments={"quarter": labels}, time=at, rule=rule).alarm


def _drawn(rng: np.random.Generator, law: _Law, first: int) -> LoggedDataset:
    items, steps = 8, 4
    user = np.repeat(np.arange(law.users), 1 + rng.poisson(law.sessions - 1, law.users))
    level, x = rng.lognormal(0, 0.5, law.users), rng.normal(size=(law.users, 2))
    session = np.repeat(np.arange(len(user)), steps)
    user = user[session]
    p = np.exp(x[user] @ np.random.default_rng(5).normal(size=(2, items)))
    p = 0.9 * p / p.sum(1, keepdims=True) + 0.1 / items
    item = (p.cumsum(1) > rng.random((len(user), 1)) * p.sum(1, keepdims=True)).argmax(1)
    return LoggedDataset.from_columns(
        session=session + first * steps, step=np.tile(np.arange(steps), len(user) // steps),
        slate=item, propensity=p[np.arange(len(item)), item], n_items=items,
        reward=level[user] * law.reward(rng, len(user)), user=user + first, context=x[user],
        candidate_propensity=p,
    )  # fmt: skip


@cache
def _moved_world(seed: int) -> tuple[Any, Any, Any, tuple[int, ...]]:
    """The world that a policy has learnt in, the one after the drift, the policy, and seeds; draws
    in which the value of a session changes by less than a tenth are passed over."""
    for nth in range(100):
        streams = _streams(1_000 * seed + nth, 7)
        before = Drift(_world(SLOTS), size=1.0, seed=streams[0] % 2**31)
        after = Drift(before.env, size=1.0, seed=streams[1] % 2**31)
        policy = _policy(before, streams[2])
        values = [
            collect(env, policy, n_sessions=TRUTH, seed=streams[3]).session_rewards().mean()
            for env in (before, after)
        ]
        if abs(values[1] - values[0]) >= MATTERS * abs(values[0]):
            return before, after, policy, tuple(streams[4:])
    raise RuntimeError(f"no drift of 100 moves the value by {MATTERS:.0%} (seed {seed})")


def _sudden(seed: int) -> bool:
    """Reference and recent log of 1,000 sessions, the drift between them."""
    before, after, policy, (a, b, _) = _moved_world(seed)
    logs = [collect(env, policy, n_sessions=1_000, seed=s) for env, s in ((before, a), (after, b))]
    return drift(logs[0], logs[1], rule=DriftRule(permutations=99)).alarm


def _late(seed: int) -> bool:
    """The drift comes two thirds through the recent log, whose clock is known."""
    before, after, policy, (a, b, c) = _moved_world(seed)
    reference = _timed(before, policy, STEPS, a)[0]
    calm, at = _timed(before, policy, 2 * STEPS, b)
    moved, later = _timed(after, policy, STEPS, c)
    time = np.r_[at, later + 2 * STEPS] * 60.0
    recent = LoggedDataset.concat([calm, moved])
    return drift(reference, recent, time=time, rule=DriftRule(permutations=99)).alarm


def _timed(
    env: Any, policy: Any, steps: int, seed: int
) -> tuple[LoggedDataset, np.ndarray[Any, np.dtype[np.float64]]]:
    """Sessions that could end before the run was cut, and the step of the world of each row."""
    log = collect(env, policy, n_steps=steps, seed=seed)
    at = np.tile(np.arange(float(steps)), env.num_envs)
    keep = np.flatnonzero(at[log.groups.first][log.sessions] < steps - LONGEST)
    return log.take(keep), at[keep]


def _slots(env: Any, seed: int) -> LoggedDataset:
    """A log whose users are the slots of the world: so are bots."""
    log = collect(env, build("uniform", env), n_steps=30, seed=_streams(seed, 1)[0])
    return replace(log, user=np.repeat(np.arange(env.num_envs), 30))


def _with_bots(share: float, seed: int) -> Any:
    """The first draw of bots that holds one."""
    draws = (Bots(_world(SLOTS), share=share, seed=1_000 * seed + nth) for nth in range(1_000))
    return next(env for env in draws if env.bots.any())


CLEAN: dict[str, Callable[[int], bool]] = {
    **{f"clean world, {n} sessions each": lambda seed, n=n: _clean_world(seed, n) for n in SIZES},  # type: ignore[misc]
    **{f"clean, {name}": lambda seed, law=law: _clean_law(seed, law) for name, law in LAWS.items()},  # type: ignore[misc]
}
PLANTED: dict[str, Callable[[int], bool]] = {
    "preferences drift, value by 10 % or more, 1,000 sessions each": _sudden,
    "the same two thirds through the recent log": _late,
}

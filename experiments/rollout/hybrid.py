"""`longplay benchmark hybrid`: lists made offline and reranked online, against the full model.

Cost is CPU time a decision, all policies in one run by turns; value is the reward of whole sessions
of the same users. The length of the lists is chosen on other seeds than those that are reported.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.seeds import purpose_seed, seeds_of
from experiments.common.tables import markdown_table
from experiments.common.truth import mean, ratio, serve
from experiments.common.worlds import env_id, make_env
from experiments.rollout.shares import Share, cost_share
from offpolicy import LoggedDataset
from policies import Policy, act, build, collect, observation_of_log
from policies.hybrid.candidates import CandidateTable, candidate_table
from policies.hybrid.policy import Hybrid

F64 = NDArray[np.float64]
PURPOSES = ("log", "truth")
FULL, CHEAP = "full model", "mean ratings alone"
RATED, LAST = "by mean rating", "by last item"  # what lists are made by
BATCH = 32  # decisions at once
PASS, CHEAPER = 0.95, 0.70  # of the value of the full model, at so much of its cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Candidates made offline with an online reranker, at several lengths of the lists: CPU a
    decision and value, against the full model and the cheap model alone."""

    items: int = 1_000
    """Of the catalogue, which the full model scores at every decision."""
    lengths: tuple[int, ...] = (25, 50, 100, 200, 400)
    """Of the lists."""
    full: str = "one_step"
    """The full model, which is the reranker, too."""
    temperature: float = 0.02
    """Of its draws, in units of its scores."""
    world: str = "Longplay"
    max_steps: int = 15
    """Decisions of a session."""
    sessions: int = 1_500
    """Of uniform slates, which are learnt from, for each seed."""
    truth_sessions: int = 300
    """In which each policy is played, for each seed; the same users for all."""
    choice_seeds: tuple[int, ...] = (0, 1)
    """On which the length is chosen."""
    seed: int = 100
    """Of the random numbers; the first of several seeds."""
    seeds: int = 3
    """How many seeds, from --seed on; everything random is made anew with each."""
    users: int = 128
    """Parallel users."""
    rounds: int = 15
    """Of the measurement of cost, each over all policies."""
    level: float = 0.95
    """Of the intervals."""

    def __post_init__(self) -> None:
        if set(self.choice_seeds) & set(seeds_of(self)):
            raise ValueError("choice-seeds and seeds share one: what is chosen there looks better")
        if not self.lengths or max(self.lengths) > self.items:
            raise ValueError(f"lengths are {self.lengths}; give some of at most {self.items} items")
        if min(self.truth_sessions, self.rounds) < 2 or self.seeds < 1 or not self.choice_seeds:
            raise ValueError("give at least 2 truth-sessions, 2 rounds and a seed of each kind")


@dataclass(frozen=True, slots=True)
class Row:
    """One policy."""

    name: str
    length: int | None  # of its lists
    cost_ms: float  # CPU a decision, median of the rounds
    cost: Share
    value: Share
    least: float  # share of the value on the worst of the seeds: another log, other users
    reward: float  # of a session
    reward_half: float  # half the width of its interval


@dataclass(frozen=True, slots=True)
class HybridTable:
    """What was measured, and which row was chosen beforehand."""

    rows: tuple[Row, ...]
    chosen: str
    choice: Mapping[str, float]  # share of the value on the seeds of the choice, by row
    settings: Settings

    @property
    def verdict(self) -> str:
        """Whether the chosen row is as cheap and as good as is wanted."""
        row = next(row for row in self.rows if row.name == self.chosen)
        wanted = f"at least {1 - CHEAPER:.0%} cheaper at {PASS:.0%} of the value or more"
        if row.cost.high <= CHEAPER and min(row.value.low, row.least) >= PASS:
            return f"{row.name} is {wanted}"
        if row.cost.low > CHEAPER or row.value.high < PASS:
            return f"{row.name} is not {wanted}"
        return f"cannot tell whether {row.name} is {wanted}: play more sessions"


def run(settings: Settings) -> int:
    """Measure, print."""
    print(markdown(hybrid_table(settings)))
    return 0


def hybrid_table(settings: Settings) -> HybridTable:
    """Learn, choose the length, and measure: about a minute as it is set by default."""
    choice = {
        name: share.value
        for name, share in _shares(settings, settings.choice_seeds)[0].items()
        if name not in (FULL, CHEAP)
    }
    chosen = chosen_of(choice)
    values, rewards = _shares(settings, seeds_of(settings))
    env = world_of(settings)
    policies, log = learnt(settings, env, settings.seed)
    costs = cpu_of(policies, log, settings.rounds)
    rows, full = [], rewards[FULL]
    for name in policies:
        r = rewards[name]
        earned = mean(r, settings.level)
        half = earned.high - earned.value
        cost = cost_share(costs[name], costs[FULL], settings.level)
        length = policies[name].table.length if isinstance(policies[name], Hybrid) else None
        by_seed = (r.reshape(settings.seeds, -1), full.reshape(settings.seeds, -1))
        least = float((by_seed[0].mean(axis=1) / by_seed[1].mean(axis=1)).min())
        ms = median(costs[name])
        rows.append(Row(name, length, ms, cost, values[name], least, earned.value, half))
    return HybridTable(tuple(rows), chosen, choice, settings)


def chosen_of(choice: Mapping[str, float]) -> str:
    """The shortest lists whose value keeps half of what may be lost to spare, else those of the
    highest value."""
    enough = [name for name, share in choice.items() if share >= (1 + PASS) / 2]
    return min(enough, key=_length_of) if enough else max(choice, key=lambda name: choice[name])


def learnt(settings: Settings, env: Any, seed: int) -> tuple[dict[str, Any], LoggedDataset]:
    """All policies by name, learnt from one log, and the log."""
    log = collect(
        env,
        build("uniform", env),
        n_sessions=settings.sessions,
        seed=purpose_seed(seed, PURPOSES, "log"),
    )
    full = build(settings.full, env, temperature=settings.temperature)
    rated = build("top_rated", env)
    for policy in (full, rated):
        policy.update(log)
    longest = max(settings.lengths)
    tables = {RATED: candidate_table(rated, longest), LAST: by_last_item(full, log, longest)}
    policies: dict[str, Any] = {FULL: full, CHEAP: rated}
    for how, table in tables.items():
        for length in sorted(settings.lengths):
            policies[f"{length} {how}"] = Hybrid(full, table.shortened(length))
    return policies, log


def by_last_item(policy: Policy, log: LoggedDataset, length: int) -> CandidateTable:
    """What the model favours after each item alone, of users and responses as they are on average
    in the log."""
    assert log.consumed is not None
    responses = None
    if log.responses is not None:
        some = log.consumed >= 0
        taken = log.consumed[some]
        total = np.zeros((log.n_items, log.responses.shape[1]), np.float32)
        np.add.at(total, taken, log.responses[some])
        times = np.maximum(np.bincount(taken, minlength=log.n_items), 1)
        responses = (total / times[:, None]).astype(np.float32)
    user = None if log.context is None else log.context.mean(axis=0)
    return candidate_table(policy, length, user=user, responses=responses)


def cpu_of(
    policies: Mapping[str, Policy], log: LoggedDataset, rounds: int
) -> dict[str, list[float]]:
    """CPU ms a decision of each policy in each round: `act` on a batch of logged observations, the
    same for all, by turns; the first round, which warms up, is left out."""
    obs = observation_of_log(log, next(iter(policies.values())).serving)
    found: dict[str, list[float]] = {name: [] for name in policies}
    for nth in range(rounds + 1):
        at = (np.arange(BATCH) + nth * BATCH) % len(log)
        part, rng = obs.rows(at), np.random.default_rng(nth)
        for name, policy in policies.items():
            began = time.process_time()
            act(policy, part, rng)
            if nth:
                found[name].append(1e3 * (time.process_time() - began) / BATCH)
    return found


def world_of(settings: Settings) -> Any:
    """The world, whose whole catalogue is on offer."""
    return make_env(
        env_id(settings.world),
        settings.users,
        n_items=settings.items,
        slate_size=3,
        n_candidates=None,
        history_length=20,
        max_steps=settings.max_steps,
    )


def markdown(table: HybridTable) -> str:
    """The table and what was chosen."""
    s = table.settings
    sessions = s.truth_sessions * s.seeds
    rows = [
        {
            "policy": f"**{row.name}**" if row.name == table.chosen else row.name,
            "CPU ms a decision": f"{row.cost_ms:.3f}",
            "of the full model": str(row.cost),
            "reward of a session": f"{row.reward:.2f} +- {row.reward_half:.2f}",
            "value of the full model": str(row.value),
            "on the worst seed": f"{row.least:.1%}",
        }
        for row in table.rows
    ]
    tried = ", ".join(f"{name} {share:.1%}" for name, share in table.choice.items())
    return "\n\n".join(
        [
            f"## Lists made offline, reranked online: {s.full} over {s.items:,} items",
            markdown_table(rows),
            f"{table.verdict}. It was chosen on the seeds {_said(s.choice_seeds)} ({tried}).",
            f"CPU: `act` on batches of {BATCH}, {s.rounds} rounds in which all policies take "
            "turns, the median ratio and its order-statistic interval; what a server does beside "
            f"it is the same for all. Value: {sessions:,} sessions of {s.max_steps} decisions in "
            f"{s.world}, the same users for every policy, models learnt from {s.sessions:,} "
            f"sessions of each of the seeds {_said(seeds_of(s))}; intervals at {s.level:.0%} over "
            "sessions, given the logs that were learnt from.",
        ]
    )


def _shares(settings: Settings, seeds: Sequence[int]) -> tuple[dict[str, Share], dict[str, F64]]:
    """Shares of the value, and rewards of sessions, by policy, over all seeds."""
    env, rewards = world_of(settings), dict[str, list[F64]]()
    for seed in seeds:
        policies, _ = learnt(settings, env, seed)
        for name, policy in policies.items():
            played = serve(
                env,
                policy,
                n_sessions=settings.truth_sessions,
                seed=purpose_seed(seed, PURPOSES, "truth"),
            )
            rewards.setdefault(name, []).append(played.returns)
    whole = {name: np.concatenate(parts) for name, parts in rewards.items()}
    shares = {
        name: Share(*astuple(ratio(r, whole[FULL], settings.level))) for name, r in whole.items()
    }
    return shares, whole


def _length_of(name: str) -> int:
    return int(name.split()[0])


def _said(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))

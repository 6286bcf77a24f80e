"""`longplay benchmark fitted-world`: what an agent of a fitted world earns in the true one.

A logging policy writes a log in a world; a second world is fitted to that log alone. PPO learns in
the second; it and the rows of `compare` then serve both worlds.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.calibrate.served import Fit, Judged, fit_and_judge
from experiments.calibrate.served_report import score_lines, sentences, session_lines
from experiments.common.building import rated
from experiments.common.seeds import purpose_seed
from experiments.common.show import Show
from experiments.common.tables import text_table
from experiments.common.truth import F64, mean, rank_correlation, serve
from experiments.common.worlds import EnvFactory, WorldSizes, make_world
from experiments.compare.candidates import Candidate, Material, default_candidates, train
from offpolicy import LoggedDataset
from offpolicy.storage.atomic import write_text
from policies import ENCODERS, Encoder, Policy, build, collect, consumed_sequences, serving_of

PURPOSES = ("warm", "log", "truth", "learn")
FITTED, TRUE = "PPO of the fitted world", "PPO of the true world"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Fit a world to a log of a world whose truth is known; print values in both."""

    env: str = "recsim_env/Longplay-v0"
    """The true world: an environment, or the folder of a fitted world."""
    slate_size: int = 3
    n_candidates: int = 20
    history_length: int = 20
    max_steps: int = 30
    temperature: float = 8.0
    """Of the logging policy, a softmax over mean ratings of uniform sessions."""
    warm_sessions: int = 4000
    """Sessions of uniform slates that the logging policy's ratings come from."""
    sessions: int = 12_000
    """Of the logging policy: all that the world, the encoder and the policies learn from."""
    encoder: str = "sasrec"
    """Under the policies that stand on one."""
    env_steps: int = 300_000
    """Decisions that each PPO acts."""
    learners: int = 64
    """Parallel users that PPO learns from: the fewer, the more often it updates."""
    truth_sessions: int = 4000
    """Sessions that each policy serves in either world."""
    users: int = 512
    dims: int = 16
    """Of users' preferences in the fitted world."""
    seed: int = 0
    """Of the random numbers."""
    out: Path | None = None
    """Save the fitted world here, and rows.json beside it."""

    def __post_init__(self) -> None:
        if min(self.truth_sessions, self.warm_sessions) < 2 or min(self.users, self.learners) < 1:
            raise ValueError("at least 2 sessions of each kind, and 1 of users and of learners")


class Row(NamedTuple):
    """A policy's returns on the same users of each world."""

    policy: str
    fitted: F64  # (S,)
    true: F64  # (S,)


def seed_of(settings: Settings, purpose: str) -> int:
    """Independent seeds by purpose."""
    return purpose_seed(settings.seed, PURPOSES, purpose)


def behaviour_log(settings: Settings, world: EnvFactory) -> tuple[Policy, LoggedDataset]:
    """The logging policy and its log."""
    s, env = settings, world.make(settings.users)
    warm = collect(env, build("uniform", env), n_sessions=s.warm_sessions, seed=seed_of(s, "warm"))
    policy = rated(env, warm, s.temperature)
    return policy, collect(env, policy, n_sessions=s.sessions, seed=seed_of(s, "log"))


def fitted_encoder(settings: Settings, log: LoggedDataset, world: EnvFactory) -> Encoder:
    """The encoder of the log's own sequences."""
    features = serving_of(world.make(1)).item_features
    unfitted = ENCODERS[settings.encoder].small(
        length=settings.history_length, seed=settings.seed, threads=1
    )
    return unfitted.fit(consumed_sequences(log, item_features=features))


def topics_of(world: EnvFactory) -> Any:
    """Topics (A,) that the world's catalogue shows of its items."""
    env: Any = world.make(1).unwrapped
    return env.catalogue.topics


def rows_of(settings: Settings) -> dict[str, Candidate]:
    """By name: the rows of `compare` that learn from a log, one more that does, and PPO twice."""
    rows = [
        *(c for c in default_candidates(settings.temperature) if not c.acts),
        Candidate(name="top rated, temperature 1", policy="top_rated", settings={"temperature": 1}),
        Candidate(name=TRUE, policy="ppo", settings={}, acts=True),
        Candidate(name=FITTED, policy="ppo", settings={}, acts=True),
    ]
    return {c.name: c for c in rows}


def learnt(candidate: Candidate, material: Material) -> Policy:
    """The candidate after its last round."""
    *_, (_, policy) = train(candidate, material)
    return policy


def run(settings: Settings) -> int:
    """Log, fit, learn in the fitted world, serve both, print."""
    import torch

    torch.set_num_threads(1)
    s, show = settings, Show()
    sizes = WorldSizes(
        slate_size=s.slate_size,
        n_candidates=s.n_candidates,
        history_length=s.history_length,
        max_steps=s.max_steps,
    )
    true = make_world(s.env, sizes)
    with show.stage(f"log: {s.sessions:,} sessions of the logging policy"):
        logging, log = behaviour_log(s, true)
    fit = Fit(
        features=serving_of(true.make(1)).item_features,
        topics=topics_of(true),
        history_length=s.history_length,
        dims=s.dims,
        simulated=s.truth_sessions,
        seed=s.seed,
    )
    judged = fit_and_judge(log, fit, show)
    fitted = EnvFactory("fitted", judged.world.make_vec, None)
    with show.stage(f"encoder {s.encoder}"):
        encoder = fitted_encoder(s, log, true)
    material = Material(
        env=true.make(s.learners),
        encoder=encoder,
        sequences=consumed_sequences(log, item_features=serving_of(true.make(1)).item_features),
        log=log,
        rounds=1,
        env_steps=s.env_steps,
        seed=seed_of(s, "learn"),
    )
    rows = [served(s, "logging policy", logging, fitted, true)]
    for name, candidate in rows_of(s).items():
        with show.stage(name):
            here = material if name != FITTED else replace(material, env=fitted.make(s.learners))
            rows.append(served(s, name, learnt(candidate, here), fitted, true))
    report(s, judged, rows)
    return 0


def served(
    settings: Settings, name: str, policy: Policy, fitted: EnvFactory, true: EnvFactory
) -> Row:
    """The policy on fresh users of both worlds."""
    s = settings
    values = [
        serve(
            world.make(s.users), policy, n_sessions=s.truth_sessions, seed=seed_of(s, "truth")
        ).returns
        for world in (fitted, true)
    ]
    return Row(name, *values)


def lines(rows: list[Row]) -> list[dict[str, str]]:
    """The table: values with 95 % intervals, and by how much the fitted world is too kind."""
    out = []
    for row in rows:
        here, there = mean(row.fitted), mean(row.true)
        spread = float(np.hypot(here.high - here.value, there.high - there.value))
        out.append(
            {
                "policy": row.policy,
                "in the fitted world": f"{here.value:.2f} [{here.low:.2f}, {here.high:.2f}]",
                "in the true world": f"{there.value:.2f} [{there.low:.2f}, {there.high:.2f}]",
                "fitted less true": f"{here.value - there.value:+.2f} \u00b1 {spread:.2f}",
            }
        )
    return out


def report(settings: Settings, judged: Judged, rows: list[Row]) -> None:
    """Print the fit, the table and what follows from it."""
    print(f"\n{text_table(score_lines(judged))}\n\n{text_table(session_lines(judged))}")
    print("\n" + "\n".join(sentences(judged)) + f"\n\n{text_table(lines(rows))}\n")
    here, there = (np.array([v.mean() for v in side]) for side in zip(*values(rows), strict=True))
    rank = rank_correlation(here, there)
    agent = rows[-1]
    gap = float(agent.fitted.mean() - agent.true.mean())
    base = float(rows[0].fitted.mean() - rows[0].true.mean())
    print(
        f"Rank correlation of {len(rows)} policies between the worlds: {rank:.2f} (Spearman).\n"
        f"{FITTED}: {agent.true.mean():.2f} a session in the true world, where {TRUE} earns "
        f"{rows[-2].true.mean():.2f} and the logging policy {rows[0].true.mean():.2f}.\n"
        f"Exploitation gap: it earns {gap:+.2f} more in the world it learnt in; the logging policy "
        f"{base:+.2f}."
    )
    if settings.out is not None:
        judged.world.save(settings.out)
        record = {
            "settings": {k: str(v) for k, v in asdict(settings).items()},
            "rank_correlation": rank,
            "rows": [
                {"policy": r.policy, "fitted": asdict(mean(r.fitted)), "true": asdict(mean(r.true))}
                for r in rows
            ],
        }
        write_text(settings.out / "rows.json", json.dumps(record, indent=2))


def values(rows: list[Row]) -> list[tuple[F64, F64]]:
    """Both sides of every row."""
    return [(row.fitted, row.true) for row in rows]

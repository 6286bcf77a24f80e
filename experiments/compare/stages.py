"""The stages of a comparison. Each leaves its result in the run folder and is done once."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from experiments.common.building import is_saved_encoder, load_saved_encoder, rated
from experiments.common.run_folder import RunFolder
from experiments.common.seeds import purpose_seed
from experiments.common.show import Show, Update
from experiments.common.truth import Truth, mean, serve, truth_of
from experiments.common.workers import executor_of, results, torch_threads
from experiments.common.worlds import EnvFactory, named_world
from experiments.compare.candidates import ACTING_USERS, Material, pick_candidates, train
from experiments.compare.regret import first_sessions, planned
from experiments.compare.row import judge
from experiments.compare.settings import Settings
from experiments.page.along import describe
from offpolicy import GateRule, LoggedDataset, read_log, write_log
from offpolicy.models.reward_model import RewardData
from offpolicy.sessions.examples import typical_sessions
from policies import (
    ENCODERS,
    Encoder,
    Policy,
    Sequences,
    build,
    collect,
    consumed_sequences,
    serving_of,
)
from policies.saving.checkpoint import Catalogue
from policies.saving.checkpoint import load as load_encoder
from policies.saving.checkpoint import save as save_encoder

PURPOSES = ("warm", "train", "log", "truth", "curve", "learn")
LOGGING, LOGGING_STAGE, ORACLE_STAGE = "logging policy", "logging-policy", "oracle"


@dataclass(frozen=True, slots=True)
class Job:
    """What the stages share; a worker process makes its own from the settings and the folder."""

    settings: Settings
    run: RunFolder
    world: EnvFactory

    def seed(self, purpose: str) -> int:
        """Independent seeds by purpose: users of the truth are not those of the logs."""
        return purpose_seed(self.settings.seed, PURPOSES, purpose)

    def log(self, name: str) -> LoggedDataset:
        """A log that this run has written."""
        return read_log(self.run.path / "logs" / name)

    def write(self, name: str, policy: Policy, n_sessions: int, update: Update) -> None:
        """Serve whole sessions and keep their log, unless it is there already."""
        path = self.run.path / "logs" / name
        if path.exists():
            return
        log = collect(
            self.world.make(self.settings.users),
            policy,
            n_sessions=n_sessions,
            seed=self.seed(name),
            logger="uniform" if name == "warm" else LOGGING,
            progress=lambda done, total: update(done / total),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_log(log, path)

    def encoder(self) -> Encoder:
        """The encoder that this run has fitted."""
        catalogue = Catalogue(self.world.name, serving_of(self.world.make(1)).n_items)
        return load_encoder(self.run.path / "encoder", catalogue=catalogue)

    def sequences(self) -> Sequences:
        """Real sequences, or what users consumed under uniform slates."""
        if self.world.sequences is not None:
            return self.world.sequences
        items = serving_of(self.world.make(1)).item_features
        return consumed_sequences(self.log("warm"), item_features=items)

    def logging_policy(self) -> Policy:
        """Softmax over the mean ratings of the warm-up log."""
        return rated(self.world.make(1), self.log("warm"), self.settings.temperature)

    def served(self, policy: Policy, update: Update | None = None) -> LoggedDataset:
        """Whole sessions of the policy in the world, of the users that every policy serves."""
        return collect(
            self.world.make(self.settings.users),
            policy,
            n_sessions=self.settings.truth_sessions,
            seed=self.seed("truth"),
            progress=None if update is None else lambda done, total: update(done / total),
        )


@lru_cache(maxsize=1)
def world_of(settings: Settings) -> EnvFactory:
    """The world that the settings name; one torch thread unless asked for more."""
    torch_threads(settings.threads)
    return named_world(settings)


def prepare(job: Job, show: Show) -> dict[str, Any]:
    """Logs, encoder and the logging policy's own true value, which is returned."""
    s = job.settings
    with show.stage(f"warm-up log: {s.warm_sessions:,} sessions of uniform slates") as update:
        job.write("warm", build("uniform", job.world.make(1)), s.warm_sessions, update)
    fit_encoder(job, show)
    logging = job.logging_policy()
    for name, count in (("train", s.train_sessions), ("log", s.log_sessions)):
        with show.stage(f"{name} log: {count:,} sessions of the logging policy") as update:
            job.write(name, logging, count, update)
    with show.stage("logging policy in the world") as update:
        result: dict[str, Any] = job.run.stage(
            LOGGING_STAGE, lambda: logging_stage(job, job.served(logging, update))
        )
    with show.stage("planning oracle in the world"):
        job.run.stage(ORACLE_STAGE, lambda: planned(job.world, s, job.seed("truth")))
    return result


def logging_stage(job: Job, log: LoggedDataset) -> dict[str, Any]:
    """What the logging policy earned, what happened along its sessions, and which are shown."""
    truth = truth_of(log)
    chosen = typical_sessions(truth.returns).tolist()
    along = described(job, log, examples=chosen)
    return as_plain(truth, job.settings.level) | {"examples": chosen, "along": along}


def described(
    job: Job, log: LoggedDataset, *, examples: Sequence[int], base: ArrayLike | None = None
) -> dict[str, Any]:
    """What happened along the sessions that a policy served in the world."""
    env = job.world.make(1)
    return describe(
        log,
        level=job.settings.level,
        item_features=serving_of(env).item_features,
        user_names=getattr(env.unwrapped, "user_names", ()),
        base=base,
        examples=examples,
    )


def fit_encoder(job: Job, show: Show) -> None:
    """Fit and save the supervised encoder, unless it is there already."""
    if (job.run.path / "encoder").exists():
        return
    s = job.settings
    if is_saved_encoder(s.encoder):
        sizes = serving_of(job.world.make(1))
        items = Catalogue(job.world.name, sizes.n_items)
        save_encoder(
            load_saved_encoder(s.encoder, sizes), job.run.path / "encoder", catalogue=items
        )
        return
    sequences = job.sequences()
    with show.stage(f"encoder {s.encoder} on {len(sequences.items):,} events"):
        unfitted = ENCODERS[s.encoder].small(
            length=serving_of(job.world.make(1)).history_length, seed=s.seed, threads=s.threads
        )
        encoder = unfitted.fit(sequences)
    save_encoder(
        encoder, job.run.path / "encoder", catalogue=Catalogue(job.world.name, sequences.n_items)
    )


def as_plain(truth: Truth, level: float) -> dict[str, Any]:
    """A truth as data of a stage."""
    return {
        **asdict(mean(truth.returns, level)),
        "returns": truth.returns.tolist(),
        "by_step": truth.by_step.tolist(),
        "coverage": truth.coverage,
    }


def run_candidates(job: Job, names: list[str], show: Show) -> list[dict[str, Any]]:
    """All rows, in the order of `names`; several processes work at the same time."""
    left = [n for n in names if not job.run.has(stage_name(n))]
    # those that act in the world take longest: first, so that no process waits for one at the end
    rows = pick_candidates(job.settings.temperature, job.settings.policies)
    chosen = sorted((c for c in rows if c.name in left), key=lambda c: not c.acts)
    jobs = [(job.settings, job.run, c.name) for c in chosen]
    title = f"{len(left)} candidates: train, evaluate from the log, run in the world"
    with show.stage(title) as update:
        finished = results(candidate_stage, jobs, executor_of(job.settings), job.run)
        for done, ((_, _, name), _) in enumerate(finished, start=1):
            show.note(f"  {name} done ({done} of {len(left)})")
            update(done / len(left))
    return [job.run.read_json(f"stages/{stage_name(name)}.json") for name in names]


LONGEST = 50  # letters of a file's name, which take 4 bytes of its 255 at most


def stage_name(name: str) -> str:
    """A candidate's name as part of a file name."""
    plain = re.sub(r"[^\w.+-]", "-", name.lower())[:LONGEST]
    if plain != name.lower().replace(" ", "-"):  # names that differ elsewhere stay apart
        plain += f"-{zlib.crc32(name.encode()):08x}"
    return f"candidate-{plain}"


def candidate_stage(settings: Settings, run: RunFolder, name: str) -> None:
    """Train, evaluate from the log, run in the world: one row, written to the run folder."""
    job = Job(settings, run, world_of(settings))
    run.stage(stage_name(name), lambda: compare_one(job, name))


@lru_cache(maxsize=1)
def reward_data(path: Path, seed: int) -> RewardData:
    """The evaluation log with its reward regressions: one for all candidates of a process."""
    return RewardData(read_log(path), seed=seed)


def compare_one(job: Job, name: str) -> dict[str, Any]:
    """One row of the table and its learning curve, as plain data."""
    s = job.settings
    candidate = next(c for c in pick_candidates(s.temperature, s.policies) if c.name == name)
    material = Material(
        env=job.world.make(min(max(s.users // 2, 1), ACTING_USERS)),
        encoder=job.encoder(),
        sequences=job.sequences(),
        log=job.log("train"),
        rounds=s.rounds,
        env_steps=s.env_steps,
        seed=job.seed("learn"),
    )
    held_out = job.world.make(s.curve_sessions)
    curve = []
    for decisions, policy in train(candidate, material):
        if candidate.learns:
            seen = serve(held_out, policy, n_sessions=s.curve_sessions, seed=job.seed("curve"))
            point = asdict(mean(seen.returns, s.level))
            curve.append({"policy": name, "decisions": decisions, **point})
    served, logging = job.served(policy), job.run.read_json(f"stages/{LOGGING_STAGE}.json")
    truth, base = truth_of(served), np.array(logging["returns"])
    rule = GateRule(min_ess=s.min_ess)
    data = reward_data(job.run.path / "logs" / "log", s.seed)
    row = judge(name, policy, data, truth, base, rule=rule, level=s.level, seed=s.seed)
    return {
        "row": row,
        "curve": curve,
        "by_step": truth.by_step.tolist(),
        "first_returns": truth.returns[first_sessions(s.truth_sessions, s.users)].tolist(),
        "along": described(job, served, examples=logging.get("examples", ()), base=base),
    }

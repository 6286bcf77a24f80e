"""The stages of `longplay train-policy`: encoder, rounds of learning, test on other users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.building import (
    build_with,
    is_saved_encoder,
    load_saved,
    load_saved_encoder,
    parameters,
)
from experiments.common.key_values import literals, pairs, typed
from experiments.common.run_folder import RunFolder
from experiments.common.show import Show
from experiments.common.truth import mean, serve, truth_of
from experiments.common.workers import torch_threads
from experiments.common.worlds import EnvFactory, WorldSizes, from_data, make_env
from experiments.page.along import describe
from experiments.train.encoder_settings import encoder_settings, known_encoder
from experiments.train.learning import (
    BEST,
    Environments,
    Plan,
    Row,
    Standing,
    load_progress,
    rounds,
    save_progress,
)
from experiments.train.policy_report import UNIFORM, line
from experiments.train.policy_settings import Settings
from offpolicy.sessions.examples import typical_sessions
from policies import (
    ENCODERS,
    POLICIES,
    Encoder,
    Learner,
    Policy,
    Sequences,
    build,
    collect,
    consumed_sequences,
    load,
    serving_of,
)
from policies.configured import current_names
from policies.saving.checkpoint import Catalogue
from policies.saving.checkpoint import load as load_encoder
from policies.saving.checkpoint import save as save_encoder

ENCODER = "encoder"


@dataclass(frozen=True, slots=True)
class Training:
    """A run: its settings, and the folder that holds what is done."""

    settings: Settings
    run: RunFolder

    @property
    def plan(self) -> Plan:
        """The rounds of these settings."""
        s = self.settings
        return Plan(
            rounds=s.rounds,
            steps=s.steps,
            sessions=s.sessions,
            patience=s.patience,
            learn_from=s.learn_from,
            level=s.level,
            seed=s.seed,
        )


def check(settings: Settings) -> None:
    """Build everything once, small; ValueError names what cannot be."""
    chosen, env = chosen_settings(settings), make(settings, 1)
    if settings.encoder is not None and settings.policy in POLICIES:
        if "encoder" not in parameters(settings.policy):
            raise ValueError(
                f"policy {settings.policy!r} stands on no encoder: leave out --encoder"
            )
        chosen["encoder"] = small_encoder(settings, env)
    if settings.prior is not None and settings.policy in POLICIES:
        if "prior" not in parameters(settings.policy):
            raise ValueError(
                f"policy {settings.policy!r} starts as no other policy: leave out --prior"
            )
        chosen["prior"] = load_saved(settings.prior, serving_of(env))
    policy = build(settings.policy, env, **chosen)
    if isinstance(policy, Learner):
        policy.check_learn(settings.steps, settings.users)


def chosen_settings(settings: Settings) -> dict[str, Any]:
    """What --set says, typed as the policy's builder annotates it, under today's names."""
    texts = pairs(settings.set)
    if settings.encoder is not None and not is_saved_encoder(settings.encoder):
        known_encoder(settings.encoder)
    if "encoder" in texts:
        raise ValueError(
            f"--set encoder={texts['encoder']}: choose it by --encoder; there are "
            f"{', '.join(sorted(ENCODERS))}"
        )
    if "prior" in texts:
        raise ValueError(f"--set prior={texts['prior']}: give its folder by --prior")
    if settings.policy not in POLICIES:
        return dict(texts)  # `build` refuses the name, listing those there are
    builder = POLICIES[settings.policy].load()
    return typed("--set", current_names(builder, texts), builder)


def small_encoder(settings: Settings, env: Any) -> Encoder:
    """Fitted to one made-up sequence; ValueError for settings that the encoder does not take."""
    assert settings.encoder is not None
    if is_saved_encoder(settings.encoder):
        if settings.encoder_set:
            raise ValueError(f"--encoder-set: {settings.encoder} is fitted already; leave it out")
        return load_saved_encoder(settings.encoder, serving_of(env))
    chosen = encoder_settings("--encoder-set", settings.encoder, settings.encoder_set)
    config = ENCODERS[settings.encoder].config(chosen)
    once = {"epochs": 1} if hasattr(config, "epochs") else {}
    sizes = serving_of(env)
    items = np.arange(min(4, sizes.n_items), dtype=np.int32)
    return ENCODERS[settings.encoder](**chosen | once).fit(
        Sequences(
            items, np.array([0, len(items)]), sizes.n_items, item_features=sizes.item_features
        )
    )


def make(settings: Settings, users: int) -> Any:
    """The world for so many parallel users."""
    given = literals(settings.env_set)
    if settings.data is None:
        return make_env(settings.env, users, **given)
    sizes = WorldSizes(**{f.name: given.pop(f.name, f.default) for f in fields(WorldSizes)})
    return _on_data(settings.data, settings.data_root, sizes, settings.columns).make(users, **given)


@lru_cache(maxsize=1)
def _on_data(
    data: str, root: Path | None, sizes: WorldSizes, columns: tuple[str, ...]
) -> EnvFactory:
    return from_data(data, root, sizes, columns)


def train(training: Training, show: Show) -> Standing:
    """All rounds, each saved when it is done; ends where an uninterrupted run would end."""
    s, plan = training.settings, training.plan
    torch_threads(s.threads)
    encoder = fit_encoder(training, show)
    envs = environments(training, show)
    standing = load_progress(training.run, lambda: fresh(s, encoder))
    write = board(training.run.path / "tensorboard") if s.tensorboard else no_board
    with show.stage(f"{s.policy}: at most {plan.rounds} rounds of {plan.steps:,}") as update:
        for row in rounds(standing, envs, plan, lambda n: update(share(n, standing, plan))):
            save_progress(training.run, standing)
            write(row)
            show.note(line(row, standing))
    return standing


def share(decisions: int, standing: Standing, plan: Plan) -> float:
    """How much of all rounds is done: agents that learn from whole steps of all users take more
    decisions in a round than the plan says."""
    last = standing.rows[-1]
    taken = last["decisions"] / last["round"] if last["round"] else plan.steps
    return min(decisions / (taken * plan.rounds), 1.0)


def fresh(settings: Settings, encoder: Encoder | None) -> Policy:
    """A policy that has learnt nothing."""
    offered: dict[str, Any] = {"seed": settings.seed}
    if encoder is not None:
        offered["encoder"] = encoder
    env = make(settings, 1)
    if settings.prior is not None:
        offered["prior"] = load_saved(settings.prior, serving_of(env))
    return build_with(settings.policy, env, offered, chosen_settings(settings))


def fit_encoder(training: Training, show: Show) -> Encoder | None:
    """The frozen encoder: as it was saved, or fitted once on what users consumed under uniform
    slates."""
    s = training.settings
    if s.encoder is None:
        return None
    folder = training.run.path / ENCODER
    sizes = serving_of(make(s, 1))
    items = Catalogue(s.world, sizes.n_items)
    if not folder.exists() and is_saved_encoder(s.encoder):
        save_encoder(load_saved_encoder(s.encoder, sizes), folder, catalogue=items)
    elif not folder.exists():
        with show.stage(f"encoder {s.encoder} on {s.warm_sessions:,} sessions of uniform slates"):
            env = make(s, s.users)
            seed = training.plan.seed_of("warm")
            log = collect(env, build("uniform", env), n_sessions=s.warm_sessions, seed=seed)
            sequences = consumed_sequences(log, item_features=serving_of(env).item_features)
            chosen = encoder_settings("--encoder-set", s.encoder, s.encoder_set)
            encoder = ENCODERS[s.encoder](**chosen).fit(sequences)
            save_encoder(encoder, folder, catalogue=items)
    return load_encoder(folder, catalogue=items)


def environments(training: Training, show: Show) -> Environments:
    """The worlds of learning and of held-out users, and what these earn under uniform slates."""
    s, plan = training.settings, training.plan
    held_out = make(s, min(s.sessions, s.users))

    def returns() -> list[float]:
        seed = plan.seed_of("curve")
        served = serve(held_out, build("uniform", held_out), n_sessions=plan.sessions, seed=seed)
        return list(map(float, served.returns))

    with show.stage("uniform slates for the held-out users"):
        baseline = np.array(training.run.stage("uniform", returns))
    return Environments(make(s, s.users), held_out, baseline)


def test(training: Training, show: Show) -> dict[str, Any]:
    """The best policy, and uniform slates, on users that chose nothing."""
    s = training.settings

    def judge() -> dict[str, Any]:
        env, seed = make(s, s.users), training.plan.seed_of("test")
        best = load(training.run.path / BEST, serving=serving_of(env))
        logs = [
            collect(env, policy, n_sessions=s.test_sessions, seed=seed)
            for policy in (best, build("uniform", env))
        ]
        ours, plain = map(truth_of, logs)
        shown = typical_sessions(plain.returns).tolist()
        along = [
            describe(
                log,
                level=s.level,
                item_features=serving_of(env).item_features,
                user_names=getattr(env.unwrapped, "user_names", ()),
                base=base,
                examples=shown,
            )
            for log, base in zip(logs, (plain.returns, None), strict=True)
        ]
        gain = mean(ours.returns - plain.returns, s.level)
        return {
            "value": asdict(mean(ours.returns, s.level)),
            "uniform": asdict(mean(plain.returns, s.level)),
            "gain": asdict(gain),
            "coverage": ours.coverage,
            "by_step": {"uniform": plain.by_step.tolist(), s.policy: ours.by_step.tolist()},
            "along": {UNIFORM: along[1], s.policy: along[0]},
        }

    with show.stage(f"test: {s.test_sessions:,} sessions of other users"):
        result: dict[str, Any] = training.run.stage("test", judge)
    return result


def no_board(row: Row) -> None:
    """Where no TensorBoard is wanted or installed."""


def board(folder: Path) -> Callable[[Row], None]:
    """A function that adds a round to TensorBoard's files, if that is installed."""
    if find_spec("tensorboard") is None:
        return no_board
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(folder))

    def write(row: Row) -> None:
        for name, value in row.items():
            if name not in {"round", "decisions"}:
                writer.add_scalar(name, value, int(row["decisions"]))
        writer.flush()

    return write

"""The stages of `longplay train-policy`: encoder, rounds of learning, test on other users."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

import recsim_env  # noqa: F401  (registers the environments)
from experiments.common import pictures
from experiments.common.key_values import parse, typed
from experiments.common.run_folder import RunFolder
from experiments.common.show import Show
from experiments.common.truth import mean, serve
from experiments.train.learning import BEST, Plan, Row, Standing, Worlds, keep, rounds, take_up
from experiments.train.policy_settings import Settings
from offpolicy import page
from offpolicy.pictures import png
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
from policies.saving.checkpoint import Catalogue
from policies.saving.checkpoint import load as load_encoder
from policies.saving.checkpoint import save as save_encoder

ENCODER = "encoder"


@dataclass(frozen=True, slots=True)
class Training:
    """A run: what was asked for, and the folder that holds what is done."""

    settings: Settings
    run: RunFolder

    @property
    def plan(self) -> Plan:
        """The rounds that were asked for."""
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
    names, chosen = ", ".join(sorted(ENCODERS)), parse(settings.set)
    if settings.encoder is not None and settings.encoder not in ENCODERS:
        raise ValueError(f"no encoder {settings.encoder!r}; there are {names}")
    if "encoder" in chosen:
        raise ValueError(
            f"--set encoder={chosen['encoder']}: choose it by --encoder; there are {names}"
        )
    if settings.policy in POLICIES:  # `build` knows the names
        chosen = typed("--set", chosen, POLICIES[settings.policy].load())
    env = make(settings, 1)
    if settings.encoder is not None and settings.policy in POLICIES:
        if "encoder" not in _parameters(settings.policy):
            raise ValueError(
                f"policy {settings.policy!r} stands on no encoder: leave out --encoder"
            )
        chosen["encoder"] = small_encoder(settings.encoder, parse(settings.encoder_set), env)
    policy = build(settings.policy, env, **chosen)
    if isinstance(policy, Learner):
        policy.check_learn(settings.steps, settings.users)


def small_encoder(name: str, chosen: dict[str, Any], env: Any) -> Encoder:
    """Fitted to one made-up sequence; ValueError for settings that the encoder does not take."""
    config = type(ENCODERS[name].config({}))
    known = [f.name for f in fields(config)]
    if unknown := sorted(chosen.keys() - set(known)):
        told = ", ".join(f"{one}={chosen[one]}" for one in unknown)
        raise ValueError(f"--encoder-set {told}: encoder {name!r} takes {', '.join(known)}")
    chosen = typed("--encoder-set", chosen, config)
    ENCODERS[name].config(chosen)
    once = {"epochs": 1} if "epochs" in known else {}
    sizes = serving_of(env)
    items = np.arange(min(4, sizes.n_items), dtype=np.int32)
    made: Encoder = ENCODERS[name](**chosen | once).fit(
        Sequences(
            items, np.array([0, len(items)]), sizes.n_items, item_features=sizes.item_features
        )
    )
    return made


def make(settings: Settings, users: int) -> Any:
    """The world for so many parallel users."""
    try:
        return gymnasium.make_vec(settings.env, num_envs=users, **parse(settings.env_set))
    except (gymnasium.error.Error, TypeError) as error:
        raise ValueError(f"{settings.env} cannot be made: {error}") from None


def train(training: Training, show: Show) -> Standing:
    """All rounds, each kept when it is done; ends where an uninterrupted run would end."""
    s, plan = training.settings, training.plan
    torch.set_num_threads(s.threads)
    encoder = fit_encoder(training, show)
    worlds = worlds_of(training, show)
    standing = take_up(training.run, lambda: fresh(s, encoder))
    write = board(training.run.path / "tensorboard") if s.tensorboard else no_board
    with show.stage(f"{s.policy}: at most {plan.rounds} rounds of {plan.steps:,}") as update:
        for row in rounds(standing, worlds, plan, lambda n: update(share(n, standing, plan))):
            keep(training.run, standing)
            write(row)
            show.note(line(row, standing))
    return standing


def share(decisions: int, standing: Standing, plan: Plan) -> float:
    """How much of all rounds is done: some agents take more decisions in a round than asked for,
    since they learn from whole steps of all users."""
    last = standing.rows[-1]
    taken = last["decisions"] / last["round"] if last["round"] else plan.steps
    return min(decisions / (taken * plan.rounds), 1.0)


def fresh(settings: Settings, encoder: Encoder | None) -> Policy:
    """A policy that has learnt nothing."""
    chosen, known = parse(settings.set), _parameters(settings.policy)
    if "seed" in known:
        chosen = {"seed": settings.seed} | chosen
    if encoder is not None:
        chosen["encoder"] = encoder
    return build(settings.policy, make(settings, 1), **chosen)


def fit_encoder(training: Training, show: Show) -> Encoder | None:
    """The frozen encoder, fitted once on what users consumed under uniform slates."""
    s = training.settings
    if s.encoder is None:
        return None
    folder = training.run.path / ENCODER
    items = Catalogue(s.env, serving_of(make(s, 1)).n_items)
    if not folder.exists():
        with show.stage(f"encoder {s.encoder} on {s.warm_sessions:,} sessions of uniform slates"):
            env = make(s, s.users)
            seed = training.plan.seed_of("warm")
            log = collect(env, build("uniform", env), n_sessions=s.warm_sessions, seed=seed)
            food = consumed_sequences(log, item_features=serving_of(env).item_features)
            made = ENCODERS[s.encoder](**parse(s.encoder_set)).fit(food)
            save_encoder(made, folder, catalogue=items)
    return load_encoder(folder, catalogue=items)


def worlds_of(training: Training, show: Show) -> Worlds:
    """The worlds of learning and of held-out users, and what these earn under uniform slates."""
    s, plan = training.settings, training.plan
    held_out = make(s, min(s.sessions, s.users))

    def earn() -> list[float]:
        seed = plan.seed_of("curve")
        seen = serve(held_out, build("uniform", held_out), n_sessions=plan.sessions, seed=seed)
        returns: list[float] = seen.returns.tolist()
        return returns

    with show.stage("uniform slates for the held-out users"):
        baseline = np.array(training.run.stage("uniform", earn))
    return Worlds(make(s, s.users), held_out, baseline)


def test(training: Training, show: Show) -> dict[str, Any]:
    """The best policy, and uniform slates, on users that chose nothing."""
    s = training.settings

    def judge() -> dict[str, Any]:
        env, seed = make(s, s.users), training.plan.seed_of("test")
        best = load(training.run.path / BEST, serving=serving_of(env))
        ours, plain = (
            serve(env, policy, n_sessions=s.test_sessions, seed=seed)
            for policy in (best, build("uniform", env))
        )
        gain = mean(ours.returns - plain.returns, s.level)
        return {
            "value": asdict(mean(ours.returns, s.level)),
            "uniform": asdict(mean(plain.returns, s.level)),
            "gain": asdict(gain),
            "coverage": ours.coverage,
            "by_step": {"uniform": plain.by_step.tolist(), s.policy: ours.by_step.tolist()},
        }

    with show.stage(f"test: {s.test_sessions:,} sessions of other users"):
        result: dict[str, Any] = training.run.stage("test", judge)
    return result


def report(training: Training, standing: Standing, tested: dict[str, Any]) -> str:
    """report.html and report.json in the run folder; the sentence that sums them up."""
    s, run = training.settings, training.run
    curve = [{"policy": s.policy, **row} for row in standing.rows]
    value, gain = tested["value"], tested["gain"]
    said = (
        f"{s.policy} in {s.env}: {interval(value)} a session over {s.test_sessions:,} sessions of "
        f"users it never met, {interval(gain, sign='+')} more than uniform slates on the same "
        f"users; best of {len(standing.rows)} points, after "
        f"{standing.rows[standing.best]['decisions']:,.0f} decisions; "
        f"{tested['coverage']:.0%} of the catalogue shown"
    )
    run.write_json("report.json", {"said": said, "best": standing.best, "test": tested})
    parts = [
        page.section(
            "Learning curve",
            page.picture(
                png(pictures.learning_curves(curve)),
                f"Return of a session on the same {s.sessions:,} held-out users",
            ),
        ),
        page.section(
            "Along the session",
            page.picture(
                png(pictures.reward_by_step(tested["by_step"])),
                "Mean reward at each step of a session, users who left counted 0",
            ),
        ),
        page.section("Rounds", page.table([shown(row) for row in standing.rows])),
        page.fold("Settings", (run.path / "settings.json").read_text()),
        page.paragraph(
            "best/ is the policy of the best point: policies.load reads it. The best of several "
            "points flatters itself on the held-out users; the test users chose nothing."
        ),
    ]
    run.write_text("report.html", page.page(f"{s.policy} in {s.env}", said, parts))
    return said


def interval(value: dict[str, float], sign: str = "") -> str:
    """A mean and its interval."""
    return f"{value['value']:{sign}.2f} [{value['low']:{sign}.2f}, {value['high']:{sign}.2f}]"


def line(row: Row, standing: Standing) -> str:
    """One round as a line of text."""
    star = " (best)" if standing.best == row["round"] else ""
    return (
        f"round {row['round']:>3.0f}, {row['decisions']:>11,.0f} decisions: "
        f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}], "
        f"{row['gain']:+.2f} [{row['gain_low']:+.2f}, {row['gain_high']:+.2f}] "
        f"against uniform{star}"
    )


def shown(row: Row) -> dict[str, str]:
    """One round as cells of a table."""
    return {name: f"{value:,.4g}" for name, value in row.items()}


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


def _parameters(policy: str) -> set[str]:
    return set(inspect.signature(POLICIES[policy].load()).parameters)

"""`longplay calibrate --log` on a foreign table: a world that commands take as an environment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.calibrate.command import Settings, missing_responses, run
from experiments.calibrate.served import Fit, Judged, fit_and_judge
from experiments.calibrate.served_log import by_logger, served_log
from experiments.calibrate.served_report import sentences
from experiments.common.show import Show
from experiments.common.worlds import WorldSizes, make_env, make_world
from offpolicy import LoggedDataset
from policies import build, collect
from tests.factories import make_env as small_env

SESSIONS = 300


def rows(seed: int, good: float) -> dict[str, np.ndarray]:
    """Sessions of two shown of eight items, of which the last four please and the first four drive
    users away; `good` is the share of slates of those that please."""
    rng = np.random.default_rng(seed)
    session, step, slate, taken, paid, left = [], [], [], [], [], []
    for s in range(SESSIONS):
        for t in range(8):
            shown = rng.permutation(4)[:2] + 4 * (rng.random() < good)
            took = int(shown[rng.integers(2)]) if rng.random() < 0.7 else -1
            gone = rng.random() < (0.05 if took >= 4 else 0.25)
            session.append(s), step.append(t), slate.append(shown), taken.append(took)
            paid.append(float(took >= 0)), left.append(gone)
            if gone:
                break
    columns = {"session": session, "step": step, "taken": taken, "paid": paid, "left": left}
    return {k: np.array(v) for k, v in columns.items()} | {"slate": np.array(slate)}


def logged(seed: int, good: float, name: str) -> LoggedDataset:
    r = rows(seed, good)
    n = len(r["session"])
    return LoggedDataset.from_columns(
        session=r["session"], step=r["step"], slate=r["slate"], consumed=r["taken"],
        reward=r["paid"], terminated=r["left"], propensity=np.full(n, 0.1), n_items=8,
        logger=np.full(n, name), max_steps=8,
    )  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fitted to a table whose columns and items have names of the user's own."""
    folder, r = tmp_path_factory.mktemp("foreign"), rows(0, 0.5)
    names = np.array([f"song-{i}" for i in range(8)] + [""])
    lines = ["visit,nth,first,second,played,minutes,gone,p"]
    for s, t, shown, took, paid, left in zip(
        *(r[k] for k in ("session", "step", "slate", "taken", "paid", "left")), strict=True
    ):
        a, b, c = names[[*shown, took]]
        lines.append(f"v{s},{t},{a},{b},{c},{paid},{str(bool(left)).lower()},0.1")
    (folder / "visits.csv").write_text("\n".join(lines) + "\n")
    columns = (
        "session=visit", "step=nth", "slate=first,second", "consumed=played", "reward=minutes",
        "terminated=gone", "propensity=p",
    )  # fmt: skip
    settings = Settings(
        log=folder / "visits.csv", columns=columns, items="log", max_steps=8, dims=2,
        simulated=200, out=folder / "world",
    )  # fmt: skip
    assert run(settings) == 0
    return folder / "world"


def test_a_foreign_table_becomes_a_world_and_a_report(world: Path) -> None:
    record = json.loads((world / "scores.json").read_text())
    by_part = {row["part"]: row for row in record["scores"]}
    assert by_part["leaving"]["gain"] > 0
    assert by_part["reward"]["gains"] is not False
    assert "data:image/png" in (world / "report.html").read_text()
    assert by_part["leaving"]["low"] < by_part["leaving"]["gain"] < by_part["leaving"]["high"]
    assert "leaving" in (world / "scores.md").read_text()
    assert (world / "items.txt").read_text().split() == [f"song-{i}" for i in range(8)]
    env = make_env(str(world), 4)
    assert (env.n_items, env.slate_size, env.max_steps) == (8, 2, 8)
    assert env.catalogue.names == tuple(f"song-{i}" for i in range(8))
    drives_away = env.catalogue.columns["departure"]
    assert drives_away[:4].min() > drives_away[4:].max()


def test_a_fitted_world_is_an_environment_of_commands(world: Path, tmp_path: Path) -> None:
    sizes = WorldSizes(slate_size=2, n_candidates=5, history_length=6, max_steps=4)
    made = make_world(str(world), sizes)
    env = made.make(8)
    log = collect(env, build("uniform", env), n_sessions=20, seed=0)
    assert (log.slate_size, log.n_sessions, log.max_steps) == (2, 20, 4)
    from experiments.__main__ import main

    options = f"train-policy --policy popularity --env {world} --rounds 1 --steps 64 --users 16"
    sessions = f"--sessions 10 --test-sessions 10 --out {tmp_path} --no-tensorboard"
    assert main([*options.split(), *sessions.split()]) == 0
    (trained,) = tmp_path.glob("*-train-policy")
    assert (trained / "items.txt").read_text() == (world / "items.txt").read_text()
    study = (
        f"study --worlds {world} --encoders none --agents linucb --seeds 2 --steps 320 --users 8"
    )
    small = f"--warm-sessions 20 --sessions 20 --workers 1 --out {tmp_path}"
    assert main([*study.split(), *small.split()]) == 0
    planning = f"benchmark planning --worlds {world} --sessions 20 --searched 0 --generations 1"
    assert main(planning.split()) == 0
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing: calibrate the world"):
        make_env(str(tmp_path / "empty"), 2)
    with pytest.raises(ValueError, match="and folders that longplay calibrate wrote"):
        make_env("recsim_env/Nowhere-v0", 2)


@pytest.fixture(scope="module")
def judged() -> tuple[LoggedDataset, Judged]:
    log = LoggedDataset.concat(
        [logged(1, 0.1, "bad"), logged(2, 0.5, "fair"), logged(3, 0.9, "good")]
    )
    topics = np.arange(8) // 4
    return log, fit_and_judge(log, Fit(topics=topics, dims=2, simulated=400), Show())


def test_the_world_ranks_the_loggers_as_their_log_does(
    judged: tuple[LoggedDataset, Judged],
) -> None:
    _, found = judged
    assert [x.name for x in found.loggers] == ["bad", "fair", "good"]
    for one in found.loggers:
        assert one.simulated.returns.mean() == pytest.approx(one.logged.returns.mean(), rel=0.15)
    assert found.rank_correlation == 1
    assert "The world ranks the loggers as the log does by 1.00 (Spearman)." in sentences(found)


def test_loggers_have_their_own_sessions(judged: tuple[LoggedDataset, Judged]) -> None:
    log, _ = judged
    own = by_logger(log, 20)
    assert {name: part.n_sessions for name, part in own.items()} == dict.fromkeys(
        ("bad", "fair", "good"), SESSIONS
    )
    assert log.logger is not None
    mixed = log.logger.astype("U4").copy()
    long = int(np.argmax(np.bincount(log.sessions[log.logger == "bad"])))
    mixed[(log.sessions == long) & (log.step == 0)] = "good"
    parts = by_logger(replace(log, logger=mixed), 20)
    assert (parts["bad"].n_sessions, parts["good"].n_sessions) == (SESSIONS - 1, SESSIONS)
    assert by_logger(replace(log, logger=None), 20) == {}
    assert by_logger(logged(1, 0.1, "bad"), 20) == {}


def test_a_log_that_does_not_say_what_was_taken_is_refused() -> None:
    log = logged(1, 0.5, "one")
    with pytest.raises(ValueError, match="the log has no `consumed`"):
        served_log(replace(log, consumed=None))
    with pytest.raises(ValueError, match="has missing steps before row 0"):
        served_log(log.take(log.step > 0))
    with pytest.raises(ValueError, match="60 sessions: a world needs at least 100"):
        fit_and_judge(log.take(log.sessions < 60), Fit(), Show())


def test_a_simulators_log_keeps_its_histories_and_offers() -> None:
    env = small_env(16, max_steps=5)
    log = served_log(collect(env, build("uniform", env), n_sessions=40, seed=0))
    assert log.candidates is not None
    assert log.candidates.shape[1] == env.n_candidates
    assert log.max_steps == 5
    assert (log.responses[log.position >= 0, 0] == 1).all()
    assert (log.responses[log.position < 0] == 0).all()


def test_a_log_of_one_response_is_told_what_its_world_lacks() -> None:
    assert missing_responses(0) == missing_responses(3) == ""
    assert "taken for click; watch time, quality are 0" in missing_responses(1)
    assert "the first are kept: click, watch time, quality" in missing_responses(4)

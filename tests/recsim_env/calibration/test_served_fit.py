"""A world fitted to a served log finds what was planted, says what it does not foretell, and is
the same after saving, loading and registering."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env
from recsim_env.calibration.served.choice import fit_choice
from recsim_env.calibration.served.fit import Parts, fit_parts, fit_served, items_of, principal
from recsim_env.calibration.served.hazard import fit_hazard, leaving, nobody_leaves, patience_of
from recsim_env.calibration.served.log import Clock, ServedLog
from recsim_env.calibration.served.replay import logged, replayed
from recsim_env.calibration.served.scores import likelihood, scores, squares
from recsim_env.calibration.world import FittedWorld
from recsim_env.users.served import ServedConfig
from tests.recsim_env.calibration.factories import DIMS, ITEMS, TOPICS, planted, uniform_log

WORLD = planted()


def fitted(log: ServedLog, world: FittedWorld = WORLD) -> Parts:
    items = items_of(
        log, world.catalogue.vectors, world.catalogue.topics, dims=DIMS, n_topics=TOPICS, seed=0
    )
    return fit_parts(log, items)


@pytest.fixture(scope="module")
def log() -> ServedLog:
    return uniform_log(WORLD, 2000, seed=1)


@pytest.fixture(scope="module")
def parts(log: ServedLog) -> Parts:
    return fitted(log)


def slope(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.polyfit(truth, found, 1)[0])


def test_the_choice_with_nothing_is_found(parts: Parts) -> None:
    c, truth = parts.choice.coefficients, WORLD.catalogue.columns["appeal"]
    # about 20,000 decisions: an item is shown 1,500 times, its effect has a standard error of .07
    assert np.corrcoef(c.appeal, truth)[0, 1] > 0.97
    assert slope(c.appeal, truth) == pytest.approx(1, abs=0.12)
    assert c.no_choice == pytest.approx(0.5, abs=0.12)
    assert np.asarray(c.position) == pytest.approx([0, -0.3, -0.6], abs=0.08)
    assert parts.choice.keep == 0.9
    assert c.dull == pytest.approx(0.6, abs=0.15)
    assert c.follow == pytest.approx(0, abs=0.12)
    # users' preferences have variance 1 in each of the four directions that features have
    assert np.diag(parts.choice.tastes.covariance)[:DIMS] == pytest.approx(np.ones(DIMS), abs=0.35)


def test_reward_and_responses_are_found(parts: Parts) -> None:
    truth = WORLD.catalogue.columns
    assert parts.pay.item == pytest.approx(truth["pay"], abs=0.08)
    assert parts.pay.spread == pytest.approx(0.2, abs=0.02)
    assert parts.pay.slopes == pytest.approx(np.zeros(3), abs=0.03)
    assert np.abs(parts.pay.purse).max() < 0.1
    assert parts.responses.item[:, 2] == pytest.approx(truth["response"][:, 2], abs=1e-6)
    assert parts.responses.slope == pytest.approx([0, 1, 0], abs=1e-6)
    assert parts.responses.spread == pytest.approx(np.zeros(3), abs=1e-4)


def test_the_hazard_is_found(parts: Parts) -> None:
    hazard, truth = parts.hazard, WORLD.catalogue.columns["departure"]
    assert hazard.keep == 0.8
    assert np.corrcoef(hazard.departure, truth)[0, 1] > 0.9
    assert slope(hazard.departure, truth) == pytest.approx(1, abs=0.25)
    # 1,900 users leave: a base of standard error .1, of which the other terms take and give
    assert hazard.coefficients["base"] == pytest.approx(-2.2, abs=0.35)
    assert hazard.coefficients["idle"] == pytest.approx(0.15, abs=0.15)


def test_a_session_that_was_cut_is_none_that_a_user_left(log: ServedLog) -> None:
    rows = log.step < 4  # everybody is cut after four decisions
    cut = replace(
        log, session=log.session[rows], step=log.step[rows], slate=log.slate[rows],
        position=log.position[rows], reward=log.reward[rows], responses=log.responses[rows],
        left=log.left[rows], max_steps=4,
    )  # fmt: skip
    clock = Clock.of(cut)
    none = np.zeros(len(cut))
    hazard = fit_hazard(cut, clock, none, none, np.zeros((ITEMS, 0)), 0)
    # the first decisions of the whole log and of the cut one are the same: so are their chances
    first = cut.step == 0
    assert leaving(hazard, cut, clock, none, none)[first].mean() == pytest.approx(
        log.left[log.step == 0].mean(), abs=0.01
    )
    ends = np.diff(cut.session, append=cut.n_sessions) > 0
    assert ends.sum() > 1.3 * cut.left.sum()  # had a cut been a leaving, the rate were this higher
    assert leaving(hazard, cut, clock, none, none).mean() == pytest.approx(
        cut.left.mean(), rel=0.01
    )
    stayed = replace(cut, left=np.zeros(len(cut), bool))
    never = fit_hazard(stayed, clock, none, none, np.zeros((ITEMS, 0)), 0)
    assert never.coefficients["base"] == -50
    assert never.coefficients == nobody_leaves(cut).coefficients


def test_users_of_different_patience_are_found() -> None:
    rng, sessions = np.random.default_rng(0), 4000
    own = 1.2 * rng.normal(size=sessions)
    session, left = [], []
    for s in range(sessions):
        for _ in range(30):
            session.append(s)
            left.append(rng.random() < 1 / (1 + np.exp(2.0 - own[s])))
            if left[-1]:
                break
    n = len(session)
    slates = np.arange(3 * n).reshape(n, 3) % ITEMS
    step = np.arange(n) - np.searchsorted(session, session)
    log = ServedLog.of(
        session=np.array(session), step=step, slate=slates, consumed=slates[:, 0],
        reward=np.ones(n), left=np.array(left), n_items=ITEMS,
    )  # fmt: skip
    base, spread, draw = patience_of(log, np.full(n, -2.0), 0)
    assert base == pytest.approx(0, abs=0.1)
    assert spread == pytest.approx(1.2, abs=0.15)
    assert np.corrcoef(draw, own)[0, 1] > 0.4
    shuffled = replace(log, left=rng.permutation(log.left))
    assert patience_of(shuffled, np.full(n, np.log(log.left.mean())), 0)[1] < 0.3


def test_held_out_scores_beat_a_constant_where_there_is_signal(log: ServedLog) -> None:
    held, others = log.halves(0.25, 0)
    known, chances = scores(fitted(others), others, held)
    assert [row.part for row in known] == [
        "choice, nothing included", "reward", "watch time, given the reward", "quality", "leaving",
    ]  # fmt: skip
    assert all(row.gains for row in known)
    gains = {row.part: row.fitted - row.constant for row in known}
    assert gains["choice, nothing included"] > 0.1
    assert gains["leaving"] > 0.004
    assert chances.error < 0.03


def test_held_out_scores_do_not_beat_a_constant_where_there_is_none() -> None:
    plain = planted(taste=0.0, dull=0.0, leave_idle=0.0)
    flat = {name: np.zeros_like(column) for name, column in plain.catalogue.columns.items()}
    flat["pay"] = np.full(ITEMS, 3.0)
    flat["response"] = np.ones((ITEMS, 3))
    traits = dict(plain.population.traits) | {"position": np.zeros(3), "slope": np.zeros(3)}
    world = replace(
        plain,
        catalogue=replace(plain.catalogue, columns=flat),
        population=replace(plain.population, traits=traits),
    )
    held, others = uniform_log(world, 1500, seed=3).halves(0.25, 0)
    known, _ = scores(fitted(others, world), others, held)
    assert [row.part for row in known] == ["choice, nothing included", "reward", "leaving"]
    for row in known:  # neither a gain that sessions tell of, nor a loss to speak of
        assert row.gains is not True, row
        assert row.fitted == pytest.approx(row.constant, abs=0.002), row.part


def test_a_gain_is_told_from_noise_by_sessions() -> None:
    """Two sessions of 1 and 3 decisions: influences (1 - 0.5) / 4 and (1 - 1.5) / 4."""
    row = likelihood("choice", np.array([-1.0, -5.0]), np.array([-2.0, -6.0]), np.array([1, 3]))
    half = 1.96 * np.sqrt(2 * (0.125**2 + 0.125**2))
    assert (row.fitted, row.constant, row.gain) == (-1.5, -2.0, 0.5)
    np.testing.assert_allclose([row.low, row.high], [0.5 - half, 0.5 + half])
    assert row.gains is None or half < 0.5
    rng = np.random.default_rng(0)
    told, session = [], np.repeat(np.arange(100), 4)
    for _ in range(400):  # errors of sessions, alike in both: no gain, whatever is drawn
        shared = np.repeat(rng.normal(size=100), 4)
        told.append(squares("", shared + rng.normal(size=400), shared + rng.normal(size=400),
                            session).gains)  # fmt: skip
    assert np.mean([t is None for t in told]) == pytest.approx(0.95, abs=0.035)
    better = squares("", rng.normal(size=400), 2 * rng.normal(size=400), session)
    assert (better.gains, better.better) == (True, "lower")
    assert better.gain == pytest.approx(better.constant - better.fitted)


def test_the_fitted_world_lives_as_the_log_did(log: ServedLog) -> None:
    catalogue = WORLD.catalogue
    world = fit_served(log, features=catalogue.vectors, topics=catalogue.topics, dims=DIMS)
    real, fake = logged(log), replayed(world, log, 2000, 0)
    assert fake.returns.mean() == pytest.approx(real.returns.mean(), rel=0.08)
    assert fake.steps.mean() == pytest.approx(real.steps.mean(), rel=0.06)
    assert fake.take_rate == pytest.approx(real.take_rate, abs=0.02)
    assert real.by_step.sum() == pytest.approx(real.returns.mean())
    assert fake.by_step.sum() == pytest.approx(fake.returns.mean())


def test_saved_loaded_and_registered_worlds_are_the_same(tmp_path: Path) -> None:
    WORLD.save(tmp_path / "world")
    again = FittedWorld.load(tmp_path / "world")
    assert again.config == WORLD.config
    assert dict(again.serving) == WORLD.serving
    env_id = WORLD.register("PlantedServed")
    envs: list[Any] = [WORLD.make_vec(20), again.make_vec(20)]
    envs.append(gymnasium.make_vec(env_id, num_envs=20))
    rng = np.random.default_rng(0)
    slates = [np.argsort(rng.random((20, ITEMS)), axis=1)[:, :3] for _ in range(15)]
    runs = []
    for env in envs:
        env.reset(seed=4)
        runs.append([env.step(slate)[:4] for slate in slates])
    for run in runs[1:]:
        for (obs, *rest), (other, *others) in zip(runs[0], run, strict=True):
            assert all(np.array_equal(obs[key], other[key]) for key in obs)
            assert all(np.array_equal(a, b) for a, b in zip(rest, others, strict=True))
    recsim_env.check_vector_env(gymnasium.make_vec(env_id, num_envs=5))
    names = sorted(p.name for p in (tmp_path / "world").iterdir())
    assert names == ["arrays.npz", "config.json"]  # numbers and text: nothing that runs


def test_what_a_served_world_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="fit one with longplay calibrate --log"):
        recsim_env.RecVectorEnv(2, model="served")
    catalogue = replace(WORLD.catalogue, columns={})
    with pytest.raises(ValueError, match="a served world needs appeal, pay, departure, response"):
        replace(WORLD, catalogue=catalogue).make_vec(2)
    traits = dict(WORLD.population.traits) | {"level": np.zeros(3)}
    with pytest.raises(ValueError, match="level has 3 rows for 2000 users"):
        replace(WORLD, population=replace(WORLD.population, traits=traits)).make_vec(2)
    with pytest.raises(ValueError, match=r"keep = 1\.5 must lie in"):
        ServedConfig(keep=1.5)
    with pytest.raises(ValueError, match="need pay_low <= pay_high"):
        ServedConfig(pay_low=2.0, pay_high=1.0)


def test_logs_that_are_none_are_refused() -> None:
    n = 60
    columns: dict[str, Any] = {
        "session": np.arange(n) // 2, "step": np.arange(n) % 2, "n_items": ITEMS,
        "slate": np.arange(3 * n).reshape(n, 3) % ITEMS, "reward": np.ones(n),
        "left": np.arange(n) % 2 == 1,
    }  # fmt: skip
    with pytest.raises(ValueError, match="row 0: item 39 was taken but not shown"):
        ServedLog.of(**columns, consumed=np.full(n, 39))
    with pytest.raises(ValueError, match="1 sessions: a world needs at least 20"):
        ServedLog.of(**columns | {"session": np.zeros(n)}, consumed=np.full(n, -1))
    log = ServedLog.of(**columns, consumed=columns["slate"][:, 1])
    with pytest.raises(ValueError, match=r"features are \(3, 2\); pass one row"):
        fit_served(log, features=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="topics are"):
        fit_served(log, topics=np.zeros(3, int))


def test_a_log_without_features_or_leaving_is_fitted(log: ServedLog) -> None:
    some = log.sessions(np.arange(log.n_sessions) < 200)
    world = fit_served(replace(some, left=np.zeros(len(some), bool)), dims=3, n_topics=5)
    assert world.catalogue.vectors.shape == (ITEMS, 3)
    assert world.config.leave_base == -50
    assert replayed(world, some, 50, 0).steps.min() == 40


def test_principal_components_keep_inner_products() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 5)).astype(np.float32)
    y = principal(x, 5)
    centred = x - x.mean(0)
    scale = float((centred**2).sum(1).mean())
    assert y @ y.T == pytest.approx(centred @ centred.T / scale, abs=1e-5)
    assert principal(np.ones((4, 3), np.float32), 2).shape == (4, 1)


def test_the_memory_of_choice_follows_the_log(log: ServedLog) -> None:
    world = planted(dull=1.2, keep=0.7)
    other = uniform_log(world, 1200, seed=5)
    choice = fit_choice(other, Clock.of(other), world.catalogue.vectors, world.catalogue.topics)
    assert choice.keep == 0.7
    assert choice.coefficients.dull == pytest.approx(1.2, abs=0.25)


@pytest.mark.parametrize(
    ("n_items", "decisions", "taken"), [(6, 1, 0), (6, 3, -1), (2, 3, 0), (1, 3, 0)]
)
def test_items_of_which_no_session_tells_are_alike(
    n_items: int, decisions: int, taken: int
) -> None:
    """Sessions of one decision, users who take nothing, catalogues of one or two items."""
    rng = np.random.default_rng(0)
    session, n = np.repeat(np.arange(60), decisions), 60 * decisions
    slate = rng.integers(0, n_items, (n, 1))
    log = ServedLog.of(
        session=session, step=np.tile(np.arange(decisions), 60), slate=slate,
        consumed=slate[:, 0] if taken == 0 else np.full(n, -1), reward=rng.random(n),
        left=np.tile(np.arange(decisions) == decisions - 1, 60), n_items=n_items,
    )  # fmt: skip
    items = items_of(log, None, None, dims=4, n_topics=5, seed=0)
    assert items.shown.shape == (n_items, 1)
    assert not items.shown.any()
    assert not items.topics.any()
    env = fit_served(log).make_vec(8)
    env.reset(seed=0)
    assert np.isfinite(env.step(np.zeros(8, np.int64))[1]).all()

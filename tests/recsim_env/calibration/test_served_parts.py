"""The arithmetic under a fitted world: sums over time, random effects, integrals; slow twins."""

from __future__ import annotations

import numpy as np
import pytest

from recsim_env.calibration.served.log import Clock, ServedLog
from recsim_env.calibration.served.outcomes import shrunk
from recsim_env.calibration.served.state import states
from recsim_env.calibration.served.taste import blocks, marginal

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(12, 3)).astype(np.float32)
TOPICS = (np.arange(12) % 3).astype(np.int32)


@pytest.fixture(scope="module")
def log() -> ServedLog:
    """25 sessions of 1 to 6 decisions, the last places of some slates empty."""
    rng = np.random.default_rng(1)
    length = rng.integers(1, 7, size=25)
    session = np.repeat(np.arange(25), length)
    n = len(session)
    slate = np.argsort(rng.random((n, 12)), axis=1)[:, :3]
    slate[rng.random(n) < 0.2, 2] = -1
    taken = rng.integers(-1, 2, size=n)
    consumed = np.where(taken >= 0, slate[np.arange(n), np.maximum(taken, 0)], -1)
    order = rng.permutation(n)  # rows may come in any order
    step = np.arange(n) - np.searchsorted(session, session)
    return ServedLog.of(
        session=session[order], step=step[order], slate=slate[order], consumed=consumed[order],
        reward=rng.random(n)[order], left=np.zeros(n, bool), n_items=12,
    )  # fmt: skip


def test_sums_fade_and_their_transpose(log: ServedLog) -> None:
    clock, rng = Clock.of(log), np.random.default_rng(2)
    x, y = rng.normal(size=(2, len(log)))
    found = clock.faded(x, 0.7)
    for start, end in zip(log.starts[:-1], log.starts[1:], strict=True):
        total = 0.0
        for row in range(start, end):
            total = 0.7 * total + x[row]
            assert found[row] == pytest.approx(total)
    assert clock.faded(x, 0.7) @ y == pytest.approx(x @ clock.faded_back(y, 0.7))
    assert clock.faded(np.c_[x, y], 0.9)[:, 1] == pytest.approx(clock.faded(y, 0.9))


def test_states_are_those_of_one_session_at_a_time(log: ServedLog) -> None:
    found = states(log, Clock.of(log), FEATURES, TOPICS, 0.8)
    for start, end in zip(log.starts[:-1], log.starts[1:], strict=True):
        worn, recent = np.zeros(3), np.zeros(3)
        for row in range(start, end):
            for k, item in enumerate(log.slate[row]):
                known = (worn[TOPICS[item]], recent @ FEATURES[item]) if item >= 0 else (0, 0)
                assert (found.worn[row, k], found.likeness[row, k]) == pytest.approx(
                    known, abs=1e-5
                )
            worn, recent = 0.8 * worn, 0.8 * recent
            if (item := log.consumed[row]) >= 0:
                worn[TOPICS[item]] += 1
                recent += FEATURES[item]
            assert found.most_worn[row] == pytest.approx(worn.max(), abs=1e-5)


def test_sessions_can_be_taken_alone(log: ServedLog) -> None:
    some = log.sessions(np.arange(25) % 2 == 0)
    assert some.n_sessions == 13
    assert some.returns() == pytest.approx(log.returns()[::2])
    first, rest = log.halves(0.2, 0)
    assert (first.n_sessions, rest.n_sessions) == (5, 20)
    assert first.returns().sum() + rest.returns().sum() == pytest.approx(log.reward.sum())


def test_means_are_shrunk_by_the_variances_within_and_between() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=400)
    code = np.repeat(np.arange(400), 5)
    values = 10 + truth[code] + 2 * rng.normal(size=2000)
    found = shrunk(values, code, 401)
    # between 1, within 4, 5 values each: weight 5 / (5 + 4)
    means = np.bincount(code, values) / 5 - values.mean()
    weight = float(found[:400] @ means / (means @ means))
    assert found[:400] == pytest.approx(weight * means, abs=1e-9)
    assert weight == pytest.approx(5 / 9, abs=0.05)
    assert found[400] == 0  # a group without values
    assert np.abs(shrunk(rng.normal(size=2000), code, 400)).max() < 0.25  # nothing between groups
    assert shrunk(np.array([1.0, 2.0]), np.array([0, 1]), 2) == pytest.approx([0, 0])


def test_users_effects_are_integrated_out(log: ServedLog) -> None:
    rng = np.random.default_rng(4)
    utility = np.where(log.slate >= 0, rng.normal(size=log.slate.shape), -np.inf)
    variance = 0.3
    found = marginal(log, FEATURES, utility, variance * np.eye(4))
    draws = variance**0.5 * rng.normal(size=(20_000, 4))
    total = np.zeros((len(draws), log.n_sessions))
    for row in range(len(log)):
        z = np.ones((3, 4))
        z[:, :3] = FEATURES[log.slate[row]]
        mass = np.exp(utility[row] + draws @ z.T)
        each = np.c_[mass, np.ones(len(draws))] / (1 + mass.sum(1, keepdims=True))
        total[:, log.session[row]] += np.log(each[:, log.position[row]])  # -1: nothing
    exact = np.log(np.exp(total).mean(0))
    assert found == pytest.approx(exact, abs=0.05)  # Laplace's approximation at this variance


def test_blocks_of_long_sessions_are_short(log: ServedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = marginal(log, FEATURES, np.zeros(log.slate.shape), np.eye(4))
    monkeypatch.setattr("recsim_env.calibration.served.taste.ROWS", 8)
    made = [rows for _, rows in blocks(log)]
    assert max(rows.size for rows in made) <= 8
    each = np.concatenate([rows[rows >= 0] for rows in made])
    np.testing.assert_array_equal(np.sort(each), np.arange(len(log)))
    found = marginal(log, FEATURES, np.zeros(log.slate.shape), np.eye(4))
    np.testing.assert_allclose(found, whole, rtol=1e-5)

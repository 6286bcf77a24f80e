"""Planning from a log: what an item pays now, and what it does to the rest of the session."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from offpolicy import LoggedDataset
from policies import POLICIES, ScorePolicy, load, save
from policies.improve.assortment import marginal_values
from policies.improve.one_step import OneStep
from policies.observation import observation_of_log
from tests.factories import make_serving

SERVING = make_serving(3, slate_size=1, item_features=np.zeros((3, 0)))


def planned(*logs: LoggedDataset, name: str = "one_step", serving: Any = SERVING) -> ScorePolicy:
    policy = POLICIES[name].load()(serving)
    assert isinstance(policy, ScorePolicy)
    for log in logs:
        policy.update(log)
    return policy


def model(policy: ScorePolicy) -> OneStep:
    assert isinstance(policy.score_model, OneStep)
    return policy.score_model


def two_decisions(sessions: int = 3000, seed: int = 0, **changed: Any) -> LoggedDataset:
    """Item 0 pays 1 and ends the session; after item 1, which pays nothing, item 2 pays 3, and
    after nothing taken, in a third of the sessions, it pays 2."""
    rng = np.random.default_rng(seed)
    shown = rng.integers(0, 2, sessions)
    item = np.where(rng.random(sessions) < 1 / 3, -1, shown)
    two = np.full(sessions, 2)
    there = np.stack([two > 0, item != 0], axis=1).ravel()
    columns: dict[str, NDArray[Any]] = {
        "session": np.repeat(np.arange(sessions), 2),
        "step": np.tile([0, 1], sessions),
        "slate": np.stack([shown, two], axis=1).ravel(),
        "consumed": np.stack([item, two], axis=1).ravel(),
        "responses": np.ones((2 * sessions, 1)),
        "context": np.zeros((2 * sessions, 1)),
        "reward": np.stack([item == 0, np.array([0.0, 3.0, 2.0])[item]], axis=1).ravel(),
        "terminated": np.stack([item == 0, two > 0], axis=1).ravel(),
        "propensity": np.full(2 * sessions, 0.5),
    } | changed
    return LoggedDataset.from_columns(n_items=3, **{k: v[there] for k, v in columns.items()})


def test_values_of_two_decisions_are_those_worked_by_hand() -> None:
    """What follows is 0 after item 0, 3 after item 1 and 2 after nothing; item 0 pays 1 at once.
    Two of three slates are taken up: odds of 2. So item 0 is worth 1 + 0 - 2 = -1 beyond nothing,
    item 1 0 + 3 - 2 = 1, and a slate of item 1 alone 2 x 1 / (1 + 2) = 2/3."""
    log = two_decisions()
    policy = planned(log)
    first = observation_of_log(log, SERVING).rows(np.flatnonzero(log.step == 0)[:1])
    one = model(policy)
    one.values = one.values._replace(left=np.zeros(len(one.values.left)))  # as at the usual state
    odds, value = (v[:, :2] for v in one.values.on_offer(first, one.kernels, one.values.rest))
    np.testing.assert_allclose(odds, [[2, 2]], rtol=0.1)
    np.testing.assert_allclose(value, [[-1, 1]], atol=0.02)
    added = marginal_values(odds, value, 1, np.ones((1, 2), bool))
    assert added.max() == pytest.approx(2 / 3, abs=0.02)
    d = policy.distribution(dataclasses.replace(first, eligible=np.array([[True, True, False]])))
    assert d.ranking(1).tolist() == [[1]], "it pays nothing now"


@pytest.mark.parametrize("loggers", [1, 2])
def test_logs_add_up_and_survive_a_night(loggers: int, tmp_path: Path) -> None:
    logs = [
        two_decisions(300, seed, logger=np.full(600, f"v{seed % loggers}")) for seed in (1, 2, 3)
    ]
    whole = planned(LoggedDataset.concat(logs))
    apart = planned(logs[0])
    save(apart, tmp_path / "night")
    again = load(tmp_path / "night")
    for log in logs[1:]:
        again.update(log)
    obs = observation_of_log(logs[0], SERVING).rows(slice(0, 50))
    expected = model(whole).scores(obs)
    assert isinstance(again, ScorePolicy)
    np.testing.assert_allclose(model(again).scores(obs), expected, rtol=1e-6, atol=1e-9)
    save(whole, tmp_path / "whole")
    kept = load(tmp_path / "whole")
    assert isinstance(kept, ScorePolicy)
    np.testing.assert_array_equal(model(kept).scores(obs), expected)
    assert len(model(kept).evidence.loggers) == loggers


def served(sessions: int, level: float, share: float, seed: int, name: str) -> LoggedDataset:
    """Sessions of 4 decisions that pay `level` each; item 1, shown in a share of them, adds 1 to
    the next decision."""
    rng = np.random.default_rng(seed)
    item = (rng.random((sessions, 4)) < share).astype(np.int64)
    reward = level + np.concatenate([np.zeros((sessions, 1)), item[:, :-1]], axis=1)
    reward = reward + rng.normal(size=reward.shape)
    n = item.size
    return LoggedDataset.from_columns(
        session=np.repeat(np.arange(sessions), 4),
        step=np.tile(np.arange(4), sessions),
        slate=item.ravel(),
        consumed=item.ravel(),
        responses=np.ones((n, 1)),
        context=np.zeros((n, 1)),
        reward=reward.ravel(),
        terminated=np.tile([False, False, False, True], sessions),
        logger=np.full(n, name),
        propensity=np.where(item.ravel() == 1, share, 1 - share),
        n_items=3,
    )


def test_each_logging_policy_has_levels_of_its_own() -> None:
    """A policy that showed item 1 often served in better days: the item does not get the credit."""
    logs = [served(1500, 0.0, 0.1, 1, "old"), served(1500, 5.0, 0.9, 2, "new")]
    effect = model(planned(*logs)).values.rest.effect
    assert effect[1] - effect[0] == pytest.approx(0.75, abs=0.15)  # of 4 rows, 3 have a next one
    blind = [
        LoggedDataset.from_columns(
            n_items=3, **{k: v for k, v in log.columns().items() if k != "logger"}
        )
        for log in logs
    ]
    fooled = model(planned(*blind)).values.rest.effect
    assert fooled[1] - fooled[0] > 2.0, "without their names it does"


def cut_at_random(log: LoggedDataset, chance: float, seed: int) -> LoggedDataset:
    """Sessions that stop being seen after each row with a chance, but for their last row."""
    rng = np.random.default_rng(seed)
    stop = (rng.random(len(log)) < chance) & ~log.terminated
    before = np.zeros(log.n_sessions, np.int64)
    keep = np.ones(len(log), bool)
    for row in range(len(log)):
        keep[row] = before[log.sessions[row]] == 0
        before[log.sessions[row]] += stop[row]
    part = log.take(keep)
    return LoggedDataset.from_columns(n_items=3, **part.columns() | {"truncated": stop[keep]})


def test_cut_sessions_do_not_bias_what_follows() -> None:
    """Item 1 pays by keeping users: cut sessions show less of it."""
    rng = np.random.default_rng(5)
    rows: dict[str, list[float]] = {k: [] for k in ("session", "step", "slate", "terminated")}
    for session in range(3000):
        for step in range(40):
            item = rng.integers(0, 2)
            leaves = rng.random() < (0.3 if item == 0 else 0.1) or step == 39
            for name, value in zip(rows, (session, step, item, leaves), strict=True):
                rows[name].append(value)
            if leaves:
                break
    n = len(rows["session"])
    log = LoggedDataset.from_columns(
        **{k: np.array(v, int) for k, v in rows.items() if k != "terminated"},
        terminated=np.array(rows["terminated"], bool),
        consumed=np.array(rows["slate"], int),
        responses=np.ones((n, 1)),
        context=np.zeros((n, 1)),
        reward=np.ones(n),
        propensity=np.full(n, 0.5),
        n_items=3,
    )

    def gap(one: LoggedDataset) -> float:
        effect = model(planned(one)).values.rest.effect
        return float(effect[1] - effect[0])

    # a decision is followed by 1 / 0.2 = 5 on average, if at all: .9 x 5 - .7 x 5 = 1
    assert gap(log) == pytest.approx(1.0, abs=0.2)
    cut = cut_at_random(log, 0.3, seed=6)
    assert gap(cut) == pytest.approx(1.0, abs=0.25)
    ended = {k: v for k, v in cut.columns().items() if k not in ("truncated", "terminated")}
    fooled = gap(LoggedDataset.from_columns(n_items=3, **ended))
    assert fooled < 0.7, "taken for whole they would"


def test_what_was_taken_must_be_known() -> None:
    columns = {k: v for k, v in two_decisions(20).columns().items() if k != "consumed"}
    with pytest.raises(ValueError, match="no `consumed` column"):
        planned(LoggedDataset.from_columns(n_items=3, **columns))

"""Likeness of items to what was taken of late, against loops; and what of a log counts how much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import ENCODERS, build, collect, consumed_sequences, load, observation_of, save
from policies.improve.decisions import decisions, left_to_chance
from policies.improve.kernels import PRIOR, Kernels, step_levels
from policies.improve.sample import StateSample
from policies.observation import observation_of_log
from tests.factories import make_env, make_observation, make_serving


def test_products_are_those_of_loops() -> None:
    env = make_env(8, history_length=9)
    log = collect(env, build("uniform", env), n_steps=12, seed=1)
    serving = build("uniform", env).serving
    kernels, obs = Kernels.of(serving, None), observation_of_log(log, serving)
    assert kernels.windows == (3, 8, 9)
    assert obs.candidates is not None
    found = kernels.items(kernels.seen(obs), obs.candidates)
    np.testing.assert_array_equal(kernels.items(kernels.seen(obs), None), found)
    for row in range(0, len(obs), 7):
        history = [i for i in obs.history_items[row].tolist() if i >= 0]
        for c, item in enumerate(obs.candidates[row].tolist()):
            slow = []
            for table in kernels.groups:
                assert np.linalg.norm(table, axis=1) == pytest.approx(1.0, abs=1e-5)
                for w in kernels.windows:
                    late = history[-w:]
                    slow.append(sum(float(table[i] @ table[item]) for i in late))
                    slow[-1] /= len(late) + PRIOR
            slow.append(float(item in history))
            np.testing.assert_allclose(found[row, c], slow, atol=1e-5)


def test_the_whole_catalogue_gives_what_its_items_give() -> None:
    env = make_env(8, n_candidates=None)
    obs = observation_of(env.reset(seed=0)[0])
    kernels = Kernels.of(build("uniform", env).serving, None)
    every = np.tile(np.arange(30, dtype=np.int32), (8, 1))
    seen = kernels.seen(obs)
    np.testing.assert_allclose(kernels.items(seen, None), kernels.items(seen, every), atol=1e-6)


def test_a_state_reads_only_what_there_is() -> None:
    bare = make_serving(3, user_size=0, response_names=(), item_features=np.zeros((3, 0)))
    obs = make_observation([[-1, 0, 1]], user=np.zeros((1, 0)), n_responses=0)
    kernels = Kernels.of(bare, None)
    assert kernels.state(kernels.seen(obs)).shape == (1, kernels.state_size)


@pytest.mark.parametrize("name", ["one_step", "fitted_q"])
def test_an_encoder_is_one_more_kernel_and_is_saved(name: str, tmp_path: Path) -> None:
    env = make_env(16)
    log = collect(env, build("uniform", env), n_sessions=80, seed=2)
    fitted = ENCODERS["average"].small(length=5, seed=0).fit(consumed_sequences(log))
    policy, plain = build(name, env, encoder=fitted), build(name, env)
    for one in (policy, plain):
        one.update(log)
    save(policy, tmp_path / "it")
    obs = observation_of_log(log, policy.serving)
    chances = policy.distribution(obs).first_place()
    np.testing.assert_array_equal(load(tmp_path / "it").distribution(obs).first_place(), chances)
    kernels = Kernels.of(policy.serving, fitted)
    assert kernels.size == Kernels.of(policy.serving, None).size + 1
    found = kernels.items(kernels.seen(obs), None)[3, :, -1]
    assert obs.candidates is not None
    score = fitted.item_vectors[obs.candidates[3]] @ fitted.encode(obs.history_items[3:4])[0]
    np.testing.assert_allclose(found, score, rtol=1e-5)


def test_other_responses_than_those_built_for_are_refused() -> None:
    kernels = Kernels.of(make_serving(3, response_names=("click", "quality")), None)
    with pytest.raises(ValueError, match=r"1 responses of each item.* reads click, quality"):
        kernels.seen(make_observation([[-1, 0, 1]]))


def test_levels_of_the_step_sum_to_1() -> None:
    levels = step_levels(np.array([0, 1, 3, 6, 64, 1000]))
    np.testing.assert_allclose(levels.sum(axis=1), 1.0)
    assert levels[2, 2:4].tolist() == [0.5, 0.5], "half-way between steps 2 and 4"
    assert levels[5, -1] == 1.0


def small(**columns: object) -> LoggedDataset:
    given = {
        "session": [0, 0, 0, 1],
        "step": [0, 1, 2, 0],
        "slate": [0, 1, 0, 1],
        "consumed": [0, -1, 0, 1],
        "propensity": np.full(4, 0.5),
        "reward": [1.0, 2.0, 4.0, 8.0],
        "terminated": [False, False, False, True],
        "truncated": [False, False, True, False],
    }
    return LoggedDataset.from_columns(n_items=2, **(given | columns))  # type: ignore[arg-type]


def test_the_rest_of_a_session_by_hand() -> None:
    """The last row of a cut session is where it goes on: its own reward is part of its value."""
    rows = decisions(small())
    assert rows.taken.tolist() == [0, 2, 0, 1]
    assert rows.cut.tolist() == [True, True, True, False]
    assert rows.rest.tolist() == [2.0, 0.0, 0.0, 0.0]
    assert rows.known.tolist() == [True, True, False, True]
    whole = decisions(small().with_max_steps(3))
    assert not whole.cut.any()
    assert whole.rest.tolist() == [6.0, 4.0, 0.0, 0.0]
    assert whole.known.all()


def test_rows_count_by_what_was_left_to_chance() -> None:
    offers = {"candidates": np.tile([0, 1], (4, 1))}
    drawn = small(**offers, candidate_propensity=[[0.5, 0.5], [1, 0], [1.0, 0.0], [0.2, 0.8]])
    np.testing.assert_allclose(left_to_chance(drawn), [0.5, 0.05, 0.05, 1 - 0.04 - 0.64])
    assert left_to_chance(small()).tolist() == [1, 1, 1, 1]


def test_a_sample_does_not_depend_on_how_logs_were_divided() -> None:
    env = make_env(16)
    log = collect(env, build("uniform", env), n_sessions=60, seed=3)
    serving = build("uniform", env).serving

    def sampled(*parts: LoggedDataset) -> StateSample:
        sample = StateSample.none(serving, 50)
        for part in parts:
            sample = sample.plus_log(part, observation_of_log(part, serving))
        return sample

    whole = sampled(log)
    apart = sampled(*(log.take(log.sessions % 3 == k) for k in (2, 0, 1)))
    assert len(whole.observation) == 50
    np.testing.assert_array_equal(apart.key, whole.key)
    np.testing.assert_array_equal(apart.observation.history_items, whole.observation.history_items)
    every = StateSample.none(serving, 10_000).plus_log(log, observation_of_log(log, serving))
    mean = every.observation.user[:, 0].mean()
    spread = every.observation.user[:, 0].std() / 50**0.5
    assert abs(whole.observation.user[:, 0].mean() - mean) < 4 * spread
    again = StateSample.from_arrays(whole.to_arrays(), 50)
    np.testing.assert_array_equal(again.eligible, whole.eligible)


def test_what_was_seen_last_is_told_by_its_content() -> None:
    env = make_env(8)
    log = collect(env, build("uniform", env), n_steps=12, seed=1)
    policy = build("one_step", env, temperature=1.0)
    policy.update(log)
    obs = observation_of_log(log, policy.serving)
    before = policy.distribution(obs).first_place()
    obs.history_items[:] = obs.history_items[::-1].copy()
    after = policy.distribution(obs).first_place()
    np.testing.assert_array_equal(policy.distribution(replace(obs)).first_place(), after)
    assert np.abs(after - before).max() > 0


def test_scores_of_many_items_are_made_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_env(8, n_candidates=None)
    log = collect(env, build("uniform", env), n_steps=12, seed=1)
    policy = build("one_step", env, temperature=1.0)
    policy.update(log)
    obs = observation_of_log(log, policy.serving)
    want = policy.distribution(obs).first_place()
    largest: list[int] = []
    items = Kernels.items
    monkeypatch.setattr("policies.improve.values.CELLS", 1000)

    def watched(self: Kernels, seen: Any, ids: Any) -> Any:
        out = items(self, seen, ids)
        largest.append(out.size)
        return out

    monkeypatch.setattr(Kernels, "items", watched)
    np.testing.assert_allclose(policy.distribution(obs).first_place(), want, rtol=1e-5)
    assert max(largest) <= 1000


@pytest.mark.parametrize("name", ["one_step", "fitted_q"])
def test_a_world_without_histories_is_planned_for(name: str) -> None:
    env = make_env(8, history_length=0)
    policy = build(name, env, temperature=1.0)
    policy.update(collect(env, build("uniform", env), n_sessions=50, seed=1))
    obs = observation_of(env.reset(seed=0)[0])
    np.testing.assert_allclose(policy.distribution(obs).first_place().sum(axis=1), 1.0)

"""Scores of the items on offer alone, and logs of users who are followed step by step."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env  # noqa: F401  (registers the environments)
from policies import Cap, Sequences, build, collect, constrained, score_log
from policies.encoders import ENCODERS
from policies.encoders.base import Encoder
from policies.observation import candidate_items, observation_of
from policies.rollout import followed

ITEMS = 60


def fitted(name: str, *, unseen: int = 7, **settings: Any) -> Encoder:
    """An encoder to which the last `unseen` items are new."""
    rng = np.random.default_rng(0)
    lists = [rng.integers(ITEMS - unseen, size=8) for _ in range(40)]
    made = ENCODERS[name](dim=8, length=12, epochs=2, seed=0, **settings)
    return made.fit(Sequences.from_lists(lists, n_items=ITEMS))


@pytest.mark.parametrize("name", ["sasrec", "gru4rec", "average"])
@pytest.mark.parametrize("unseen", [0, 7])
def test_scores_of_some_items_are_those_of_all(name: str, unseen: int) -> None:
    encoder: Any = fitted(name, unseen=unseen)
    rng = np.random.default_rng(1)
    histories = rng.integers(-1, ITEMS, size=(300, 9))
    histories[:20] = -1
    items = rng.integers(ITEMS, size=(300, 5))
    some = encoder.scores_at(encoder.encode(histories), items)
    every = np.take_along_axis(encoder.scores(histories), items, axis=1)
    np.testing.assert_allclose(some, every, rtol=1e-4, atol=1e-5)
    assert np.ptp(every[:20]) > 0  # by popularity where nothing is known


@pytest.mark.parametrize("wrong", [[[0, ITEMS]], [[-1, 0]], [0, 1], [[0.5, 1.0]], [[0], [1]]])
def test_items_outside_the_catalogue_are_refused(wrong: Any) -> None:
    encoder: Any = fitted("average")
    with pytest.raises(ValueError, match=r"items (must be|reach from)"):
        encoder.scores_at(encoder.encode(np.array([[3, 4]])), wrong)


@pytest.mark.parametrize("name", ["sasrec", "gru4rec"])
def test_a_log_of_followed_users_is_that_of_whole_histories(name: str) -> None:
    env = gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=30, n_items=ITEMS, n_candidates=9, history_length=12
    )
    encoder = fitted(name)
    policy = build("softmax_encoder", env, encoder=encoder)
    ruled = constrained(policy, Cap("two of a kind", np.arange(ITEMS) % 3, 2))
    for one in (policy, ruled):
        log = collect(env, one, n_sessions=70, seed=3)
        assert (np.bincount(log.sessions) > 13).any()  # histories outgrew their length
        scored = score_log(one, log, n_slates=0)
        np.testing.assert_allclose(log.propensity, scored.propensity, rtol=1e-3)
        again = collect(env, one, n_sessions=70, seed=3)  # the policy keeps nothing of its users
        assert all(np.array_equal(again.columns()[k], v) for k, v in log.columns().items())
    obs = observation_of(env.reset(seed=0)[0])
    first = followed(policy).distribution(obs).first_place()
    scores = np.take_along_axis(
        encoder.scores(obs.history_items), candidate_items(obs, ITEMS), axis=1
    )
    share = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(first, share, rtol=1e-4)

"""Counterfactual replay: the past stays, luck stays, only the slates change."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from recsim_env import oracle
from recsim_env.replay import places_of, record, replay


def made(n: int = 40):  # type: ignore[no-untyped-def]
    return gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=n)


def test_the_past_is_the_logs_and_the_future_the_other_rules() -> None:
    log = record(made(), oracle.random_slates, seed=5, steps=15)
    again = replay(made(), log.slates, seed=5, at=15, instead=oracle.greedy_oracle, steps=15)
    assert all(np.array_equal(a, b) for a, b in zip(log, again, strict=True))
    other = replay(made(), log.slates, seed=5, at=6, instead=oracle.look_ahead, steps=15)
    for a, b in zip(log, other, strict=True):
        assert np.array_equal(a[:6], b[:6])
    assert not np.array_equal(log.slates[6:], other.slates[6:])
    assert other.reward.sum() > log.reward.sum()


def test_slates_that_were_never_on_offer_are_refused() -> None:
    log = record(made(), oracle.random_slates, seed=5, steps=3)
    with pytest.raises(ValueError, match=r"was not on offer; replay with the seed"):
        replay(made(), log.slates, seed=6, at=3, instead=oracle.random_slates, steps=3)


def test_places_by_hand() -> None:
    choices = np.array([[5, 9, 2], [1, 0, 7]])
    assert places_of(choices, np.array([[2, 5], [7, 1]])).tolist() == [[2, 0], [2, 0]]

"""Counterfactual replay: the past stays, random numbers stay, only the slates change."""

from __future__ import annotations

from collections import Counter

import gymnasium
import numpy as np
import pytest

from recsim_env.oracles import oracle
from recsim_env.oracles.replay import indices_of, record, replay


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


def test_slates_that_were_never_on_offer_raise() -> None:
    log = record(made(), oracle.random_slates, seed=5, steps=3)
    with pytest.raises(ValueError, match=r"was not on offer; replay with the seed"):
        replay(made(), log.slates, seed=6, at=3, instead=oracle.random_slates, steps=3)


def test_indices_by_hand() -> None:
    choices = np.array([[5, 9, 2], [1, 0, 7]])
    assert indices_of(choices, np.array([[2, 5], [7, 1]])).tolist() == [[2, 0], [2, 0]]


def test_any_session_of_a_long_run_plays_again() -> None:
    run, log = made(6), []
    obs, _ = run.reset(seed=8)
    rng, number, step = np.random.default_rng(0), np.zeros(6, int), np.zeros(6, int)
    for _ in range(80):
        choices, action = run.unwrapped.live_choices(), oracle.random_slates(run, obs, rng)
        obs, reward, terminated, truncated, infos = run.step(action)
        shown = np.take_along_axis(choices, action, axis=1)
        log += [
            (i, number[i], step[i], shown[i], infos["consumed"][i], reward[i]) for i in range(6)
        ]
        ended = terminated | truncated
        number, step = number + ended, np.where(ended, 0, step + 1)
    long = [pair for pair, n in Counter(row[:2] for row in log).items() if n >= 6]
    wanted = [long[-1], long[0], long[len(long) // 2]]
    rows = [[r for r in log if r[:2] == pair] for pair in wanted]
    length = min(map(len, rows))
    slates = np.array([[r[t][3] for r in rows] for t in range(length)])
    again = replay(
        made(3),
        slates,
        seed=8,
        at=length,
        instead=oracle.random_slates,
        steps=length,
        sessions=np.array(wanted),
    )
    assert max(number for _, number in wanted) > 0
    assert np.array_equal(again.consumed, [[r[t][4] for r in rows] for t in range(length)])
    assert np.array_equal(again.reward, [[r[t][5] for r in rows] for t in range(length)])


def test_sessions_are_named_by_slot_and_number() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\) and must be whole numbers \(3, 2\)"):
        made(3).reset(seed=0, options={"sessions": np.zeros((2, 2), int)})

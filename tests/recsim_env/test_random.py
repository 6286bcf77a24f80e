"""Luck: each user's own, and as random as it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from recsim_env import random as stream
from recsim_env.jit import njit


def user(key: int = 7, step: int = 0) -> np.void:
    record = np.zeros(1, [("key", "u8"), ("counter", "u8"), ("step", "i8")])[0]
    record["key"], record["step"] = key, step
    return record


@njit
def draw(record, kind, n, out):  # type: ignore[no-untyped-def]
    for i in range(n):
        if kind == 0:
            out[i] = stream.uniform(record)
        elif kind == 1:
            out[i] = stream.normal(record)
        elif kind == 2:
            out[i] = stream.gamma(record, 0.12)
        elif kind == 3:
            out[i] = stream.beta(record, 1.0, 2.5)
        elif kind == 4:
            out[i] = stream.normal_of(record, i)
        else:
            out[i] = stream.integer(record, 7)


def drawn(kind: int, n: int = 20_000, **who: int) -> np.ndarray:
    out = np.zeros(n)
    draw(user(**who), kind, n, out)
    return out


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (0, stats.uniform()),
        (1, stats.norm()),
        (2, stats.gamma(0.12)),
        (3, stats.beta(1.0, 2.5)),
        (4, stats.norm()),
    ],
)
def test_draws_follow_their_law(kind: int, law: stats.rv_continuous) -> None:
    assert stats.kstest(drawn(kind), law.cdf).pvalue > 1e-3


def test_integers_are_uniform() -> None:
    counts = np.bincount(drawn(5).astype(int), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 1e-3


def test_successive_numbers_and_neighbouring_users_are_uncorrelated() -> None:
    keys = stream.stream_keys(0, 20_000)
    first = np.array([drawn(0, 2, key=int(k)) for k in keys[:2000]])
    assert abs(np.corrcoef(first[:, 0], first[:, 1])[0, 1]) < 0.08
    assert abs(np.corrcoef(first[:-1, 0], first[1:, 0])[0, 1]) < 0.08
    assert len(np.unique(keys)) == len(keys)


def test_a_slot_keeps_its_key_whatever_the_number_of_slots() -> None:
    assert np.array_equal(stream.stream_keys(5, 3), stream.stream_keys(5, 100)[:3])
    assert not np.array_equal(stream.stream_keys(5, 3), stream.stream_keys(6, 3))


def test_an_items_number_belongs_to_the_step_not_to_what_was_drawn_before() -> None:
    fresh, used = user(step=4), user(step=4)
    draw(used, 0, 10, np.zeros(10))
    assert stream.normal_of(fresh, 3) == stream.normal_of(used, 3)
    assert stream.normal_of(fresh, 3) != stream.normal_of(user(step=5), 3)


def test_every_purpose_of_every_step_has_numbers_of_its_own() -> None:
    seen = set()
    for step in range(5):
        for purpose in (stream.BEGIN, stream.RESPOND, stream.OFFER):
            record = user(step=step)
            stream.turn(record, purpose)
            seen.add(stream.uniform(record))
    assert len(seen) == 15

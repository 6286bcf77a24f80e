"""Token buckets, by hand."""

from __future__ import annotations

import pytest

from serving.http.rates import Rates


def test_a_second_holds_as_many_calls_as_the_rate_and_fills_again() -> None:
    rates = Rates(2.0, most=10)
    assert [rates.take("ann", 0.0) for _ in range(3)] == [True, True, False]
    assert rates.take("bob", 0.0), "another user's bucket is another one"
    assert not rates.take("ann", 0.4)  # .8 of a call has come back
    assert rates.take("ann", 0.5)
    assert not rates.take("ann", 0.5)
    assert [rates.take("ann", 100.0) for _ in range(3)] == [True, True, False], "no more than full"
    assert not rates.take("ann", 50.0), "a clock that goes back fills nothing"
    assert not rates.take("ann", 100.0)


def test_a_rate_below_one_a_second_still_lets_one_through() -> None:
    rates = Rates(0.25, most=10)
    assert [rates.take("ann", at) for at in (0.0, 3.0, 4.0)] == [True, False, True]


def test_memory_is_bounded_by_the_users_seen_last() -> None:
    rates = Rates(1.0, most=3)
    for n in range(100):
        assert rates.take(f"user {n}", 0.0)
    assert len(rates) == 3
    assert not rates.take("user 99", 0.0)
    assert rates.take("user 0", 0.0), "forgotten: its bucket is full"


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="a_second"):
        Rates(0.0, most=3)
    with pytest.raises(ValueError, match="most"):
        Rates(1.0, most=0)

"""Ids, numbers and times of any array-like are kept exactly or refused by their first entry."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from policies.encoders.data.sequences import Sequences

DAY = 86_400
DATES = ["2024-01-03", None, "2024-01-02"]


def events(user: Any, item: Any, n_items: int = 5, **columns: Any) -> Sequences:
    return Sequences.from_events(user, item, n_items=n_items, **columns)


def lists(items: Any, n_items: int = 5, **columns: Any) -> Sequences:
    return Sequences.from_lists(items, n_items=n_items, **columns)


def record(items: Any, n_items: Any = 5, **columns: Any) -> Sequences:
    return Sequences(items, np.array([0, len(items)]), n_items, **columns)


@pytest.mark.parametrize(
    ("ids", "fault"),
    [
        ([1, 2**32 + 3], r"user 0, event 1: item 4294967299 is outside 0\.\.4 \(1 of 2 events\)"),
        ([-(2**32), 1], r"user 0, event 0: item -4294967296 is outside"),
        ([1, 2**70], r"\[1\] = 1180591620717411303424 does not fit 64 bits"),
        (np.array([1, 2**63 + 1], np.uint64), r"\[1\] = 9223372036854775809 does not fit 64 bits"),
        ([1.0, 3.5], r"\[1\] = 3.5 is not a whole number \(1 of 2 entries\)"),
        ([2.0**53 + 2, 1.0], r"\[0\] = .* is a float beyond 2\*\*53"),
        ([1.0, np.nan], r"\[1\] = nan is missing"),
        ([1, None], r"\[1\] = None is missing"),
        (np.ma.masked_array([1, 2], [False, True]), r"\[1\] = \S+ is missing"),
        (pd.array([1, pd.NA], "Int64"), r"\[1\] = \S+ is missing"),
        ([1.0, np.inf], r"\[1\] = inf is not finite"),
        (["tea", "pie"], "holds text such as 'tea', no numbers"),
        ([[1], [2]], r"has shape \(2, 1\)"),
        (np.array(["2024-01-01"] * 2, "datetime64[D]"), "holds dates such as '2024-01-01'"),
    ],
)
@pytest.mark.parametrize("make", [lambda x: events([7, 7], x), lambda x: lists([x]), record])
def test_item_ids_are_kept_or_refused_by_the_first_and_its_fix(
    ids: Any, fault: str, make: Callable[[Any], Sequences]
) -> None:
    with pytest.raises(ValueError, match=fault) as refusal:
        make(ids)
    assert "np.unique(ids" in str(refusal.value) or "shape" in fault


@pytest.mark.parametrize(
    ("users", "fault"),
    [
        ([1.5, 1.2], r"\[0\] = 1.5 is not a whole number"),
        ([1, np.nan], r"\[1\] = nan is missing"),
        (["ann", "bob"], "holds text such as 'ann'"),
        (np.array(["ann", None], object), r"\[0\] = ann is not a number"),
        ([2.0**60, 2.0**60 + 512], "beyond 2\\*\\*53"),
    ],
)
def test_user_codes_are_never_merged(users: Any, fault: str) -> None:
    for make in (lambda: events(users, [0, 1]), lambda: lists([[0], [1]], users=users)):
        with pytest.raises(ValueError, match=fault) as refusal:
            make()
        assert "np.unique(users" in str(refusal.value)


def test_ids_of_any_whole_type_are_the_same_record() -> None:
    for ids in ([3, 1], np.array([3, 1], np.uint8), [3.0, 1.0], pd.array([3, 1], "Int64")):
        for made in (events([2**60 + 1, 2**60 + 1], ids), lists([ids]), record(ids)):
            assert made.items.dtype == np.int32
            assert made.items.tolist() == [3, 1]
    hashed = np.array([2**60 + 1, 2**60], object)  # would be one user in float64
    made = events(hashed, [0, 1])
    assert made.users is not None
    assert made.users.tolist() == [2**60, 2**60 + 1]


@pytest.mark.parametrize("size", [0, -1, 2.5, 2**33 + 6, "5", None, np.nan])
def test_a_catalogue_that_32_bits_cannot_name_is_refused(size: Any) -> None:
    for make in (
        lambda: record([0], size),
        lambda: lists([[0]], size),
        lambda: events([1], [0], size),
    ):
        with pytest.raises(ValueError, match=r"n_items = .* a whole number of items"):
            make()


@pytest.mark.parametrize(
    ("rewards", "fault"),
    [
        ([1, np.nan], r"\[1\] = nan is missing"),
        ([1, -np.inf], r"\[1\] = -inf is not finite"),
        ([1, 1e300], r"\[1\] = inf is not finite"),
        ([1, None], r"\[1\] = None is missing"),
        (["good", "bad"], "holds text such as 'good'"),
        ([1, 2, 3], "3 entries for 2 events"),
        ([1], "1 entries for 2 events"),
    ],
)
def test_rewards_are_finite_numbers_one_for_each_event(rewards: Any, fault: str) -> None:
    for make in (
        lambda: events([1, 1], [0, 1], reward=rewards),
        lambda: lists([[0, 1]], rewards=[rewards]),
        lambda: record([0, 1], rewards=rewards),
    ):
        with pytest.raises(ValueError, match=fault):
            make()


@pytest.mark.parametrize(
    "times",
    [
        np.array(DATES, "datetime64[ns]"),
        pd.Series(pd.to_datetime(DATES)),
        pd.Series(pd.to_datetime(DATES, utc=True)),
        [dt.datetime(2024, 1, 3), None, dt.datetime(2024, 1, 2)],
        [3.0, np.nan, 2.0],
        [3, None, 2],
        pd.array([3, pd.NA, 2], "Int64"),
        np.array([3, "NaT", 2], "timedelta64[s]"),
    ],
)
def test_an_event_without_a_time_is_refused_not_put_first(times: Any) -> None:
    for make in (
        lambda: events([1, 1, 1], [0, 1, 2], time=times),
        lambda: lists([[0, 1, 2]], times=[times]),
        lambda: record([0, 1, 2], times=times),
    ):
        with pytest.raises(ValueError, match=r"\[1\] = \S+ is missing \(1 of 3 entries\)"):
            make()


def test_dates_become_seconds_since_1970_in_any_unit_and_zone() -> None:
    wanted = [0.0, 1.5 * DAY, 31.0 * DAY]
    moments = np.array(["1970-01-01T00", "1970-01-02T12", "1970-02-01T00"], "datetime64[h]")
    zoned = [dt.datetime(1970, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))]
    for times in (
        moments,
        moments.astype("datetime64[ns]"),
        moments.astype(">M8[ms]"),
        moments.astype(dt.datetime),
        pd.Series(moments.astype("datetime64[ns]"))
        .dt.tz_localize("UTC")
        .dt.tz_convert("Asia/Tokyo"),
    ):
        for made in (events([1] * 3, [0, 1, 2], time=times), lists([[0, 1, 2]], times=[times])):
            assert made.times is not None
            assert made.times.tolist() == wanted
    made = events([1], [0], time=zoned)
    assert made.times is not None
    assert made.times.tolist() == [0.0]
    months = events([1, 1], [0, 1], time=np.array(["1970-02", "1970-03"], "datetime64[M]"))
    assert months.times is not None
    assert months.times.tolist() == [31.0 * DAY, 59.0 * DAY]


TICK = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    "times",
    [
        [TICK + 2, TICK + 1, TICK],
        np.array([TICK + 2, TICK + 1, TICK], "datetime64[ns]"),
        pd.Series(np.array([TICK + 2, TICK + 1, TICK], "datetime64[ns]")).dt.tz_localize("UTC"),
        np.array([2**64 - 1, 2**64 - 2, 2**64 - 3], np.uint64),
        np.array([2**63 - 1, 0, -(2**63)], np.int64),
        np.array([127, 0, -128], np.int8),
        np.array([2.0**53 + 4, 2.0**53 + 2, -1.0]),
        [1e300, 2.5, -1e300],
    ],
)
def test_events_one_tick_apart_keep_their_order(times: Any) -> None:
    assert events([1, 1, 1], [0, 1, 2], time=times).items.tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match="event 1 is older than the one before"):
        lists([[0, 1, 2]], times=[times])
    with pytest.raises(ValueError, match="event 1 is older than the one before"):
        record([0, 1, 2], times=np.asarray(times))


def test_columns_of_other_lengths_are_refused_by_name() -> None:
    for columns in ({"time": [1, 2]}, {"reward": [1, 2]}, {"time": [1, 2, 3, 4]}):
        with pytest.raises(ValueError, match=r"(time|reward) has \d entries for 3 events"):
            events([1, 1, 1], [0, 1, 2], **columns)
    with pytest.raises(ValueError, match="user has 2 entries for 3 events"):
        events([1, 1], [0, 1, 2])
    with pytest.raises(ValueError, match=r"times\[0\] has 1 entries for 2 events of the user"):
        lists([[0, 1], [2]], times=[[1], [1, 2]])  # as many in all
    with pytest.raises(ValueError, match="rewards has 1 entries for 2 lists of items"):
        lists([[0, 1], [2]], rewards=[[1, 2]])
    with pytest.raises(ValueError, match="users has 3 entries for 2 sequences"):
        lists([[0, 1], [2]], users=[1, 2, 3])
    with pytest.raises(ValueError, match="mix dates and numbers"):
        lists([[0], [1]], times=[np.array(["2024-01-01"], "datetime64[s]"), [5]])


def test_no_events_are_a_record_of_nobody() -> None:
    for made in (events([], []), lists([]), lists([[], []]), record(np.empty(0, np.int32))):
        assert made.n_events == 0
        assert made.repeats == 0


def test_repeats_count_items_that_their_user_had_before() -> None:
    assert lists([[0, 1, 0, 0], [1, 0], [2, 2]]).repeats == 3
    assert lists([[0, 1], [0, 1]]).repeats == 0

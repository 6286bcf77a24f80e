"""The record of histories: what it refuses, and that windows lose and leak nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.encoders.data.sequences import Sequences

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=25), min_size=1, max_size=6)


def test_events_are_sorted_by_user_then_time_and_ties_keep_their_row_order() -> None:
    made = Sequences.from_events(
        user=[7, 3, 7, 7, 3], item=[0, 1, 2, 3, 4], time=[5, 2, 1, 5, 2], n_items=5
    )
    assert [list(h) for h in made] == [[1, 4], [2, 0, 3]]
    assert made.users is not None
    assert made.users.tolist() == [3, 7]


def test_histories_are_the_last_items_padded_on_the_left() -> None:
    made = Sequences.from_lists([[1, 2, 3], [], [4]], n_items=5)
    assert made.histories(2).tolist() == [[2, 3], [-1, -1], [-1, 4]]


def test_an_item_outside_the_catalogue_is_refused_by_user_and_event() -> None:
    with pytest.raises(ValueError, match=r"user 1, event 2: item 5 is outside 0\.\.4"):
        Sequences.from_lists([[1], [0, 1, 5]], n_items=5)


def test_events_out_of_order_are_refused_by_user_and_event() -> None:
    with pytest.raises(ValueError, match="user 1: event 1 is older"):
        Sequences.from_lists([[0], [1, 2]], n_items=3, times=[[9], [5, 4]])


@given(lists=LISTS, length=st.integers(2, 8), seed=st.none() | st.integers(0, 9))
def test_windows_make_every_event_but_a_first_the_target_of_one_piece(
    lists: list[list[int]], length: int, seed: int | None
) -> None:
    made = Sequences.from_lists(lists, n_items=10)
    rng = None if seed is None else np.random.default_rng(seed)
    pieces = made.windows(length, rng=rng)
    targets = sorted(t for piece in pieces for t in piece[1:])
    assert targets == sorted(t for one in lists for t in one[1:])
    assert (pieces.lengths <= length).all()
    assert (pieces.lengths >= 2).all()


def test_windows_keep_their_owner_and_start_at_the_newest_event() -> None:
    pieces = Sequences.from_lists([[0, 1, 2, 3, 4], [5, 6]], n_items=7).windows(3)
    assert [list(p) for p in pieces] == [[2, 3, 4], [0, 1, 2], [5, 6]]
    assert pieces.users is not None
    assert pieces.users.tolist() == [0, 0, 1]


def test_windows_without_room_for_a_target_are_refused() -> None:
    with pytest.raises(ValueError, match="length must be >= 2"):
        Sequences.from_lists([[0, 1]], n_items=2).windows(1)


def test_take_keeps_every_column_with_its_user() -> None:
    made = Sequences.from_lists(
        [[0, 1], [2], [3, 4]], n_items=5, times=[[1, 2], [3], [4, 5]], rewards=[[1, 2], [3], [4, 5]]
    )
    some = made.take([2, 0])
    assert [list(h) for h in some] == [[3, 4], [0, 1]]
    assert some.times is not None
    assert some.rewards is not None
    assert some.times.tolist() == [4, 5, 1, 2]
    assert np.array_equal(some.rewards, some.times)


@pytest.mark.parametrize("scale", [1.0, 0.5, 1e17])
def test_events_in_any_order_of_any_scale_match_a_plain_sort(scale: float) -> None:
    rng = np.random.default_rng(0)
    user, time = rng.integers(-3, 12, size=500), rng.integers(30, size=500) * scale
    made = Sequences.from_events(user, np.arange(500), time=time, n_items=500)
    order = sorted(range(500), key=lambda row: (user[row], time[row], row))
    assert made.items.tolist() == order

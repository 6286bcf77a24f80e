"""Splits hold out what they say, and nothing held out is trained on."""

from __future__ import annotations

import numpy as np
import pytest

from policies.encoders.data.sequences import Sequences
from policies.encoders.data.splits import (
    Heldout,
    Split,
    development,
    global_time,
    leave_one_out,
    repeat_notes,
    ruled,
    seen_targets,
    sessions,
)


def test_leave_one_out_takes_the_last_two_and_leaves_short_users_to_training() -> None:
    split = leave_one_out(Sequences.from_lists([[0, 1, 2, 3], [4, 5], [6, 7, 8]], n_items=9))
    assert [list(h) for h in split.train] == [[0, 1], [4, 5], [6]]
    assert [list(h) for h in split.valid.history] == [[0, 1], [6]]
    assert split.valid.target.tolist() == [2, 7]
    assert [list(h) for h in split.test.history] == [[0, 1, 2], [6, 7]]
    assert split.test.target.tolist() == [3, 8]


def test_development_asks_the_last_training_events_and_touches_no_other() -> None:
    whole = leave_one_out(Sequences.from_lists([[0, 1, 2, 3, 4], [5, 6], [7, 8, 0]], n_items=9))
    split = development(whole)
    assert [list(h) for h in split.train] == [[0, 1], [5], [7]]
    assert [list(h) for h in split.test.history] == [[0, 1], [5]]
    assert split.test.target.tolist() == split.valid.target.tolist() == [2, 6]
    assert "leave-one-out" in split.rule


def test_global_time_shows_no_event_at_or_after_the_instant() -> None:
    rng = np.random.default_rng(0)
    user, time = rng.integers(40, size=2000), np.sort(rng.integers(500, size=2000))
    made = Sequences.from_events(user, rng.integers(9, size=2000), time=time, n_items=9)
    split = global_time(made, valid=0.7, test=0.9)
    first, second = np.quantile(time, [0.7, 0.9], method="lower")
    assert split.train.times is not None
    assert split.train.times.max() < first
    for held, instant in ((split.valid, first), (split.test, second)):
        assert held.history.times is not None
        assert held.history.users is not None
        assert held.history.times.max() < instant
        for row, code in enumerate(held.history.users):
            later = np.flatnonzero((user == code) & (time >= instant))
            assert made.users is not None
            own = made[int(np.flatnonzero(made.users == code)[0])]
            assert held.target[row] == own[len(held.history[row])]
            assert later.size


def test_global_time_validation_targets_lie_before_the_test_instant() -> None:
    made = Sequences.from_lists([[0, 1], [2, 3]], n_items=4, times=[[0, 100], [0, 50]])
    split = global_time(made, valid=0.5, test=0.9)  # instants 0 and 50
    assert split.rule.startswith("global time")
    assert split.valid.target.tolist() == [0, 2]
    assert split.test.target.tolist() == [1, 3]


def test_global_time_without_times_is_refused() -> None:
    with pytest.raises(ValueError, match="needs times"):
        global_time(Sequences.from_lists([[0, 1]], n_items=2))


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ([[0, 1]] * 60, r"0 of 60 users can be tested .*Leave-one-out tests users of 3 events"),
        ([[0, 1, 2]] * 60, r"none of 60 users has two training events .*beginning with 4"),
        ([[0]] * 60, "none of 60 users has two training events"),
        ([], r"none of 0 users has two training events .*\(0 training events\)"),
    ],
)
def test_a_split_without_learning_or_testing_says_why(lists: list[list[int]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        leave_one_out(Sequences.from_lists(lists, n_items=9)).check()
    leave_one_out(Sequences.from_lists([*lists, [0, 1, 2, 3]], n_items=9)).check()


def test_development_needs_one_event_more() -> None:
    split = leave_one_out(Sequences.from_lists([[0, 1, 2, 3]] * 5, n_items=9))
    with pytest.raises(ValueError, match=r"nothing to learn: .*Development takes one event more"):
        development(split).check()


def test_times_that_do_not_tell_events_apart_are_named() -> None:
    tied = Sequences.from_lists([[0, 1, 2]] * 4, n_items=3, times=[[7, 7, 7]] * 4)
    with pytest.raises(ValueError, match="1 different times to tell 12 events apart"):
        global_time(tied).check()
    with pytest.raises(ValueError, match="needs events"):
        global_time(Sequences.from_lists([[]], n_items=3, times=[[]]))


def test_whole_sessions_are_held_out_and_every_prefix_is_asked() -> None:
    lists = [[0, 1, 2], [3, 4], [5], [1, 0, 3, 2], [4, 2]]
    starts = [30, 50, 70, 10, 90]
    times = [start + np.arange(len(one)) for start, one in zip(starts, lists, strict=True)]
    timed = Sequences.from_lists(lists, n_items=6, times=times)
    split = sessions(timed, valid=0.25, test=0.25)
    assert [list(one) for one in split.train] == [[0, 1, 2], [5], [1, 0, 3, 2]]  # began first
    assert [list(one) for one in split.valid.history] == [[3]]
    assert [list(one) for one in split.test.history] == [[4]]
    both = sessions(timed, valid=0.25, test=0.5).test
    assert [list(one) for one in both.history] == [[3], [4]]
    untimed = sessions(Sequences.from_lists([[0, 1, 2, 3]] * 10, n_items=4), test=0.2)
    assert [list(one) for one in untimed.test.history] == [[0], [0, 1], [0, 1, 2]] * 2
    assert untimed.test.target.tolist() == [1, 2, 3] * 2
    assert len(np.unique(untimed.test.history.users)) == 2
    assert untimed.train.n_events == 4 * 7
    with pytest.raises(ValueError, match=r"valid \+ test < 1"):
        sessions(timed, valid=0.5, test=0.5)


def test_named_rules_for_what_was_seen_before() -> None:
    """Of three targets one repeats. A ranking of "seen before" gains nothing from any rule but the
    one that keeps seen items."""
    history = Sequences.from_lists([[0, 1], [2], [3, 0]], n_items=5)
    held = Heldout(history, np.array([0, 3, 4], np.int32))
    split = Split(history, held, held, "by hand")
    assert seen_targets(held).tolist() == [True, False, False]
    kept, filtered, new = (ruled(split, rule).test for rule in ("keep", "filter", "new"))
    assert (kept.filter_seen, filtered.filter_seen, new.filter_seen) == (False, True, True)
    assert (len(kept), len(filtered), len(new)) == (3, 3, 2)
    assert new.target.tolist() == [3, 4]
    assert ruled(split, "auto") is split
    assert ruled(split, "new").valid.target.tolist() == [3, 4]  # learning stops by the same rule
    assert "33.3% of the test's targets" in repeat_notes(kept)[0]
    assert "missed" in repeat_notes(filtered)[0]
    assert repeat_notes(new) == []

"""What every session store promises; a new one joins SESSION_STORES of the factories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from serving import SessionStore
from serving.sessions.store import Taken, Visit
from tests.serving.factories import SESSION_STORES


@pytest.fixture(params=sorted(SESSION_STORES))
def make(request: pytest.FixtureRequest) -> Callable[..., SessionStore]:
    return SESSION_STORES[request.param]


def visit(user: str = "u", session: str = "s", request: str = "r", items: Any = ()) -> Visit:
    ids = np.array(items, np.int32)
    return Visit(user, session, request, ids, np.zeros((len(ids), 2), np.float32))


def taken(decision: str, item: int, user: str = "u") -> Taken:
    return Taken(user, decision, item, (1.0, 0.1 * item))


def test_a_new_user_has_no_history(make: Callable[..., SessionStore]) -> None:
    seen = make().open([visit()], 0.0)[0]
    assert (seen.items.tolist(), seen.version, seen.updated, seen.step) == ([], 0, None, 0)
    assert seen.responses.shape == (0, 2)


def test_what_was_taken_is_seen_by_the_next_visit(make: Callable[..., SessionStore]) -> None:
    store = make()
    first = store.open([visit()], 0.0)[0]
    assert store.apply([taken("a", 5), taken("b", 3), taken("c", 7, user="v")], 9.0) == 3
    mine, other = store.open([visit(request="r2"), visit("v")], 10.0)
    assert mine.items.tolist() == [5, 3]
    np.testing.assert_array_equal(mine.responses, np.array([[1, 0.5], [1, 0.3]], np.float32))
    assert (mine.version, mine.updated) == (2, 9.0)
    assert (other.items.tolist(), other.version) == ([7], 1)
    assert first.items.tolist() == []  # what was given out does not change


def test_a_decision_counts_once_however_often_it_is_told(
    make: Callable[..., SessionStore],
) -> None:
    store = make()
    assert store.apply([taken("a", 5), taken("a", 5), taken("a", 6)], 0.0) == 1
    assert store.apply([taken("a", 5), taken("b", 5)], 1.0) == 1
    assert store.open([visit()], 2.0)[0].items.tolist() == [5, 5]


def test_steps_count_the_requests_of_a_session(make: Callable[..., SessionStore]) -> None:
    store = make()
    several = [visit(request=r) for r in "abc"] + [visit(session="t", request="d")]
    assert [seen.step for seen in store.open(several, 0.0)] == [0, 1, 2, 0]
    again = [visit(request="b"), visit(request="e"), visit(request="a"), visit(request="e")]
    assert [seen.step for seen in store.open(again, 1.0)] == [1, 3, 0, 3]


def test_a_session_that_was_idle_begins_anew(make: Callable[..., SessionStore]) -> None:
    store = make(idle=10.0)
    ask = [(0.0, "a"), (10.0, "b"), (20.5, "c"), (21.0, "d"), (40.0, "c"), (51.0, "e")]
    seen = [store.open([visit(request=r)], at)[0] for at, r in ask]
    assert [(one.began, one.step) for one in seen] == [
        ("a", 0),
        ("a", 1),
        ("c", 0),
        ("c", 1),
        ("c", 0),
        ("e", 0),
    ]  # fmt: skip  ("c" at 40 is sent again)


def test_a_replayed_visit_keeps_what_it_was_given(make: Callable[..., SessionStore]) -> None:
    store = make()
    store.open([visit(request="a")._replace(step=0, began="a")], 0.0)
    store.open([visit(request="c")._replace(step=2, began="a")], 1.0)  # step 1 was not logged
    later = store.open([visit(request="d"), visit(request="c")], 2.0)
    assert [(one.began, one.step) for one in later] == [("a", 3), ("a", 2)]
    store.open([visit(request="x")._replace(step=0, began="x")], 3.0)  # the store had forgotten
    last = store.open([visit(request="y")], 4.0)[0]
    assert (last.began, last.step) == ("x", 1)


def test_an_unknown_user_starts_with_the_given_history(make: Callable[..., SessionStore]) -> None:
    store = make()
    first = store.open([visit(items=[4, 2])], 0.0)[0]
    assert (first.items.tolist(), first.version, first.updated) == ([4, 2], 2, None)
    store.apply([taken("a", 9)], 1.0)
    later = store.open([visit(items=[1, 1, 1], request="r2")], 2.0)[0]
    assert (later.items.tolist(), later.version) == ([4, 2, 9], 3)
    np.testing.assert_array_equal(later.responses[:2], 0)


def test_users_are_forgotten_after_their_time(make: Callable[..., SessionStore]) -> None:
    store = make(ttl=10.0)
    store.apply([taken("a", 5), taken("b", 6, user="v")], 0.0)
    store.open([visit("v")], 8.0)  # seen again
    here, there = store.open([visit(request="r2"), visit("v", request="r2")], 11.0)
    assert here.items.tolist() == []
    assert there.items.tolist() == [6]


def test_the_users_longest_unseen_make_room(make: Callable[..., SessionStore]) -> None:
    store = make(most=2)
    store.apply([taken("a", 1, "u"), taken("b", 2, "v")], 0.0)
    store.open([visit("u")], 1.0)
    store.apply([taken("c", 3, "w")], 2.0)
    seen = store.open([visit("u", request="x"), visit("w")], 3.0)
    assert [one.items.tolist() for one in seen] == [[1], [3]]
    assert store.open([visit("v")], 4.0)[0].items.tolist() == []


def test_histories_keep_their_last_items(make: Callable[..., SessionStore]) -> None:
    store = make(length=3)
    store.open([visit(items=[9, 8, 7, 6])], 0.0)
    store.apply([taken("a", 1), taken("b", 2)], 1.0)
    seen = store.open([visit(request="r2")], 2.0)[0]
    assert (seen.items.tolist(), seen.version) == ([6, 1, 2], 6)


def test_a_clock_that_goes_back_does_no_harm(make: Callable[..., SessionStore]) -> None:
    store = make(ttl=10.0)
    store.apply([taken("a", 1)], 100.0)
    assert store.open([visit()], 50.0)[0].items.tolist() == [1]
    assert store.open([visit(request="r2")], 109.0)[0].items.tolist() == [1]


def test_limits_are_above_0(make: Callable[..., SessionStore]) -> None:
    for wrong in ({"ttl": 0.0}, {"most": 0}, {"length": 0}, {"idle": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            make(**wrong)


def test_a_peek_shows_what_is_known_and_changes_nothing(make: Callable[..., SessionStore]) -> None:
    store = make(most=2)
    store.apply([taken("a", 5), taken("b", 3)], 4.0)
    store.open([visit("v", items=[1])], 5.0)
    for _ in range(3):
        mine, nobody, other = store.peek(["u", "w", "v"])
    assert mine is not None
    assert other is not None
    assert nobody is None
    assert (mine.items.tolist(), mine.version, mine.updated) == ([5, 3], 2, 4.0)
    np.testing.assert_array_equal(mine.responses, np.array([[1, 0.5], [1, 0.3]], np.float32))
    assert (other.items.tolist(), other.version, other.updated) == ([1], 1, None)
    assert store.peek([]) == []
    assert store.open([visit("v", request="r2")], 6.0)[0].step == 1  # a peek is no step
    store.apply([taken("c", 7, user="x")], 7.0)  # makes room: u was longest unseen, if looked at
    assert [known is None for known in store.peek(["u", "v", "x"])] == [True, False, False]


def test_forgotten_users_are_new(make: Callable[..., SessionStore]) -> None:
    store = make()
    store.apply([taken("a", 5), taken("b", 6, user="v")], 0.0)
    store.open([visit()], 1.0)
    assert store.forget(["u", "w"]) == 1
    assert store.forget(["u"]) == 0
    mine, other = store.open([visit(request="r2", items=[2]), visit("v")], 2.0)
    assert (mine.items.tolist(), mine.version, mine.step, mine.began) == ([2], 1, 0, "r2")
    assert other.items.tolist() == [6]
    assert store.apply([taken("a", 5)], 3.0) == 1  # nothing is remembered of decisions either

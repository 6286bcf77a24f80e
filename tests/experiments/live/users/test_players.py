"""Simulated users: the same events for the same seed, and a log that says what they did."""

from __future__ import annotations

import re

import numpy as np
import pytest

from experiments.live.users.crowd import DAY, Crowd, visits_of
from experiments.live.users.messages import REWARD
from experiments.live.users.players import Sessions
from serving import JoinRule, MemoryLog, Shape, join
from tests.experiments.live.worlds import door_of, players
from tests.serving.factories import events_of

MEASURED = re.compile(rb'"worked_ms":[^,}]*')  # the one number that no seed decides


def played(days: int = 2, seed: int = 7) -> tuple[list[bytes], list[Sessions]]:
    users, (door, log) = players(seed), door_of()
    sessions = [users.day(day, door) for day in range(days)]
    return [MEASURED.sub(b"", event) for event in log.events], sessions


def test_the_same_seed_plays_the_same_events_byte_for_byte() -> None:
    events, _ = played()
    assert events == played()[0]
    assert events != played(seed=8)[0]


def test_the_joined_log_tells_what_users_had() -> None:
    users, (door, log) = players(duplicates=0.3), door_of()
    sessions = [users.day(day, door) for day in range(2)]
    engine = door.engine
    found = join(
        *events_of(log), JoinRule(reward=REWARD), Shape.of(engine.serving, engine.catalogue)
    )
    assert found.log is not None
    assert not found.skewed.any()
    assert not found.incomplete.any()
    assert found.counts["late_outcomes"] == 0
    logged = np.bincount(found.log.sessions, found.log.reward, found.log.n_sessions)
    seen = np.concatenate([one.of("value") for one in sessions])
    assert np.allclose(np.sort(logged), np.sort(seen))
    assert seen.sum() > 0
    assert len(found.log) == sum(one.decisions for one in sessions)


def test_users_come_back_under_their_name_and_with_their_history() -> None:
    users, (door, log) = players(daily=1.0), door_of()
    first, second = (users.day(day, door) for day in range(2))
    assert sorted(first.user) == sorted(second.user) == list(range(60))
    decisions, _ = events_of(log)
    assert len({one.user for one in decisions}) == 60
    later = [one for one in decisions if one.time >= DAY and one.step == 0]
    assert len(later) == 60
    assert np.mean([bool(one.prior_items) for one in later]) > 0.5


def test_visits_do_not_depend_on_what_was_served() -> None:
    crowd = Crowd(users=200, daily=0.5)
    a, b = (visits_of(crowd, 3, 1, last=10) for _ in range(2))
    assert (a.user == b.user).all()
    assert (a.tick == b.tick).all()
    assert len(set(a.user.tolist())) == len(a.user)
    assert abs(len(a.user) - 100) < 5 * (200 * 0.25) ** 0.5
    late = np.mean(a.tick > crowd.ticks / 2)
    assert late > 0.5  # the evening
    with pytest.raises(ValueError, match="do not end within a day"):
        visits_of(crowd, 0, 1, last=1_000)


def test_tastes_turn_of_those_who_are_known_and_of_those_who_come() -> None:
    users, (door, _) = players(daily=0.5, shared=2.0), door_of()
    users.day(0, door)
    known = ~np.isnan(users.tastes[:, 0])
    assert 0 < known.sum() < 60
    before = users.tastes[known].copy()
    users.turn()
    after = users.tastes[known]
    shared = before.mean(0) / np.linalg.norm(before.mean(0))
    assert (before @ shared).mean() > 0.7  # they like much the same
    assert (after @ shared).mean() < -0.6  # and no longer that
    assert np.allclose(after @ after.T, before @ before.T, atol=1e-5)  # who is like whom stays
    users.day(1, door)
    new = ~known & ~np.isnan(users.tastes[:, 0])
    assert new.any()
    assert (users.tastes[new] @ shared).mean() < -0.5


def test_what_is_found_good_turns_and_is_turned_again_after_a_restart() -> None:
    users = players()
    before = users.env.world.items["quality"].copy()
    users.turn()
    after = users.env.world.items["quality"]
    assert np.corrcoef(before, after)[0, 1] < -0.9
    again = players()
    again.restore(users.state())
    assert (again.env.world.items["quality"] == after).all()


def test_a_day_goes_on_from_a_saved_state() -> None:
    users, (door, log) = players(), door_of()
    users.day(0, door)
    users.turn()
    state = {name: array.copy() for name, array in users.state().items()}
    whole = users.day(1, door)
    again, (other, _) = players(), door_of()
    other.engine.sessions = door.engine.sessions  # histories are the service's
    again.restore(state)
    assert again.visits.sum() < users.visits.sum()
    replayed = again.day(1, other)
    assert replayed.user == whole.user
    assert replayed.began == whole.began
    assert isinstance(log, MemoryLog)

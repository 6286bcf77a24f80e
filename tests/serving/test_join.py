"""The join: every decision once, every outcome where it belongs or counted, in any order."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offpolicy import LogError, LoggedDataset, read_log
from offpolicy.storage.manifest import ordered_hash
from serving import Decision, MemoryLog, OutcomeEvent, SegmentLog
from serving.events.reading import in_order
from serving.joining.join import Joined, join
from serving.joining.rule import JoinRule
from serving.joining.stream import join_log
from tests.serving.made_events import RULE, SHAPE, decision, outcome, seen


def joined(decisions: list[Decision], outcomes: list[OutcomeEvent], **given: Any) -> Joined:
    return join(decisions, outcomes, RULE, SHAPE, **given)


def rows(found: Joined) -> LoggedDataset:
    assert found.log is not None
    return found.log


def test_a_decision_and_what_came_of_it_are_one_row() -> None:
    d = decision()
    events = [
        outcome("taken", d), outcome("liked", d, item=1, value=4.0),
        outcome("bought", d, after=99.0),
        outcome("liked", d, item=None, outcome_id="whole"), outcome("shown", d),
        outcome("terminated", d),
    ]  # fmt: skip
    found = joined([d], events)
    log = rows(found)
    assert found.counts["repeats"] == 1  # it is only shown
    assert found.counts["unrewarded_outcomes"] == 0
    assert (found.decision_ids, found.time.tolist()) == (("s0",), [0.0])
    assert log.consumed is not None
    assert log.responses is not None
    assert log.position_reward is not None
    assert log.position_reward.tolist() == [[2.0, 6.0]]  # by hand: .5 x 4; 1 + 5
    assert log.reward.tolist() == [8.5]  # and .5 of the whole slate
    assert (log.consumed.tolist(), log.responses.tolist()) == ([2], [[1.0]])
    assert (log.terminated.tolist(), log.truncated.tolist()) == ([True], [False])
    assert log.names_of("session", log.session) == ["s/s0"]
    assert log.names_of("user", log.user if log.user is not None else []) == ["us"]
    assert (log.logger if log.logger is not None else np.zeros(0)).tolist() == ["p@1"]


def test_a_decision_without_outcomes_is_a_row() -> None:
    found = joined([decision()], [])
    assert rows(found).reward.tolist() == [0.0]
    assert rows(found).truncated.tolist() == [True]
    assert found.counts["idle_ends"] == 1
    other = replace(RULE, idle_end="terminated")
    assert rows(join([decision()], [], other, SHAPE)).terminated.tolist() == [True]


def test_what_does_not_belong_is_counted_and_left_out() -> None:
    d = decision(at=100.0)
    events = {
        "early_outcomes": outcome("liked", d, after=-5.0),  # belongs
        "late_outcomes": outcome("taken", d, after=10.5),
        "foreign_outcomes": outcome("bought", d, item=7),
        "orphaned_outcomes": outcome("liked", decision(session="lost")),
    }
    stranger = outcome("bought", d, user="somebody", outcome_id="x")
    found = joined([d], [*events.values(), stranger])
    assert {name: found.counts[name] for name in events} == {
        "early_outcomes": 1,
        "late_outcomes": 1,
        "foreign_outcomes": 2,
        "orphaned_outcomes": 1,
    }
    assert found.counts["joined_outcomes"] == 1
    assert rows(found).reward.tolist() == [0.5]
    assert (rows(found).consumed if rows(found).consumed is not None else []) == [-1]


def test_one_id_of_two_users_is_a_conflict() -> None:
    """Also where both saw the same slate, and where nothing else is left of the second session."""
    mine, theirs = decision(), decision(at=1.0, session="t", decision_id="s0")
    found = joined([theirs, mine], [])
    assert found.decision_ids == ("s0",)
    assert rows(found).names_of("user", rows(found).user) == ["us"]  # type: ignore[arg-type]
    assert (found.counts["conflicting_decisions"], found.counts["duplicate_decisions"]) == (1, 0)


def test_a_stranger_does_not_end_a_session() -> None:
    end = outcome("terminated", decision(), user="somebody")
    long = replace(RULE, idle=500.0)
    assert join([decision()], [end], long, SHAPE, now=141.0).log is None


def test_one_item_a_decision_is_taken_and_ends_come_last() -> None:
    d0, d1 = decision(), decision(at=5.0, step=1, history_hash=seen(1))
    found = joined(
        [d0, d1],
        [
            outcome("taken", d0, after=3.0),
            outcome("taken", d0, item=1, after=2.0, outcome_id="first"),
            outcome("terminated", d0),
            outcome("truncated", d1),
        ],
    )
    assert (found.counts["further_taken"], found.counts["misplaced_ends"]) == (1, 1)
    assert found.counts["skewed_histories"] == 0
    assert rows(found).terminated.tolist() == [False, False]
    assert rows(found).truncated.tolist() == [False, True]


def test_a_session_comes_whole_once_its_windows_have_passed() -> None:
    d0, d1 = decision(), decision(at=40.0, step=1)
    end = outcome("terminated", d1)
    for now, outcomes, over in (
        (89.0, [], False),
        (140.0, [], False),  # the window of `bought` is open
        (141.0, [], True),
        (140.0, [end], False),
        (141.0, [end], True),
    ):
        found = joined([d0, d1], outcomes, now=now)
        assert (found.log is not None) is over
        assert len(found.open_decisions) == (0 if over else 2)
        assert len(found.open_outcomes) == (0 if over else len(outcomes))
    long = replace(RULE, idle=500.0)
    assert join([d0, d1], [], long, SHAPE, now=141.0).log is None
    assert join([d0, d1], [end], long, SHAPE, now=141.0).log is not None


def test_an_outcome_before_its_decision_waits_for_it() -> None:
    d = decision(at=100.0)
    first = joined([], [outcome("liked", d, after=-5.0)], now=99.0)
    assert first.counts["orphaned_outcomes"] == 0
    second = joined([d, *first.open_decisions], [*first.open_outcomes])
    assert rows(second).reward.tolist() == [0.5]


def test_histories_are_compared_with_what_was_seen() -> None:
    d0, d1 = decision(), decision(at=5.0, step=1, history_hash=seen(2))
    lagging = decision(at=9.0, step=2, history_hash=seen(2))  # saw nothing of d1's outcome
    found = joined([d0, d1, lagging], [outcome("taken", d0), outcome("taken", d1, item=1)])
    assert found.skewed.tolist() == [False, False, True]
    assert found.counts["skewed_histories"] == 1

    holey = joined([d0, lagging, decision(session="t")], [outcome("taken", d0)])
    assert holey.incomplete.tolist() == [True, True, False]
    assert holey.counts["incomplete_decisions"] == 2
    assert not holey.skewed.any()


def test_histories_before_the_session_are_kept() -> None:
    d0 = decision(prior_items=(7, 8), prior_responses=((1.0,), (1.0,)), history_hash=seen(7, 8))
    d1 = decision(at=5.0, step=1, history_hash=seen(7, 8, 2))
    fresh = decision(at=1.0, session="t")
    found = joined([d0, d1, fresh], [outcome("taken", d0)])
    assert not found.skewed.any()
    items, _ = rows(found).histories(3)
    assert items.tolist() == [[-1, 7, 8], [7, 8, 2], [-1, -1, -1]]


def test_of_two_decisions_with_one_place_in_a_session_the_first_stands() -> None:
    d, other = decision(), decision(at=1.0, decision_id="other")
    found = joined([other, d, replace(d, time=3.0)], [outcome("liked", other)])
    assert len(rows(found)) == 1
    assert found.decision_ids == (d.decision_id,)
    assert found.counts["conflicting_decisions"] == found.counts["duplicate_decisions"] == 1
    late = replace(d, time=4.0, slate=(2, 3))  # sent again when the history had changed
    assert joined([late, d], []).counts["conflicting_decisions"] == 1
    assert rows(joined([late, d], [])).slate.tolist() == [[1, 2]]
    assert found.counts["orphaned_outcomes"] == 1


def test_other_outcomes_under_one_id_are_no_duplicates() -> None:
    """As where each of a caller's users counts "o1", "o2" ...: outcomes are lost, and that must not
    look like a harmless retry."""
    one, two = decision(session="s"), decision(session="t", at=1.0)
    mine = outcome("liked", one, outcome_id="o1")
    theirs = outcome("liked", two, outcome_id="o1")
    again = outcome("liked", one, 2.0, outcome_id="o1")
    found = joined([one, two], [theirs, again, mine, mine])
    assert found.counts["conflicting_outcomes"] == 1
    assert found.counts["duplicate_outcomes"] == 2
    assert found.log is not None
    assert found.log.reward.tolist() == [0.5, 0.0]


def test_a_whole_catalogue_beside_closed_candidates() -> None:
    whole = decision(candidates=None, candidate_propensity=None)
    closed = decision(
        session="t", candidates=(-1, 1, 2, 3, 4, 5, 6, 7, 8), candidate_propensity=None
    )
    log = rows(joined([whole, closed], []))
    assert log.candidates is not None
    assert log.candidates.tolist() == [list(range(9)), [-1, *range(1, 9)]]
    assert log.candidate_propensity is None
    assert rows(joined([whole], [])).candidates is None


def test_one_wrong_time_loses_no_later_decision(tmp_path: Path) -> None:
    """A clock that is a day ahead for one event, in the middle of a session of others."""
    log = MemoryLog()
    for i in range(30):
        log.append(decision(5.0 * i, "s", i).to_json())
        if i == 10:
            log.append(decision(86_400.0, "t").to_json())
    counts = join_log(log, tmp_path / "log", RULE, SHAPE, every=4)
    assert (counts["decisions"], counts["late_decisions"]) == (31, 0)


@pytest.mark.parametrize("whole_first", [True, False])
def test_parts_of_a_log_with_other_columns_are_written_alike(
    whole_first: bool, tmp_path: Path
) -> None:
    """Whole catalogues beside given candidates, and tables that were switched off."""
    offer = (-1, 1, 2, 3, 4, 5, 6, 7, 8)
    log, decisions = MemoryLog(), []
    for i in range(12):
        some = {"candidates": offer, "candidate_propensity": (0.125,) * 9}
        all_ = {"candidates": None, "candidate_propensity": None}
        bare = {"candidates": offer, "candidate_propensity": None}
        kinds = [all_, some, bare] if whole_first else [some, bare, all_]
        changed: dict[str, Any] = kinds[i // 4]
        decisions.append(decision(1_000.0 * i, f"s{i:02d}", **changed))
        log.append(decisions[-1].to_json())
    counts = join_log(log, tmp_path / "log", RULE, SHAPE, every=3)
    whole = rows(join(decisions, [], RULE, replace(SHAPE, keep_priors=True)))
    assert ordered_hash(read_log(tmp_path / "log")) == ordered_hash(whole)
    assert counts["decisions"] == counts["idle_ends"] == 12
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"slate": (1, 2, 3)}, "decision 't0' has 3 places and not 2"),
        ({"position_propensity": (0.25,)}, "decision 't0' has 1 places and not 2"),
        ({"candidates": (1, 2)}, "decision 't0' has 2 candidates and not 3"),
        ({"candidate_propensity": (1.0, 0.0)}, "decision 't0' has 2 candidates and not 3"),
        ({"context": ()}, "decision 't0' has 0 numbers of context and not 1"),
        ({"prior_items": (1,), "prior_responses": ((1.0, 2.0),)}, "has 2 responses and not 1"),
    ],
)
def test_events_of_other_sizes_are_named(changed: Any, says: str) -> None:
    with pytest.raises(LogError, match=says):
        joined([decision(), decision(at=1.0, session="t", **changed)], [])
    d = decision()
    with pytest.raises(LogError, match="decision 's0' has 1 responses and not 2"):
        join([d], [outcome("taken", d)], RULE, replace(SHAPE, responses=2))


def test_a_first_history_longer_than_the_rows_keeps_its_end() -> None:
    d = decision(prior_items=(5, 6, 7, 8), prior_responses=((1.0,),) * 4)
    assert rows(joined([d], [])).histories(3)[0].tolist() == [[6, 7, 8]]


def test_a_decision_that_showed_nothing_is_a_row() -> None:
    nothing = decision(
        slate=(-1, -1), items=(), propensity=1.0, position_propensity=(1.0, 1.0),
        candidates=(-1, -1, -1), candidate_propensity=(0.0, 0.0, 0.0), policy="fallback",
        fallback="AssertionError: rule 'odd' is broken",
    )  # fmt: skip
    found = joined([nothing, decision(session="t")], [outcome("terminated", nothing)])
    assert rows(found).slate.tolist() == [[-1, -1], [1, 2]]
    assert found.counts["fallbacks"] == 1


def several() -> tuple[list[Decision], list[OutcomeEvent]]:
    decisions, outcomes = [], []
    for i, session in enumerate("abcdef"):
        history: list[int] = []
        for step in range(1 + i % 3):
            d = decision(30.0 * i + 5 * step, session, step, history_hash=seen(*history))
            decisions.append(d)
            outcomes.append(outcome("liked", d, value=0.1 * i, item=1))
            outcomes.append(outcome("liked", d, value=1 / 3, item=1, outcome_id=f"{i} {step}"))
            if (i + step) % 2:
                outcomes.append(outcome("taken", d))
                history.append(2)
            outcomes.append(outcome("bought", d, after=90.0 + 20 * (i % 2)))
    return decisions, outcomes


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.sampled_from([math.inf, 150.0, 250.0]))
def test_order_and_repeats_do_not_matter(random: Any, now: float) -> None:
    decisions, outcomes = several()
    plain = joined(decisions, outcomes, now=now)
    mixed = []
    for events in (decisions, outcomes):
        again = [*events, *random.sample(events, len(events) // 2)]
        random.shuffle(again)
        mixed.append(again)
    other = joined(*mixed, now=now)
    assert rows(other).hash() == rows(plain).hash()
    assert other.open_decisions == plain.open_decisions
    assert other.counts["duplicate_outcomes"] == len(outcomes) // 2
    for counts in (plain.counts, other.counts):
        del counts["duplicate_decisions"], counts["duplicate_outcomes"]
    assert other.counts == plain.counts


@settings(max_examples=20)
@given(st.lists(st.floats(0, 400), max_size=4))
def test_joins_one_after_another_give_what_one_join_gives(stops: list[float]) -> None:
    """Events come in the order of their times; each join takes what is over and leaves the rest."""
    decisions, outcomes = several()
    whole = ordered_hash(rows(joined(decisions, outcomes)))
    parts, open_d, open_o, before = [], [], [], -math.inf
    for stop in [*sorted(stops), math.inf]:
        open_d += [d for d in decisions if before < d.time <= stop]
        open_o += [o for o in outcomes if before < o.time <= stop]
        found = joined(open_d, open_o, now=stop)
        open_d, open_o, before = [*found.open_decisions], [*found.open_outcomes], stop
        parts += [] if found.log is None else [found.log]
    assert ordered_hash(LoggedDataset.concat(parts)) == whole


@pytest.mark.parametrize("every", [3, 10, 1_000])
def test_a_log_of_segments_is_joined_part_by_part(every: int, tmp_path: Path) -> None:
    decisions, outcomes = several()
    logs = [SegmentLog(tmp_path / "events", writer=w, segment_bytes=1_500) for w in ("x", "y")]
    for i, event in enumerate(sorted([*decisions, *outcomes], key=lambda e: e.time)):
        logs[i % 3 % 2].append(event.to_json())
    for log in logs:
        log.close()
    times = [event.time for event in in_order(logs[0])]
    assert times == sorted(times)
    assert len(times) == len(decisions) + len(outcomes)
    counts = join_log(logs[0], tmp_path / "log", RULE, SHAPE, every=every)
    whole = join(decisions, outcomes, RULE, replace(SHAPE, keep_priors=True))
    assert ordered_hash(read_log(tmp_path / "log")) == ordered_hash(rows(whole))
    assert counts["decisions"] == len(decisions)
    assert counts["late_outcomes"] == whole.counts["late_outcomes"]
    parts = len(list((tmp_path / "log").glob("*.parquet")))
    assert parts > 1 if every < 1_000 else parts == 1
    with pytest.raises(LogError, match="exists; give a new folder"):
        join_log(logs[0], tmp_path / "log", RULE, SHAPE)
    with pytest.raises(LogError, match="no session is over"):
        join_log(logs[0], tmp_path / "early", RULE, SHAPE, now=1.0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["events", "log"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"window": 0.0}, "window is 0.0"),
        ({"windows": {"bought": math.inf}}, r"windows\['bought'\] is inf"),
        ({"reward": {"taken": math.nan}}, r"reward\['taken'\] is nan"),
        ({"idle_end": "left"}, "idle_end is 'left'"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(wrong: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        JoinRule(**wrong)

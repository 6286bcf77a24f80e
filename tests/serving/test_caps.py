"""The most that one user may add: exact, in any order and parts, and hardly felt by people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offpolicy import LoggedDataset, read_log
from serving import Decision, MemoryLog, OutcomeEvent, join, join_log
from serving.joining.rule import JoinRule, UserCap
from tests.serving.made_events import RULE, SHAPE, decision, outcome

DAY = 86_400.0


def capped(cap: UserCap) -> JoinRule:
    return replace(RULE, cap=cap)


def long(user: str, session: str, at: float, steps: int, **changed: object) -> list[Decision]:
    return [decision(at + 2 * step, session, step, user=user, **changed) for step in range(steps)]


def pleased(decisions: list[Decision], value: float = 1.0) -> list[OutcomeEvent]:
    return [outcome("bought", d, value=value) for d in decisions]


def rewards(log: LoggedDataset | None) -> list[float]:
    assert log is not None
    return log.reward.tolist()


def test_a_reward_is_cut_where_the_total_passes_the_cap() -> None:
    """5 a decision: 5 + 5 + 2 = 12; the day after, all of it counts again."""
    one = long("ann", "a", 0.0, 4)
    next_day = long("ann", "b", DAY + 1, 1)
    found = join(one + next_day, pleased(one + next_day), capped(UserCap(reward=12.0)), SHAPE)
    assert rewards(found.log) == [5.0, 5.0, 2.0, 0.0, 5.0]
    assert found.log is not None
    assert found.log.position_reward is not None
    assert found.log.position_reward.sum(1).tolist() == [5.0, 5.0, 2.0, 0.0, 5.0]
    assert found.counts["capped_rewards"] == 2
    assert found.counts["capped_decisions"] == 0


def test_decisions_beyond_the_cap_are_left_out_and_the_session_is_truncated() -> None:
    one, two = long("ann", "a", 0.0, 3), long("ann", "b", 100.0, 3)
    ends = [outcome("terminated", two[-1])]
    found = join(one + two, ends, capped(UserCap(decisions=4)), SHAPE)
    assert found.log is not None
    assert found.decision_ids == ("a0", "a1", "a2", "b0")
    assert found.log.truncated.tolist() == [False, False, True, True]
    assert not found.log.terminated.any()
    assert found.counts["capped_decisions"] == 2
    assert found.counts["decisions"] == 4
    assert set(found.capped_ids) == {"b1", "b2"}
    none = join(two, [], capped(UserCap(decisions=4)), SHAPE, spent=found.spent)
    assert none.log is None


def test_without_a_cap_nothing_changes() -> None:
    events = long("ann", "a", 0.0, 4)
    free = join(events, pleased(events), RULE, SHAPE)
    wide = join(events, pleased(events), capped(UserCap(reward=20.0, decisions=4)), SHAPE)
    assert free.log is not None
    assert wide.log is not None
    assert free.log.hash() == wide.log.hash()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_and_duplicates_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    events = [
        d for n in range(6)
        for d in long(f"u{n % 2}", f"s{n}", float(rng.integers(0, 300)), int(rng.integers(1, 5)))
    ]  # fmt: skip
    came = pleased(events)
    rule = capped(UserCap(reward=17.0, decisions=7))
    whole = join(events, came, rule, SHAPE)
    mixed = [events[i] for i in rng.integers(0, len(events), 2 * len(events))] + events
    again = [came[i] for i in rng.permutation(len(came))] + came[:3]
    other = join([mixed[i] for i in rng.permutation(len(mixed))], again, rule, SHAPE)
    assert whole.log is not None
    assert other.log is not None
    assert whole.log.hash() == other.log.hash()
    assert whole.spent == other.spent
    for user in ("u0", "u1"):
        own = np.array([next(d for d in events if d.decision_id == i).user == user
                        for i in whole.decision_ids])  # fmt: skip
        assert own.sum() <= 7
        assert whole.log.reward[own].sum() <= 17.0 + 1e-9


@pytest.mark.parametrize("every", [1, 3, 10, 1_000])
def test_a_log_that_is_joined_in_parts_is_the_same(tmp_path: Path, every: int) -> None:
    """Sessions of a user that overlap, end otherwise, and are written in different parts."""
    rng, events = np.random.default_rng(4), []
    for n in range(40):
        own = long(f"u{n % 3}", f"s{n:02d}", float(rng.integers(0, 900)), int(rng.integers(1, 6)))
        events += [*own, *pleased(own)]
        if n % 4 == 0:
            events.append(outcome("terminated", own[-1]))
    cap = UserCap(reward=45.0, decisions=12, window=300.0)
    log = MemoryLog()
    for event in sorted(events, key=lambda e: e.time):
        log.append(event.to_json())
    counts = join_log(log, tmp_path / "log", capped(cap), SHAPE, every=every)
    made = read_log(tmp_path / "log")
    decisions = [e for e in events if isinstance(e, Decision)]
    outcomes = [e for e in events if isinstance(e, OutcomeEvent)]
    whole = join(decisions, outcomes, capped(cap), SHAPE)
    assert whole.log is not None
    assert counts["capped_decisions"] == whole.counts["capped_decisions"] > 0
    assert counts["capped_rewards"] == whole.counts["capped_rewards"] > 0
    assert by_row(made) == by_row(whole.log)


def by_row(log: LoggedDataset) -> dict[tuple[str, int], tuple[float, bool]]:
    names = log.names_of("session", log.session)
    each = zip(names, log.step.tolist(), log.reward.tolist(), log.truncated.tolist(), strict=True)
    return {(name, step): (reward, cut) for name, step, reward, cut in each}


def test_a_ring_moves_what_is_learned_by_less_than_its_caps_and_people_feel_nothing() -> None:
    """Five bots double the total reward of item 2. What an item is worth is its mean reward a
    decision: after the cap the ring adds at most 5 caps."""
    rng = np.random.default_rng(0)
    people = [
        d for n in range(200)
        for d in long(f"p{n}", f"p{n}", float(rng.integers(0, 40_000)), int(1 + rng.poisson(3)))
    ]  # fmt: skip
    liked = [d for d in people if rng.random() < 0.3]
    ring = [d for n in range(5) for d in long(f"bot{n}", f"bot{n}", 100.0 * n, 60)]
    paid, bought = pleased(liked), pleased(ring)
    cap = UserCap(reward=40.0, decisions=20)

    def worth(rule: JoinRule, decisions: list[Decision], came: list[OutcomeEvent]) -> float:
        return sum(rewards(join(decisions, came, rule, SHAPE).log))

    honest = worth(RULE, people, paid)
    poisoned = worth(RULE, people + ring, paid + bought)
    kept = worth(capped(cap), people + ring, paid + bought)
    assert poisoned > 1.9 * honest
    assert kept - worth(capped(cap), people, paid) == pytest.approx(5 * cap.reward)
    felt = join(people, paid, capped(cap), SHAPE)
    assert felt.counts["capped_decisions"] == 0
    assert sum(rewards(felt.log)) > 0.995 * honest


def test_bad_caps_are_named() -> None:
    with pytest.raises(ValueError, match="a cap of nothing"):
        UserCap()
    with pytest.raises(ValueError, match="cap of reward"):
        UserCap(reward=-1.0)
    with pytest.raises(ValueError, match="cap's window"):
        UserCap(reward=1.0, window=0.0)

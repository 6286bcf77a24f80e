"""The one request path: keyed draws, rules, fallbacks with their propensities, and no secrets."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import serving
from offpolicy import read_log
from policies import (
    Banned,
    Cap,
    Exploration,
    Observation,
    Policy,
    ScorePolicy,
    Serving,
    constrained,
    load,
    save,
)
from policies.baselines.uniform import uniform
from policies.rules.constrained import Constrained
from policies.rules.constraints import Rule
from policies.slates.distributions import PlackettLuce
from serving import (
    ContractError,
    Decision,
    Engine,
    EventLogError,
    Joined,
    JoinRule,
    MemoryLog,
    MemorySessions,
    Outcome,
    Request,
    SegmentLog,
    Shape,
    TopVectors,
    join,
    join_log,
    replay,
)
from serving.sessions.store import Taken
from tests.factories import make_serving
from tests.serving.factories import SECRET, events_of, make_engine, names_of

A, C, K = 30, 8, 3
SERVING = make_serving(A, slate_size=K, n_candidates=C, history_length=4, user_size=1)
NAMES = names_of(A)


@dataclass
class LastItem:
    """Likes what is near the last item of the history; of user -1 it says nonsense."""

    serving: Serving = SERVING

    def scores(self, obs: Observation) -> np.ndarray:
        ids = np.arange(A)[None] if obs.candidates is None else obs.candidates
        scores = -np.abs(ids - obs.history_items[:, -1:]) / 3.0
        if (obs.user == -2).any():
            raise RuntimeError("no such user")
        scores[obs.user[:, 0] == -1] = np.nan
        return scores

    def update(self, log: Any) -> dict[str, float]:
        return {}


POLICY = ScorePolicy(LastItem(), Exploration(temperature=1.0))
RULES = (Banned("odd", np.arange(A) == 5), Cap("shelf", np.arange(A, dtype=np.int32) // 4, 1))


def ask(i: int, *, about: float = 0.0, **fields: Any) -> Request:
    offer = tuple(NAMES[(3 * i + 2 * j) % A] for j in range(C))
    given = {"request_id": f"r{i}", "user": f"user {i % 7}", "session": "s"}
    return Request(**given | {"candidates": offer, "context": (about,)} | fields)


def told(decision: Decision, user: str, kind: str = "taken", n: int = 0) -> Outcome:
    return Outcome(
        outcome_id=f"{decision.decision_id} {kind} {n}",
        decision_id=decision.decision_id,
        user=user,
        kind=kind,
        item=decision.items[0],
        responses={"click": 1.0} if kind == "taken" else None,
    )


def core(decision: Decision) -> Decision:
    """A decision without its clock."""
    return replace(decision, time=0.0, worked_ms=0.0, history_age=None)


def test_a_request_gets_the_same_slate_alone_in_any_batch_and_again() -> None:
    requests = [ask(i, about=-1.0 if i == 9 else 0.0, session=f"s{i}") for i in range(64)]
    policy = constrained(POLICY, *RULES)
    alone = [core(make_engine(policy).decide(r)) for r in requests]
    together = make_engine(policy).decide_many(requests)
    assert [core(d) for d in together] == alone
    turned = make_engine(policy)
    backwards = turned.decide_many(requests[::-1]) + turned.decide_many(requests[:5])
    assert [core(d) for d in backwards] == alone[::-1] + alone[:5]
    assert len({d.slate for d in alone}) > 50
    other = make_engine(policy, version="policy@2").decide_many(requests)
    assert sum(a.slate != b.slate for a, b in zip(other, together, strict=True)) > 32


def test_slates_are_drawn_with_the_propensity_that_is_logged() -> None:
    engine = make_engine(constrained(POLICY, *RULES))
    offer = tuple(NAMES[i] for i in (0, 4, 5, 8))
    drawn = engine.decide_many(
        [ask(0, request_id=f"r{i}", candidates=offer, about=0.0) for i in range(4_000)]
    )
    assert {d.fallback for d in drawn} == {None}
    told = {d.slate: d.propensity for d in drawn}
    assert sum(told.values()) == pytest.approx(1)
    for slate, n in Counter(d.slate for d in drawn).items():
        p = told[slate]
        assert n == pytest.approx(4_000 * p, abs=4 * (4_000 * p) ** 0.5 + 4)
    one = drawn[0]
    assert np.prod(one.position_propensity) == pytest.approx(one.propensity)
    assert one.candidates == (0, 4, -1, 8, -1, -1, -1, -1)  # 5 is banned, and closed in the log
    assert sum(one.candidate_propensity or ()) == pytest.approx(1)


def test_a_taken_item_is_in_the_next_history() -> None:
    engine = make_engine(POLICY)
    first = engine.decide(ask(0))
    assert (first.step, first.history_version, first.history_age) == (0, 0, None)
    engine.outcome(told(first, "user 0"))
    engine.outcome(told(first, "user 0"))  # delivered twice
    second = engine.decide(ask(7))
    assert (second.step, second.history_version, second.history_age) == (1, 1, 2.0)
    assert second.history_hash != first.history_hash
    assert second.prior_items == ()
    third = engine.decide(ask(14, session="t"))
    assert (third.step, third.prior_items) == (0, (first.slate[0],))
    assert third.prior_responses == ((1.0,),)


def test_after_a_restart_sessions_go_on_from_the_event_log() -> None:
    """The second half is decided by an engine whose store was told the log of the first."""

    def first_half(engine: Engine) -> list[Decision]:
        decisions = engine.decide_many([ask(i, history=(NAMES[i % 7],)) for i in range(20)])
        engine.outcomes([told(d, f"user {i % 7}") for i, d in enumerate(decisions) if i % 3])
        return decisions

    whole, before = make_engine(POLICY), make_engine(POLICY)
    assert first_half(whole)[0].prior_items == first_half(before)[0].prior_items == (0,)
    sessions = MemorySessions()
    restarted = make_engine(POLICY, before.events, sessions=sessions)
    read = replay(before.events, sessions, responses=1, recall=restarted.recall)
    assert read == len(list(before.events.read("memory")))
    later = [ask(i, session="s" if i % 2 else "t") for i in range(15, 30)]
    there = [core(d) for d in restarted.decide_many(later)]
    assert there == [core(d) for d in whole.decide_many(later)]
    assert {d.history_version for d in there} == {1, 2, 3}  # 1: of requests sent again
    assert {d.step for d in there} > {0, 3}
    assert restarted.counts["retries"] == whole.counts["retries"] == 3


def joined(engine: Engine) -> Joined:
    shape = Shape.of(engine.serving, engine.catalogue)
    return join(*events_of(engine.events), JoinRule(), shape)


def test_sessions_that_the_store_forgot_begin_anew_and_lose_no_decision() -> None:
    """Under one session id: after the time-to-live, and where a user has more sessions open than
    the store remembers."""
    now = [0.0]
    engine = make_engine(POLICY, sessions=MemorySessions(ttl=10.0), clock=lambda: now[0])
    for i, at in enumerate((0, 1, 2, 20, 21)):
        now[0] = float(at)
        engine.outcome(told(engine.decide(ask(0, request_id=f"q{i}")), "user 0"))
    for i in range(24):
        engine.decide(ask(0, request_id=f"s{i}", session=f"{i % 12}"))
    found = joined(engine)
    assert found.log is not None
    assert (len(found.log), found.log.n_sessions) == (5 + 24, 2 + 24)
    assert found.counts["conflicting_decisions"] == found.counts["skewed_histories"] == 0


def test_a_user_who_comes_back_with_the_same_session_id_is_joined(tmp_path: Path) -> None:
    now = [0.0]
    engine = make_engine(POLICY, clock=lambda: now[0])
    for at in (0, 60, 1_900, 7_200, 7_260, 90_000):
        for i in range(5):
            now[0] = at + i / 10
            decision = engine.decide(ask(i, request_id=f"{at} {i}"))
            engine.outcome(told(decision, f"user {i}"))
    shape = Shape.of(engine.serving, engine.catalogue)
    for every in (1, 3, 10, 1_000):
        counts = join_log(engine.events, tmp_path / f"{every}", JoinRule(), shape, every=every)
        log = read_log(tmp_path / f"{every}")
        assert (len(log), log.n_sessions) == (30, 20)
        assert counts["late_decisions"] == counts["late_outcomes"] == 0
        assert counts["skewed_histories"] == counts["incomplete_decisions"] == 0


def test_a_clock_that_goes_back_gives_no_age_below_0() -> None:
    now = [100.0]
    engine = make_engine(POLICY, clock=lambda: now[0])
    for i, at in enumerate((100, 101, 50, 40, 103)):
        now[0] = float(at)
        decision = engine.decide(ask(0, request_id=f"q{i}"))
        assert decision.history_age is None or decision.history_age >= 0
        engine.outcome(told(decision, "user 0"))
    found = joined(engine)
    assert found.log is not None
    assert found.log.step.tolist() == [0, 1, 2, 3, 4]
    assert found.counts["skewed_histories"] == found.counts["conflicting_decisions"] == 0


def test_what_rules_within_rules_closed_is_not_on_offer_in_the_log() -> None:
    banned = [Banned(f"no {i}", np.arange(A) == i) for i in (5, 9)]
    policy = Constrained(constrained(POLICY, banned[0]), (banned[1],))
    offer = tuple(NAMES[i] for i in (1, 5, 9, 13))
    for about in (0.0, -1.0):  # the policy's, and the fallback's
        decision = make_engine(policy).decide(ask(0, candidates=offer, about=about))
        assert decision.candidates == (1, -1, -1, 13, -1, -1, -1, -1)


def test_after_a_restart_no_step_is_given_twice() -> None:
    """The second decision was not logged: the store counted it, and its log does not."""
    events = FullLog()
    engine = make_engine(POLICY, events)
    for room, i in ((1, 0), (1, 1), (9, 2)):
        events.room = room
        engine.decide(ask(0, request_id=f"q{i}"))
    sessions = MemorySessions()
    replay(events, sessions, responses=1)
    restarted = make_engine(POLICY, events, sessions=sessions)
    assert restarted.decide(ask(0, request_id="q3")).step == 3
    found = joined(restarted)
    assert len(found.decision_ids) == 3
    assert found.counts["conflicting_decisions"] == 0


def test_unknown_items_of_a_history_are_skipped_and_counted() -> None:
    engine = make_engine(POLICY)
    decision = engine.decide(ask(0, history=("gone", NAMES[3], "lost", NAMES[1])))
    assert decision.prior_items == (3, 1)
    assert decision.unknown_items == engine.counts["unknown_items"] == 2


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"candidates": ("item-1", "x", "y")}, "candidates has 2 items not in the .*: 'x', 'y'"),
        ({"candidates": ("item-1",) * 2}, "candidates has 'item-1' twice"),
        ({"candidates": ()}, "candidates has 0 items; give 1 to 8"),
        ({"candidates": tuple(NAMES[:9])}, "candidates has 9 items; give 1 to 8"),
        ({"candidates": None}, "candidates is missing: give up to 8 items, or the engine a retr"),
        ({"context": None}, "context has 0 numbers; the policy's user vector has 1"),
        ({"context": (1e300,)}, r"context\[0\] is 1e\+300, more than float32"),
    ],
)
def test_a_request_that_cannot_be_served_is_explained(changed: Any, says: str) -> None:
    engine = make_engine(POLICY)
    bad = ask(1, **changed)
    with pytest.raises(ContractError, match=f"request 'r1': {says}"):
        engine.decide_many([ask(0), bad])
    with pytest.raises(ContractError, match=says):
        engine.check(bad)
    assert events_of(engine.events) == ([], [])
    assert engine.decide(ask(0)).step == 0  # nothing was counted


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"item": "x"}, "item has 1 items not in the catalogue: 'x'"),
        ({"item": None}, "item is missing: an outcome `taken` names the item"),
        ({"responses": None}, "responses has nothing; an outcome 'taken' has click"),
        ({"kind": "seen"}, "responses has click; an outcome 'seen' has none"),
        ({"value": 1e300}, r"value\[0\] is 1e\+300, more than float32"),
        ({"kind": "terminated"}, "item is given, and 'terminated' is of no item"),
    ],
)
def test_an_outcome_that_cannot_be_kept_is_explained(changed: Any, says: str) -> None:
    engine = make_engine(POLICY)
    good = told(engine.decide(ask(0)), "user 0")
    with pytest.raises(ContractError, match=f"outcome 'r0 taken 0': {says}"):
        engine.outcomes([good, replace(good, **changed)])
    assert len(events_of(engine.events)[1]) == 0


def test_the_policy_fails_for_one_user_and_serves_the_others() -> None:
    bad = {3: -1.0, 4: -2.0}  # scores that are no numbers, and an exception
    requests = [ask(i, about=bad.get(i, 0.0)) for i in range(8)]
    engine = make_engine(constrained(POLICY, *RULES))
    decisions = engine.decide_many(requests)
    assert [d.policy for d in decisions] == ["policy@1"] * 3 + ["fallback"] * 2 + ["policy@1"] * 3
    assert "scores must be finite" in (decisions[3].fallback or "")
    assert decisions[4].fallback == "RuntimeError: no such user"
    assert engine.counts["fallbacks"] == 2
    assert events_of(engine.events)[0] == decisions


def test_the_fallback_is_uniform_within_the_rules_and_says_so() -> None:
    engine = make_engine(Constrained(constrained(POLICY, RULES[1]), RULES[:1]))
    offer = tuple(NAMES[i] for i in (0, 1, 4, 5, 8))  # shelves {0, 1}, {4, 5}, {8}; 5 is banned
    drawn = engine.decide_many(
        [ask(0, request_id=f"r{i}", candidates=offer, about=-1.0) for i in range(1_500)]
    )
    for d in drawn:
        assert d.policy == "fallback"
        assert len({i // 4 for i in d.slate}) == K
        assert 5 not in d.slate
    told = {d.slate: d.propensity for d in drawn}
    assert len(told) == 12  # 3! orders of three shelves, of which one has two items
    assert sum(told.values()) == pytest.approx(1)
    for slate, n in Counter(d.slate for d in drawn).items():
        assert n == pytest.approx(1_500 * told[slate], abs=4 * (1_500 * told[slate]) ** 0.5)


class FullLog(MemoryLog):
    """Keeps `room` events."""

    room = 2

    def append(self, event: bytes) -> int:
        if len(self.events) >= self.room:
            raise EventLogError("No space left on device")
        return super().append(event)


def test_what_is_not_logged_is_not_answered_by_the_policy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = FullLog()
    engine = make_engine(POLICY, events)
    decisions = engine.decide_many([ask(i) for i in range(5)])
    assert [d.fallback for d in decisions] == [None] * 2 + [
        "event log: No space left on device"
    ] * 3
    assert all(d.propensity == pytest.approx(1 / (8 * 7 * 6)) for d in decisions[2:])
    assert engine.counts["unlogged"] == 3
    assert events_of(engine.events)[0] == decisions[:2]
    with pytest.raises(EventLogError, match="No space left"):
        engine.outcome(told(decisions[0], "user 0"))
    assert engine.decide(ask(7)).history_version == 0  # what is not logged is in no history
    assert engine.failing == {"event log"}
    events.room = 9
    assert engine.decide(ask(8)).fallback is None
    assert engine.failing == set()
    said = [record.getMessage() for record in caplog.records]  # once for each change
    assert said == [
        "event log failed; the fallback is served until it is back",
        "event log is back",
    ]


def test_a_session_store_that_fails_is_answered_by_the_fallback() -> None:
    class Lost:
        def open(self, visits: Any, now: float) -> Any:
            raise ConnectionError("the store is gone")

        def apply(self, taken: Any, now: float) -> int:
            raise ConnectionError("the store is gone")

    engine = make_engine(POLICY, sessions=Lost())
    before = make_engine(POLICY).decide(ask(0))
    with pytest.raises(ConnectionError, match="the store is gone"):
        engine.outcome(told(before, "user 0"))
    assert engine.failing == {"sessions"}
    assert len(events_of(engine.events)[1]) == engine.counts["outcomes"] == 1  # but it is logged
    engine = make_engine(POLICY, sessions=Lost())
    decision = engine.decide(ask(0))
    assert decision.fallback == "sessions: the store is gone"
    assert decision.step == -1
    assert engine.counts == Counter(decisions=1, fallbacks=1, unlogged=1, unknown_items=0)
    assert events_of(engine.events) == ([], [])


def test_a_store_of_another_catalogue_or_policy_does_no_harm() -> None:
    sessions = MemorySessions()
    user = make_engine(POLICY).decide(ask(0)).user
    for i, item in enumerate((A + 5, 3, A)):
        sessions.apply([Taken(user, f"d{i}", item, (1.0,))], 0.0)
    decision = make_engine(POLICY, sessions=sessions).decide(ask(0))
    assert (decision.fallback, decision.prior_items) == (None, (3,))

    other = MemorySessions()
    other.apply([Taken(user, "d", 3, (1.0, 0.5))], 0.0)
    engine = make_engine(POLICY, sessions=other)
    decisions = engine.decide_many([ask(0), ask(1)])
    assert all("filled for another policy" in (d.fallback or "") for d in decisions)
    assert engine.failing == {"sessions"}


def test_a_slate_that_breaks_a_rule_does_not_leave() -> None:
    """The rule closes nothing, as if it had vanished between the draw and the reply."""

    class Vanished(Banned):
        def closed(self, obs: Observation, items: Any) -> Any:
            return np.zeros(items.shape, bool)

    rule: Rule = Vanished("odd", np.arange(A) % 2 == 1)
    engine = make_engine(Constrained(POLICY, (rule,)))
    drawn = engine.decide_many([ask(i) for i in range(40)])
    shown = [i for d in drawn for i in d.slate if i >= 0]
    assert shown
    assert all(i % 2 == 0 for i in shown)
    refused = [d for d in drawn if d.slate == (-1,) * K]  # the fallback broke it, too
    assert refused
    assert all("rule 'odd' is broken" in (d.fallback or "") for d in refused)
    assert all((d.propensity, d.items) == (1.0, ()) for d in refused)


def test_a_propensity_that_no_log_could_hold_is_not_served() -> None:
    class Wrong(PlackettLuce):
        def prefix(self, slate: Any) -> Any:
            return np.zeros(slate.shape)

    class Liar(LastItem):
        def distribution(self, obs: Observation) -> Any:
            return Wrong(self.scores(obs), K)

    lies: Policy = Liar()
    decision = make_engine(lies).decide(ask(0))
    assert decision.policy == "fallback"
    assert "propensity[0] = 0 is outside (0, 1]" in (decision.fallback or "")


@dataclass(frozen=True)
class Odd(PlackettLuce):
    """Draws what no log could hold."""

    fault: str = ""

    def sample(self, rng: Any) -> Any:
        action = super().sample(rng)
        if self.fault == "repeats an item":
            action[:, 1] = action[:, 0]
        if self.fault == "did not offer":
            action[:, 0] = 0
        return action[:, :2] if self.fault == "slates of shape" else action

    def prefix(self, slate: Any) -> Any:
        return np.full(slate.shape, 1.5 if self.fault == "propensity[0] = 1.5 is outside" else 0.5)

    def first_place(self) -> Any:
        fill = np.nan if self.fault == "candidate_propensity[0] leaves" else 0.1
        return np.full(self.logits.shape, fill)


@pytest.mark.parametrize(
    "fault",
    [
        "repeats an item",
        "did not offer",
        "slates of shape",
        "propensity[0] = 1.5 is outside",
        "candidate_propensity[0] leaves",
    ],
)
def test_what_the_log_would_refuse_is_not_served(fault: str) -> None:
    class Wrong(LastItem):
        def distribution(self, obs: Observation) -> Any:
            flat = np.zeros((len(obs), C if obs.candidates is not None else A))
            closed = flat if obs.eligible is None else np.where(obs.eligible, 0.0, -np.inf)
            return Odd(closed, K, fault)

    whole = replace(SERVING, n_candidates=None)  # where column 0 is an item not asked for
    wrong: Policy = Wrong(whole if fault == "did not offer" else SERVING)
    engine = make_engine(wrong)
    decision = engine.decide(ask(1))
    assert decision.policy == "fallback"
    assert fault in (decision.fallback or "")
    assert engine.counts["unlogged"] == 0
    assert engine.failing == set()


def test_a_reason_that_no_event_could_hold_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    # what logs capture goes between the processes of a test run, which take no lone surrogate
    monkeypatch.setattr(logging.getLogger("serving"), "disabled", True)

    class Failing(LastItem):
        def distribution(self, obs: Observation) -> Any:
            raise OSError("no file \udcff.npy")

    failing: Policy = Failing()
    decision = make_engine(failing).decide(ask(0))
    assert decision.fallback == r"OSError: no file \udcff.npy"


def test_threads_lose_and_mix_nothing(tmp_path: Path) -> None:
    events, before = SegmentLog(tmp_path, segment_bytes=100_000), sys.getswitchinterval()
    engines = [make_engine(POLICY, events, version=v) for v in ("a", "b")]

    def serve(nth: int) -> list[Decision]:
        asked = (ask(i, user=f"u{nth}", request_id=f"{nth} {i}") for i in range(40))
        answers = []
        for i, request in enumerate(asked):
            answers.append(engines[(nth + i) % 2].decide(request))
            engines[nth % 2].outcome(told(answers[-1], f"u{nth}"))
        return answers

    try:
        sys.setswitchinterval(1e-5)
        with ThreadPoolExecutor(6) as pool:
            acknowledged = [d for part in pool.map(serve, range(6)) for d in part]
    finally:
        sys.setswitchinterval(before)
    decisions, outcomes = events_of(events)
    assert {d.decision_id: d for d in decisions} == {d.decision_id: d for d in acknowledged}
    assert len(decisions) == len(outcomes) == 240
    mine = [d.time for d in decisions if d.policy == "a"]
    assert mine == sorted(mine)  # in the log as the engine's clock was read
    for nth in range(6):
        mine = [d.step for d in decisions if d.decision_id.startswith(f"{nth} ")]
        assert sorted(mine) == sorted([*range(20), *range(20)])  # each engine has a store


def test_candidates_are_retrieved_where_a_request_gives_none() -> None:
    angle = np.arange(A) * 2 * np.pi / A
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    engine = make_engine(POLICY, retrieval=TopVectors(circle, C))
    new, known, given = engine.decide_many(
        [ask(0, candidates=None), ask(1, candidates=None, history=(NAMES[10],)), ask(2)]
    )
    assert new.candidates == tuple(range(C))
    assert set(known.candidates or ()) <= set(range(6, 15))
    assert given.candidates == tuple((6 + 2 * j) % A for j in range(C))

    def broken(histories: Any) -> Any:
        raise ConnectionError("no index")

    pool = [NAMES[i] for i in (20, 21, 22, 23)]
    engine = make_engine(POLICY, retrieval=broken, fallback=pool)
    lost, given = engine.decide_many([ask(0, candidates=None), ask(2)])
    assert lost.fallback == "ConnectionError: no index"
    assert lost.candidates == (20, 21, 22, 23, -1, -1, -1, -1)
    assert given.fallback is None
    same = make_engine(POLICY, retrieval=lambda rows: np.full((len(rows), C), 3, np.int32))
    assert "retrieved twice" in (same.decide(ask(0, candidates=None)).fallback or "")


def test_without_tables_the_slates_are_the_same() -> None:
    policy = constrained(POLICY, *RULES)
    requests = [ask(i, about=-1.0 if i == 3 else 0.0) for i in range(8)]
    plain = make_engine(policy).decide_many(requests)
    short = make_engine(policy, tables=False).decide_many(requests)
    assert {d.candidate_propensity for d in short} == {None}
    assert [core(replace(d, candidate_propensity=None)) for d in plain] == [core(d) for d in short]


def test_a_whole_catalogue_needs_no_candidates() -> None:
    serving = replace(SERVING, n_candidates=None)
    policy = ScorePolicy(LastItem(serving), Exploration(temperature=1.0))
    free, some = make_engine(policy).decide_many([ask(0, candidates=None), ask(1)])
    assert make_engine(policy).decide(ask(0, candidates=None)).candidates is None
    assert free.slate == make_engine(policy).decide(ask(0, candidates=None)).slate
    assert set(some.slate) <= {(3 + 2 * j) % A for j in range(C)}
    assert {i for i in some.candidates or () if i >= 0} == {(3 + 2 * j) % A for j in range(C)}


def test_no_raw_id_of_a_user_or_session_is_in_an_event_and_hashes_need_the_secret() -> None:
    person = {"user": "ann@example.org", "session": "cookie-4711"}
    logs = []
    for secret in (SECRET, SECRET, b"another sixteen bytes"):
        engine = make_engine(POLICY, secret=secret)
        decision = engine.decide(ask(0, **person))
        engine.outcome(told(decision, person["user"]))
        logs.append(events_of(engine.events))
        raw = b"".join(e.event for e in engine.events.read("memory"))
        assert b"example" not in raw
        assert b"4711" not in raw
        assert SECRET not in raw
    users = [decisions[0].user for decisions, _ in logs]
    assert users[0] == users[1] != users[2]
    assert logs[0][1][0].user == users[0]
    assert logs[0][0][0].slate == logs[1][0][0].slate
    assert SECRET.decode() not in repr(vars(engine))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"secret": b"short"}, "at least 16 bytes"),
        ({"version": "fallback"}, "what the fallback's decisions name"),
        ({"fallback": ("x",)}, "fallback has 1 items not in the catalogue"),
        ({"fallback": (NAMES[0], NAMES[1])}, "fallback has 2 items; give 3 to 8"),
        ({"fallback": (NAMES[0],) * 3}, "fallback has 3 items; give 3 to 8 different"),
    ],
)
def test_an_engine_that_could_not_serve_is_not_built(settings: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_engine(POLICY, **settings)


def test_the_lines_of_the_engines_docstring_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = uniform(replace(SERVING, n_candidates=None, user_size=0))
    save(constrained(whole, *RULES), tmp_path / "saved/softmax")
    (tmp_path / "items.txt").write_text("\n".join(NAMES))
    monkeypatch.chdir(tmp_path)
    lines = [x[8:] for x in (Engine.__doc__ or "").splitlines() if x.startswith(" " * 8)]
    code = "\n".join(x for x in lines if " = " in x or x.startswith(("engine.", "join_log(")))
    assert code.count("\n") == 6
    known: dict[str, Any] = vars(serving) | {"load": load, "secret": SECRET}
    exec(code, known)
    known["events"].close()
    log = read_log(tmp_path / "log")
    assert log.reward.tolist() == [1.0]
    assert log.names_of("item", log.slate[0]) == list(known["decision"].items)

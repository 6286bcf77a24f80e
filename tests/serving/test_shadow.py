"""A shadow says what it would have done, by the numbers of its distribution, and does nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from policies import (
    Banned,
    Exploration,
    Observation,
    Policy,
    ScorePolicy,
    Serving,
    constrained,
)
from serving import (
    Decision,
    Engine,
    EventLogError,
    JoinRule,
    MemoryLog,
    MemorySessions,
    Outcome,
    Request,
    Shape,
    TopVectors,
    join_log,
    replay,
)
from serving.contracts.events import read_event
from serving.contracts.shadows import ShadowEvent
from serving.contracts.skimming import skim
from serving.joining.survey import survey
from serving.privacy.forgetting import forget_served
from tests.factories import make_serving
from tests.serving.factories import events_of, make_engine, names_of

A, C, K = 30, 8, 3
SERVING = make_serving(A, slate_size=K, n_candidates=C, history_length=4, user_size=0)
WHOLE = replace(SERVING, n_candidates=None)
NAMES = names_of(A)


@dataclass
class Liking:
    """Likes the items around a number."""

    centre: float = 0.0
    serving: Serving = SERVING

    def scores(self, obs: Observation) -> np.ndarray:
        every = np.arange(A)[None] if obs.candidates is None else obs.candidates
        found: np.ndarray = -np.abs(every - self.centre) / 6.0
        return np.broadcast_to(found, (len(obs), found.shape[1]))

    def update(self, log: Any) -> dict[str, float]:
        return {}


class Picky(Liking):
    """Fails for whom has taken an odd item, and says nothing of whom has taken one below 6."""

    def scores(self, obs: Observation) -> np.ndarray:
        last = obs.history_items[:, -1]
        if (last % 2 == 1).any():
            raise RuntimeError("out of memory")
        found = super().scores(obs).copy()
        found[(last >= 0) & (last < 6)] = np.nan
        return found


def soft(scorer: Any) -> Policy:
    return ScorePolicy(scorer, Exploration(temperature=1.0))


OLD, THIRD = soft(Liking(5.0)), constrained(soft(Liking(20.0)), Banned("low", np.arange(A) < 3))


def ask(i: int, **fields: Any) -> Request:
    offer = tuple(NAMES[(3 * i + 2 * j) % A] for j in range(C))
    given = {"request_id": f"r{i}", "user": f"user {i}", "session": "s", "candidates": offer}
    return Request(**given | fields)


def shadowed(policy: Policy = THIRD, share: float = 1.0, **settings: Any) -> Engine:
    engine = make_engine(OLD, version="old", sha256="0ld", **settings)
    engine.set_shadow(policy, version="third", sha256="3rd", share=share)
    return engine


def said(engine: Engine) -> dict[str, ShadowEvent]:
    """The shadow's events in the log, by decision."""
    events = [read_event(e.event) for w in engine.events.writers() for e in engine.events.read(w)]
    found = [event for event in events if isinstance(event, ShadowEvent)]
    assert len({event.decision_id for event in found}) == len(found)
    return {event.decision_id: event for event in found}


def run(engine: Engine) -> int:
    """All that waits."""
    total = 0
    while some := engine.run_shadow():
        total += some
    return total


def chance(scores: np.ndarray, slate: tuple[int, ...], items: np.ndarray) -> float:
    """Plackett-Luce, place by place."""
    weight = {int(i): np.exp(s) for i, s in zip(items, scores, strict=True) if i >= 0}
    product = 1.0
    for item in slate:
        if item not in weight:
            return 0.0
        product *= weight[item] / sum(weight.values())
        del weight[item]
    return product


def test_the_shadows_numbers_are_those_of_its_distribution() -> None:
    """By hand: what each version likes of the request's candidates, without those that the shadow's
    rule closes, is a softmax place by place."""
    engine = shadowed()
    decisions = engine.decide_many([ask(i) for i in range(40)])
    assert said(engine) == {}, "not within the request"
    assert run(engine) == 40
    found = said(engine)
    assert {d.decision_id for d in decisions} == found.keys()
    for i, d in enumerate(decisions):
        event = found[d.decision_id]
        items = np.array([(3 * i + 2 * j) % A for j in range(C)])
        likes = {centre: -np.abs(items - centre) / 6.0 for centre in (5.0, 20.0)}
        opened = np.where(items < 3, -1, items)
        assert event.propensity == pytest.approx(chance(likes[20.0], d.slate, opened))
        assert event.live_propensity == d.propensity
        assert d.propensity == pytest.approx(chance(likes[5.0], d.slate, items))
        shares = [
            np.where(offer >= 0, np.exp(like), 0.0)
            for offer, like in ((items, likes[5.0]), (opened, likes[20.0]))
        ]
        apart = 0.5 * np.abs(shares[0] / shares[0].sum() - shares[1] / shares[1].sum()).sum()
        assert event.total_variation == pytest.approx(apart)
        assert (event.policy, event.policy_sha256, event.live_policy) == ("third", "3rd", "old")
        assert (event.user, event.error) == (d.user, None)
        assert 1 <= event.together <= 16
    assert min(event.propensity for event in found.values()) == 0.0  # type: ignore[type-var]


def test_the_mean_weight_of_a_shadow_is_one() -> None:
    """Of what is drawn by the live version, the shadow's probability over it has the mean 1: the
    shadow closes nothing here, so that each of its slates may be drawn."""
    engine = shadowed(soft(Liking(9.0)))
    for start in range(0, 3_000, 100):
        engine.decide_many([ask(i) for i in range(start, start + 100)])
        run(engine)
    weights = np.array([e.propensity / e.live_propensity for e in said(engine).values()])  # type: ignore[operator]
    assert len(weights) == 3_000
    assert abs(weights.mean() - 1) < 4 * weights.std() / np.sqrt(len(weights))
    assert weights.std() > 0.1


def without_clock(decisions: list[Decision]) -> list[Decision]:
    return [replace(d, time=0.0, worked_ms=0.0, history_age=None) for d in decisions]


def took(decision: Decision, i: int) -> Outcome:
    return Outcome(
        outcome_id=f"o{decision.decision_id}", decision_id=decision.decision_id, user=f"user {i}",
        kind="taken", item=decision.items[0], responses={"click": 1.0},
    )  # fmt: skip


@pytest.mark.parametrize("policy", [THIRD, soft(Picky(20.0))])
def test_nobody_notices_a_shadow(policy: Policy, tmp_path: Any) -> None:
    """Decisions, sessions and the joined log are those of an engine without one, also where the
    shadow fails for some users and has no numbers for others."""
    logs, engines = [], [shadowed(policy), make_engine(OLD, version="old", sha256="0ld")]
    for nth, engine in enumerate(engines):
        made: list[Decision] = []
        for turn in range(3):
            batch = [ask(i, request_id=f"{turn} {i}") for i in range(20)]
            made += engine.decide_many(batch, late=[i == 7 for i in range(20)])
            assert run(engine) == (0 if nth else 19)
            for i, decision in enumerate(made[-20:]):
                engine.outcome(took(decision, i))
        counts = join_log(
            engine.events, tmp_path / f"log {nth}", JoinRule(reward={"taken": 1.0}, idle=1e9),
            Shape.of(SERVING, engine.catalogue),
        )  # fmt: skip
        logs.append((without_clock(made), counts))
        assert engine.counts["fallbacks"] == 3
        assert not engine.failing
    assert logs[0] == logs[1]
    decisions, outcomes = events_of(engines[0].events)
    assert replay(engines[0].events, MemorySessions(), responses=1) == len(decisions) + len(
        outcomes
    )
    found = said(engines[0])
    errors = [e.error for e in found.values() if e.error is not None]
    assert survey(engines[0].events).events["shadow"] == len(found) == 57
    assert skim(next(iter(found.values())).to_json()) is None
    if policy is THIRD:
        assert errors == []
        return
    assert {one.partition(":")[0] for one in errors} == {"RuntimeError", "ValueError"}
    assert 0 < len(errors) < 57, "the others of a batch are compared all the same"
    for event in found.values():
        assert (event.error is None) == (event.propensity is not None)
        assert (event.error is None) == (event.total_variation is not None)
    assert engines[0].counts["shadow_errors"] == len(errors)


def test_a_share_of_decisions_is_asked_about_by_their_ids() -> None:
    engine = shadowed(share=0.2)
    for start in range(0, 2_000, 100):
        engine.decide_many([ask(i) for i in range(start, start + 100)])
        run(engine)
    asked = set(said(engine))
    assert abs(len(asked) / 2_000 - 0.2) < 4 * np.sqrt(0.16 / 2_000)
    again = shadowed(share=0.2)
    for i in range(200):  # alone, and by another process: the same ones
        again.decide(ask(i))
        run(again)
    assert set(said(again)) == {one for one in asked if int(one[1:]) < 200}
    more = shadowed(share=0.5)
    more.decide_many([ask(i) for i in range(200)])
    run(more)
    assert set(said(more)) >= set(said(again))


def test_it_is_asked_about_the_live_versions_own_decisions_alone() -> None:
    engine = shadowed()
    engine.set_canary(soft(Liking(12.0)), version="new", weight=0.5, salt="s", rollout="r")
    made = engine.decide_many([ask(i) for i in range(40)], late=[i % 4 == 0 for i in range(40)])
    engine.decide_many([ask(i) for i in range(40)])  # sent again
    run(engine)
    control = {d.decision_id for d in made if d.arm == "control" and d.fallback is None}
    assert 0 < len(control) < 30
    assert set(said(engine)) == control


def test_what_waits_is_bounded_and_is_forgotten_with_the_shadow() -> None:
    engine = shadowed()
    for start in range(0, 400, 100):
        engine.decide_many([ask(i) for i in range(start, start + 100)])
    assert engine.counts["shadow_dropped"] == 400 - 256
    engine.swap(soft(Liking(7.0)), version="newer")
    assert engine.run_shadow(most=100) == 100
    engine.decide_many([ask(i) for i in range(400, 420)])
    assert [engine.run_shadow(most=100) for _ in range(4)] == [
        100,
        56,
        20,
        0,
    ]  # by versions
    assert {e.live_policy for e in said(engine).values()} == {"old", "newer"}
    engine.decide_many([ask(i) for i in range(420, 440)])
    engine.clear_shadow()
    assert engine.run_shadow() == 0
    engine.set_shadow(THIRD, version="third", sha256="3rd")
    assert engine.run_shadow() == 0


def test_a_log_that_is_full_loses_the_shadows_word_and_nothing_else() -> None:
    class Full(MemoryLog):
        full = False

        def append(self, event: bytes) -> int:
            if self.full:
                raise EventLogError("No space left on device")
            return super().append(event)

    log = Full()
    engine = shadowed(events=log)
    engine.decide_many([ask(i) for i in range(20)])
    log.full = True
    assert engine.run_shadow(most=10) == 10
    assert (engine.counts["shadow_unlogged"], engine.failing) == (10, {"event log"})
    log.full = False
    assert engine.run_shadow(most=10) == 10
    assert (len(said(engine)), engine.failing) == (10, set())


@pytest.mark.parametrize("tables", [True, False])
def test_a_shadow_that_retrieves_other_candidates(tables: bool) -> None:
    """A slate that it could not have shown has the probability 0; of the first place, all items of
    both are compared."""
    line = np.arange(A, dtype=np.float32)[:, None]
    engine = make_engine(OLD, version="old", retrieval=TopVectors(line, C), tables=tables)
    engine.set_shadow(OLD, version="third", retrieval=TopVectors(line - 10, C), share=1.0)
    free = [ask(i, candidates=None, history=(NAMES[3 + i],)) for i in range(12)]
    made = engine.decide_many(free)
    run(engine)
    found = said(engine)
    for d in made:
        event = found[d.decision_id]
        assert event.error is None
        assert event.total_variation is not None
        if event.propensity == 0.0:
            assert event.total_variation == pytest.approx(1.0)
        else:
            assert event.propensity == pytest.approx(d.propensity)
            assert event.total_variation == pytest.approx(0.0)
    assert 0 < sum(e.propensity == 0.0 for e in found.values()) < 12


def test_a_whole_catalogue_has_no_tables_and_is_compared_all_the_same() -> None:
    whole = [soft(Liking(centre, WHOLE)) for centre in (5.0, 20.0)]
    engine = make_engine(whole[0], version="old")
    engine.set_shadow(whole[1], version="third", share=1.0)
    (made,) = engine.decide_many([ask(0, candidates=None)])
    assert made.candidate_propensity is None
    run(engine)
    event = said(engine)["r0"]
    items = np.arange(A)
    likes = [-np.abs(items - centre) / 6.0 for centre in (5.0, 20.0)]
    shares = [np.exp(like) / np.exp(like).sum() for like in likes]
    assert event.propensity == pytest.approx(chance(likes[1], made.slate, items))
    assert event.total_variation == pytest.approx(0.5 * np.abs(shares[0] - shares[1]).sum())


def test_what_a_shadow_said_of_a_user_is_forgotten_with_the_user() -> None:
    engine = shadowed()
    engine.decide_many([ask(i) for i in range(5)])
    run(engine)
    told = forget_served(engine, "user 3")
    assert told.erased == {"decision": 1, "shadow": 1}
    assert set(said(engine)) == {"r0", "r1", "r2", "r4"}
    engine.decide_many([ask(i, request_id=f"x{i}") for i in range(5)])
    forget_served(engine, "user 1")
    assert run(engine) == 4, "and does not wait for the shadow any more"
    assert "x1" not in said(engine)

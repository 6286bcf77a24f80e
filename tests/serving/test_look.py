"""A look shows what the policy would see, and leaves no trace."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pytest

from policies import Banned, Exploration, Observation, ScorePolicy, Serving, constrained
from serving import ContractError, Engine, MemorySessions, Outcome, Request, TopVectors
from tests.factories import make_serving
from tests.serving.factories import make_engine, names_of

A, C, K = 30, 8, 3
SERVING = make_serving(A, slate_size=K, n_candidates=C, history_length=4, user_size=1)
NAMES = names_of(A)
RULES = (Banned("odd", np.arange(A) == 5),)
LINE = np.arange(A, dtype=np.float32)[:, None] - 10


@dataclass
class Watched:
    """Keeps the observations that it is asked about."""

    serving: Serving = SERVING
    asked: list[Observation] = field(default_factory=list)

    def scores(self, obs: Observation) -> np.ndarray:
        self.asked.append(obs)
        return np.zeros((len(obs), C))

    def update(self, log: Any) -> dict[str, float]:
        return {}


def ask(i: int, **fields: Any) -> Request:
    given = {"request_id": f"r{i}", "user": f"user {i}", "session": "s", "context": (0.5 * i,)}
    return Request(**given | fields)


def engine_of(model: Watched, **settings: Any) -> Engine:
    policy = ScorePolicy(model, Exploration(temperature=1.0))
    engine = make_engine(policy, retrieval=TopVectors(LINE, C), **settings)
    for i in (0, 1, 1):
        decision = engine.decide(ask(i, request_id=f"before {i} {engine.counts['decisions']}"))
        engine.outcome(
            Outcome(
                outcome_id=decision.decision_id,
                decision_id=decision.decision_id,
                user=f"user {i}",
                kind="taken",
                item=decision.items[0],
                responses={"click": 0.25 + i},
            )
        )
    model.asked.clear()
    return engine


def same(one: Observation, other: Observation) -> None:
    for f in fields(Observation):
        np.testing.assert_array_equal(getattr(one, f.name), getattr(other, f.name), f.name)


def test_a_look_is_what_the_policy_is_asked_about() -> None:
    model = Watched()
    engine = engine_of(model)
    offer = tuple(NAMES[i] for i in (3, 9, 4))
    batch = [
        ask(0),  # known
        ask(1, candidates=offer),
        ask(2, history=(NAMES[7], "gone", NAMES[20])),  # a new user
        ask(3),  # with nothing at all
    ]
    look = engine.look(batch)
    assert model.asked == []
    engine.decide_many(batch)
    same(look.obs, model.asked[0])
    assert look.obs.history_items[2].tolist() == [-1, -1, 7, 20]
    assert (look.policy, look.names, look.version) == (engine.policy, tuple(NAMES), engine.version)
    alone = engine.look(batch[:1])
    assert alone.obs.eligible is None  # no column is empty
    model.asked.clear()
    engine.decide(ask(0, request_id="r0 alone", session="t"))
    same(alone.obs, model.asked[0])


def test_a_look_leaves_no_trace() -> None:
    model, sessions = Watched(), MemorySessions()
    engine = engine_of(model, sessions=sessions)

    def state() -> Any:
        users = {k: (list(v.sessions), v.touched, v.version) for k, v in sessions._users.items()}
        steps = [s.of_request for u in sessions._users.values() for s in u.sessions.values()]
        kept = len(engine._keeper.retries._events)
        return repr((users, steps, engine.counts, kept, list(engine.events.read("memory"))))

    before = state()
    for _ in range(3):
        engine.look([ask(i, session=f"t{i}") for i in range(5)])
        engine.look([ask(0)], histories=[NAMES[:3]])
    assert state() == before
    assert engine.decide(ask(0, request_id="next")).step == 1


def test_typed_histories_stand_for_the_stored_ones() -> None:
    engine = engine_of(Watched())
    look = engine.look([ask(0), ask(1)], histories=[(NAMES[12], NAMES[11]), ()])
    assert look.obs.history_items.tolist() == [[-1, -1, 12, 11], [-1] * 4]
    assert not look.obs.history_responses.any()
    with pytest.raises(ContractError, match=r"histories\[1\] has 1 items not in .*: 'x'"):
        engine.look([ask(0), ask(1)], histories=[(), ("x",)])
    with pytest.raises(ContractError, match="context has 0 numbers"):
        engine.look([ask(0, context=None)])
    with pytest.raises(ValueError, match="zip"):
        engine.look([ask(0)], histories=[(), ()])


def test_what_fails_under_a_look_is_raised_and_is_no_alarm() -> None:
    class Lost(MemorySessions):
        def peek(self, users: Any) -> Any:
            raise ConnectionError("the store is gone")

    engine = engine_of(Watched(), sessions=Lost())
    with pytest.raises(ConnectionError, match="the store is gone"):
        engine.look([ask(0)])
    assert engine.failing == set()
    assert len(engine.look([ask(0)], histories=[()]).obs) == 1

    def broken(histories: Any) -> Any:
        raise ConnectionError("no index")

    engine.swap(engine.policy, version="v2", retrieval=broken)
    with pytest.raises(ConnectionError, match="no index"):
        engine.look([ask(0)], histories=[()])
    assert engine.failing == set()
    assert engine.counts["fallbacks"] == 0


def test_a_look_names_the_rules_the_outermost_first() -> None:
    ruled = constrained(ScorePolicy(Watched(), Exploration(temperature=1.0)), *RULES)
    assert make_engine(ruled).look([ask(0, candidates=(NAMES[1],))]).rules == RULES

"""Two arms: each is what its version alone would serve, to the users that the hash gives it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpolicy import check_log
from offpolicy.storage.parquet import read_log
from policies import (
    Banned,
    Exploration,
    Observation,
    Policy,
    ScorePolicy,
    Serving,
    constrained,
    serving_of,
)
from policies.baselines.uniform import uniform
from serving import (
    Decision,
    Engine,
    JoinRule,
    MemoryLog,
    Outcome,
    Request,
    Shape,
    explain,
    join,
    join_log,
)
from serving.arms import arm_point
from serving.events.reading import starts_of
from serving.joining.survey import shape_of, survey
from tests.factories import env_of
from tests.serving.factories import events_of, make_engine, play
from tests.serving.shifted import NAMES, SERVING, A, C, K, Shifted, soft


class Broken(Shifted):
    """Fails, or says nothing, of every user."""

    def scores(self, obs: Observation) -> np.ndarray:
        if self.first:
            raise RuntimeError("out of memory")
        return np.full(obs.candidates.shape, np.nan)  # type: ignore[union-attr]


OLD, NEW = soft(Shifted(0)), constrained(soft(Shifted(15)), Banned("low", np.arange(A) < 4))
USERS = 12
NEXT = {"version": "new", "sha256": "0ff"}


def ask(i: int, **fields: Any) -> Request:
    offer = tuple(NAMES[(3 * i + 2 * j) % A] for j in range(C))
    given = {"request_id": f"r{i}", "user": f"user {i % USERS}", "session": "s"}
    return Request(**given | {"candidates": offer} | fields)


def took(decision: Decision, user: str) -> Outcome:
    return Outcome(
        outcome_id=f"{decision.decision_id} taken", decision_id=decision.decision_id, user=user,
        kind="taken", item=decision.items[0], responses={"click": 1.0},
    )  # fmt: skip


def core(decision: Decision, **changed: Any) -> Decision:
    """A decision without its clock."""
    return replace(decision, time=0.0, worked_ms=0.0, history_age=None, **changed)


def split(engine: Engine, weight: float = 0.5, policy: Policy = NEW, **names: Any) -> Engine:
    """The same engine with a canary."""
    engine.set_canary(policy, weight=weight, salt="salt", rollout="try", **NEXT | names)
    return engine


def two_armed(weight: float = 0.5, policy: Policy = NEW, **settings: Any) -> Engine:
    return split(make_engine(OLD, version="old", sha256="0ld", **settings), weight, policy)


def served(engine: Engine, rounds: int = 3) -> list[Decision]:
    """Batches of several users, some of them late; what each is shown first is taken."""
    made: list[Decision] = []
    for nth in range(rounds):
        batch = [ask(i) for i in range(nth * USERS, (nth + 1) * USERS)]
        late = [i % 3 == 2 for i in range(USERS)]
        made += engine.decide_many(batch, late=late)
        for i, decision in enumerate(made[-USERS:]):
            if decision.items:
                engine.outcome(took(decision, f"user {i}"))
    return made


def test_each_arm_is_what_its_version_alone_serves_to_its_users() -> None:
    engine = two_armed()
    both = served(engine)
    assert [d.decision_id for d in both] == [f"r{i}" for i in range(3 * USERS)]
    assert events_of(engine.events)[0] == both, "in the order of the requests"
    users = [engine.keys.user(f"user {i}") for i in range(USERS)]
    to_canary = [arm_point("salt", user) < 0.5 for user in users]
    assert 3 < sum(to_canary) < USERS - 3
    assert [d.arm for d in both] == 3 * [("control", "canary")[one] for one in to_canary]
    assert {d.rollout for d in both} == {"try@0.5"}
    old = served(make_engine(OLD, version="old", sha256="0ld"))
    new = served(make_engine(NEW, version="new", sha256="0ff"))
    for d, a, b in zip(both, old, new, strict=True):
        own = b if d.arm == "canary" else a
        assert core(d) == core(own, arm=d.arm, rollout="try@0.5")
    fallbacks = [d for d in both if d.fallback is not None]
    assert {d.arm for d in fallbacks} == {"control", "canary"}
    assert {d.policy_sha256 for d in fallbacks} == {"0ld", "0ff"}
    for d in both:
        if d.arm == "canary":  # its fallback keeps its rules, too
            assert min(d.slate) >= 4
            assert all(c == -1 or c >= 4 for c in d.candidates or ())


def test_an_engine_without_a_canary_has_one_arm() -> None:
    engine = two_armed()
    engine.clear_canary()
    made = served(engine)
    alone = served(make_engine(OLD, version="old", sha256="0ld"))
    assert [core(d) for d in made] == [core(d) for d in alone]
    assert {(d.arm, d.rollout, d.policy_sha256) for d in made} == {("live", "", "0ld")}
    assert {d.arm for d in served(two_armed(weight=0.0))} == {"control"}
    assert {d.arm for d in served(two_armed(weight=1.0))} == {"canary"}


@pytest.mark.parametrize(("first", "says"), [(0, "is nan"), (1, "RuntimeError: out of memory")])
def test_a_canary_that_fails_touches_no_user_of_the_other_arm(first: int, says: str) -> None:
    bad = constrained(soft(Broken(first)), Banned("low", np.arange(A) < 4))
    both = served(two_armed(policy=bad))
    good = served(two_armed())
    for d, healthy in zip(both, good, strict=True):
        if d.arm == "control":
            assert core(d) == core(healthy)
        else:
            assert d.policy == "fallback"
            assert says in str(d.fallback) or d.fallback == "deadline"
            assert (d.policy_sha256, min(d.slate) >= 4) == ("0ff", True)
            assert d.propensity == pytest.approx(uniform_chance(d))


def uniform_chance(decision: Decision) -> float:
    """Of any slate of K items among those that are open."""
    n = sum(item >= 0 for item in decision.candidates or ())
    return float(1 / np.prod(np.arange(n, n - K, -1)))


def test_a_request_alone_gets_what_it_gets_in_a_batch() -> None:
    together = two_armed().decide_many([ask(i) for i in range(USERS)])
    alone = [two_armed().decide(ask(i)) for i in range(USERS)]
    assert [core(d) for d in together] == [core(d) for d in alone]


def test_a_retry_is_answered_as_before_whatever_the_rollout_did_meanwhile() -> None:
    engine = two_armed(weight=0.3)
    requests = [ask(i) for i in range(USERS)]
    before = engine.decide_many(requests)
    for change in (
        lambda: split(engine, 1.0),
        engine.clear_canary,
        lambda: engine.swap(NEW, **NEXT),
    ):
        change()
        again = engine.decide_many(requests)
        assert [core(d) for d in again] == [core(d) for d in before]
    assert {d.rollout for d in again} == {"try@0.3"}
    found = join(*events_of(engine.events), JoinRule(), Shape.of(SERVING, engine.catalogue))
    assert found.counts["conflicting_decisions"] == 0


def test_users_keep_their_arm_while_the_weight_grows() -> None:
    engine, numbers, before = two_armed(weight=0.0), itertools.count(), set[str]()
    for weight in (0.01, 0.05, 0.25, 0.5, 1.0):
        split(engine, weight)
        made = engine.decide_many([ask(next(numbers), user=f"u{i}") for i in range(200)])
        now = {d.user for d in made if d.arm == "canary"}
        assert before <= now
        assert {d.rollout for d in made} == {f"try@{weight:g}"}
        before = now
    assert len(before) == 200


def test_a_canary_becomes_live_and_ends_as_one() -> None:
    engine = two_armed()
    engine.swap(NEW, **NEXT)
    assert engine.served.canary is engine.served.split is None
    assert {(d.policy, d.arm) for d in engine.decide_many([ask(i) for i in range(9)])} == {
        ("new", "live")
    }
    split(engine, policy=OLD, version="old", sha256="0ld")
    engine.swap(NEW, **NEXT)  # the same again: nothing ends
    assert engine.served.canary is not None
    engine.set_shadow(soft(Shifted(3)), version="third")
    split(engine, policy=soft(Shifted(3)), version="third", sha256="")
    assert engine.served.shadow is None, "what is shown is no shadow"


@pytest.mark.parametrize(
    ("policy", "names", "says"),
    [
        (soft(Shifted(0, replace(SERVING, n_items=A + 1))), {}, "n_items 31, not 30"),
        (soft(Shifted(0, replace(SERVING, slate_size=2))), {}, "slate_size 2, not 3"),
        (NEW, {"version": "old", "sha256": "0ld"}, "'old' is served already, to users of another"),
        (NEW, {"version": "old"}, "'old' is served already, of another sha256"),
        (OLD, {"sha256": "0ld"}, "'new' is served already, of another sha256"),
        (NEW, {"version": "fallback"}, "what the fallback's decisions name"),
        (NEW, {"weight": 1.5}, "weight is 1.5"),
        (NEW, {"rollout": ""}, "rollout is 0 characters"),
    ],
)
def test_what_cannot_be_a_canary_changes_nothing(policy: Policy, names: Any, says: str) -> None:
    engine = two_armed()
    before = engine.served
    with pytest.raises(ValueError, match=says):
        engine.set_canary(
            policy, **NEXT | {"weight": 0.5, "salt": "salt", "rollout": "try"} | names
        )
    assert engine.served is before
    if not {"weight", "rollout"} & names.keys() and names.get("sha256") != "0ld":
        with pytest.raises(ValueError, match=says):
            engine.set_shadow(policy, **NEXT | names)
        assert engine.served is before


def test_looks_and_explanations_are_of_the_users_arm() -> None:
    engine = two_armed()
    made = engine.decide_many([ask(i) for i in range(USERS)], late=[i == 3 for i in range(USERS)])
    assert {d.arm for d in made} == {"control", "canary"}
    for i, decision in enumerate(made):
        look = engine.look([ask(i, request_id="x")])
        assert look.version == ("new" if decision.arm == "canary" else "old")
        told = explain(engine, {"decision_id": decision.decision_id})
        assert told.propensity == pytest.approx(decision.propensity)
        assert not any("other rules" in note for note in told.notes)
    assert engine.look([ask(i) for i in range(USERS)]).version == "old"


def test_the_event_log_says_which_versions_are_in_which_arm(tmp_path: Path) -> None:
    engine = make_engine(OLD, version="old", sha256="0ld")
    engine.announce()
    split(engine, 0.25).announce()
    made = served(engine)
    engine.set_shadow(soft(Shifted(3)), version="third", sha256="3")
    engine.clear_canary()
    engine.announce()
    first, second, third = starts_of(engine.events)
    assert (first.canary, first.weight, first.shadow) == (None, None, None)
    assert (second.policy, second.canary, second.canary_sha256) == ("old", "new", "0ff")
    assert (second.weight, second.rollout) == (0.25, "try")
    assert second.canary_rules == next(d.rules for d in made if d.arm == "canary") != second.rules
    assert (third.canary, third.shadow, third.shadow_sha256) == (None, "third", "3")
    shape, every = shape_of(survey(engine.events).starts)
    assert (shape, every) == (Shape.of(SERVING, engine.catalogue), None)
    _, versions = shape_of(survey(engine.events).starts, ["new"])
    assert versions is not None
    assert [versions.have(d) for d in made] == [d.arm == "canary" for d in made]
    log = tmp_path / "log"
    counts = join_log(engine.events, log, JoinRule(), shape, only=versions.have)
    assert counts["other_decisions"] == sum(d.arm == "control" for d in made) > 0
    assert set(read_log(log).logger.tolist()) == {"new", "fallback"}  # type: ignore[union-attr]


def test_the_joined_log_of_two_arms_is_what_was_served() -> None:
    """A simulator's users in two arms: the log names each row's version, its propensities are the
    version's own, and the log doctor finds nothing."""
    env = env_of(40, n_items=60, slate_size=3, n_candidates=20, history_length=10, max_steps=8)()
    learned = constrained(uniform(serving_of(env)), Banned("withdrawn", np.arange(60) % 11 == 3))
    popular: Policy = ScorePolicy(_Numbers(learned.serving), Exploration(temperature=2.0))
    engine = make_engine(learned, MemoryLog(), version="old")
    split(engine, 0.4, popular)
    play(env, engine, sessions_per_slot=8, seed=7, restart_at=20)
    decisions, outcomes = events_of(engine.events)
    rule = JoinRule(reward={"paid": 1.0}, window=1e9, idle=1e9)
    joined = join(decisions, outcomes, rule, Shape.of(learned.serving, engine.catalogue))
    log = joined.log
    assert log is not None
    assert joined.counts["conflicting_decisions"] == 0
    rows = {d.decision_id: d for d in decisions}
    made = [rows[one] for one in joined.decision_ids]
    assert log.logger is not None
    assert log.logger.tolist() == [d.policy for d in made]
    assert {d.policy for d in made} == {"old", "new"}
    by_arm = {"control": "old", "canary": "new"}
    assert all(by_arm[d.arm] == d.policy for d in made)
    np.testing.assert_array_equal(log.slate, np.array([d.slate for d in made]))
    np.testing.assert_array_equal(log.propensity, np.array([d.propensity for d in made]))
    assert not joined.skewed.any(), "histories are shared by the arms"
    users = {d.user: d.arm for d in made}
    assert all(users[d.user] == d.arm for d in made)
    share = np.mean([arm == "canary" for arm in users.values()])
    assert abs(share - 0.4) < 4 * np.sqrt(0.24 / len(users))
    found = check_log(
        log, time=joined.time, event_id=np.array(joined.decision_ids),
        expected_shares={"new": 0.4, "old": 0.6},
    )  # fmt: skip
    assert [f for f in found.findings if f.level.name == "FAIL"] == []
    assert engine.counts["fallbacks"] == engine.counts["unlogged"] == 0


@dataclass
class _Numbers:
    """Likes items by their numbers."""

    serving: Serving

    def scores(self, obs: Observation) -> np.ndarray:
        assert obs.candidates is not None
        return obs.candidates / 20.0

    def update(self, log: Any) -> dict[str, float]:
        return {}

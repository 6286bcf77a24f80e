"""Explanations: parts that add up to what is logged, reasons by hand, and left-out past items."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from policies import (
    Banned,
    Cap,
    Exploration,
    Observation,
    Policy,
    Quota,
    Repeats,
    ScorePolicy,
    Sequences,
    Serving,
    between,
    build,
    constrained,
    reranked,
)
from policies.rules.rerank import MMR
from serving import ContractError, Decision, Engine, MemoryLog, Outcome, Request, TopVectors
from serving.explaining.explain import explain
from serving.explaining.explanation import Explanation
from tests.factories import make_serving
from tests.serving.factories import make_engine, names_of

A, C, K, H = 30, 8, 3, 4
SERVING = make_serving(A, slate_size=K, n_candidates=C, history_length=H, user_size=1)
WHOLE = make_serving(A, slate_size=K, history_length=H, user_size=1)
NAMES = names_of(A)
VECTORS = np.random.default_rng(0).normal(size=(A, 3)).astype(np.float32)
VIEWS = Sequences.from_lists([[i] * (i % 5 + 1) for i in range(A)], n_items=A)
SHELF = Cap("shelf", np.arange(A, dtype=np.int32) // 4, 1)
SEEN = Repeats("seen", np.arange(A, dtype=np.int32))
RECALLED = Banned("recalled", np.arange(A) == 5)


@dataclass
class Nearby:
    """Likes what is near to the items of the history, the later the more, and large numbers; of
    user -1 it knows nothing."""

    serving: Serving = SERVING
    batches: list[int] = field(default_factory=list)

    def parts(self, obs: Observation) -> dict[str, np.ndarray]:
        ids = np.arange(A)[None] if obs.candidates is None else obs.candidates
        there = obs.history_items >= 0
        weight = np.arange(1, H + 1) * there * (1.0 + obs.history_responses[:, :, 0])
        away = np.abs(ids[:, None, :] - obs.history_items[:, :, None])
        near = -(weight[:, :, None] * away).sum(axis=1) / 40
        return {"encoder": near, "reward model": 0.02 * ids + 0 * near}

    def scores(self, obs: Observation) -> np.ndarray:
        self.batches.append(len(obs))
        if (obs.user == -1).any():
            raise RuntimeError("no such user")
        return sum(self.parts(obs).values())  # type: ignore[return-value]

    def update(self, log: Any) -> dict[str, float]:
        return {}


def served(serving: Serving = SERVING, **exploration: Any) -> ScorePolicy:
    mixed = {"temperature": 0.5, "epsilon": 0.2} | exploration
    return ScorePolicy(Nearby(serving), Exploration(**mixed))


def offer(*items: int) -> tuple[str, ...]:
    return tuple(NAMES[i] for i in items)


def play(engine: Engine, n: int = 12, **fields: Any) -> list[Decision]:
    """Two users, each in two sessions by turns, who take the first item of every other slate."""
    decisions = []
    for i in range(n):
        user = f"user {i % 2}"
        items = offer(*((3 * i + 2 * j) % A for j in range(C)))
        given = {"candidates": items, "context": (0.0,)} | fields
        request = Request(
            request_id=f"r{i}",
            user=user,
            session=f"s{i // 2 % 2}",
            history=offer(1, 7),
            **given,
        )
        decision = engine.decide(request)
        decisions.append(engine.decide(request) if i % 5 == 0 else decision)
        if i % 4 < 2:
            outcome = Outcome(
                outcome_id=f"o{i}",
                decision_id=decision.decision_id,
                user=user,
                kind="taken",
                item=decision.items[0],
                responses={"click": 0.5},
            )
            engine.outcomes([outcome, outcome])
    return decisions


def logit_of(one: Explanation, n: int) -> dict[str, float]:
    """Of each candidate that could be shown, in component n."""
    logits = {c.item: c.logits[n] for c in one.candidates if c.closed is None or c.closed.place}
    return {item: logit for item, logit in logits.items() if logit is not None}


ENDS = (
    build("uniform", SERVING),
    build("popularity", SERVING, temperature=0.5, epsilon=0.1, sequences=VIEWS),
)
POLICIES = {
    "plain": lambda: served(),
    "rules": lambda: constrained(served(), RECALLED, SHELF, SEEN),
    "rules over objectives": lambda: constrained(
        reranked(served(), MMR(VECTORS, 1.0)), RECALLED, SHELF
    ),
    "whole catalogue": lambda: constrained(served(WHOLE), RECALLED, SHELF, SEEN),
    "best": lambda: served(temperature=None),
    "posterior draws": lambda: constrained(build("lints", SERVING, epsilon=0.2), RECALLED),
    "geometric path": lambda: between(*(constrained(end, SHELF) for end in ENDS), 0.3),
    "mixed path": lambda: between(*(constrained(end, SHELF) for end in ENDS), 0.3, "mixture"),
}


WEIGHTS = {"geometric path": [1.0], "mixed path": [0.7, 0.27, 0.03]}


@pytest.mark.parametrize("name", POLICIES)
def test_the_parts_of_a_decision_are_the_propensities_that_were_logged(name: str) -> None:
    whole = name == "whole catalogue"
    engine = make_engine(POLICIES[name]())
    decisions = play(engine, candidates=None) if whole else play(engine)
    for decision in decisions:
        assert decision.fallback is None
        why = explain(engine, {"decision_id": decision.decision_id})
        lost = [n for n in why.notes if "does not name them" in n]
        assert list(why.notes) == lost
        assert not (whole and lost)
        assert tuple(p.item for p in why.slate) == decision.items
        got = [p.propensity for p in why.slate]
        np.testing.assert_allclose(got, decision.position_propensity[: len(got)], rtol=1e-9)
        assert why.propensity == pytest.approx(decision.propensity, rel=1e-9)
        assert why.logged_propensity == decision.propensity
        offered = range(A) if decision.candidates is None else decision.candidates
        table = decision.candidate_propensity or ()
        logged = {NAMES[i]: p for i, p in zip(offered, table, strict=False) if i >= 0}
        by_component = []
        for n, component in enumerate(why.components):
            logits = logit_of(why, n)
            for candidate in why.candidates:
                parts, logit = candidate.parts[n], candidate.logits[n]
                assert list(parts) == list(component.parts)
                assert logit == pytest.approx(sum(v for v in parts.values() if v is not None))
            if component.form == "draws":
                chances = {c.item: c.chances[n] for c in why.candidates}
            elif component.form == "best":
                chances = {item: float(item == max(logits, key=logits.get)) for item in logits}  # type: ignore[arg-type]
            else:
                total = sum(map(np.exp, logits.values()))
                chances = {item: float(np.exp(logit) / total) for item, logit in logits.items()}
            by_component.append(chances)
        assert [c.weight for c in why.components] == pytest.approx(WEIGHTS.get(name, [0.8, 0.2]))
        for candidate in why.candidates:
            p = sum(
                component.weight * chances.get(candidate.item, 0.0)
                for component, chances in zip(why.components, by_component, strict=True)
            )
            assert candidate.propensity == pytest.approx(p, abs=1e-9)
            if logged:
                assert candidate.propensity == pytest.approx(logged.get(candidate.item, 0.0))


def test_what_a_score_is_made_of_by_hand() -> None:
    """A history of one item: its weight is 4, so that near = -4 |a - 10| / 40."""
    engine = make_engine(served(epsilon=0.0, temperature=0.5))
    why = explain(engine, {"history": [NAMES[10]], "candidates": offer(8, 20), "context": [0.0]})
    assert [c.item for c in why.candidates] == ["item-8", "item-20"]
    near, far = (c.parts[0] for c in why.candidates)
    assert near == pytest.approx({"encoder": -0.2 / 0.5, "reward model": 0.16 / 0.5})
    assert far == pytest.approx({"encoder": -1.0 / 0.5, "reward model": 0.40 / 0.5})
    p = 1 / (1 + np.exp((-0.6 + 0.04) / 0.5))
    assert why.candidates[0].propensity == pytest.approx(p)
    assert [s.propensity for s in why.slate] == pytest.approx([p, 1.0])
    assert why.propensity == pytest.approx(p)
    [past] = why.influence or ()
    assert (past.item, past.ago) == ("item-10", 1)
    without = 1 / (1 + np.exp(0.24 / 0.5))
    assert past.slate_propensity == pytest.approx(p - without)
    assert [m.score for m in past.items] == pytest.approx([0.8, -0.8])  # around their mean
    assert past.moved == pytest.approx(0.8)
    assert [m.propensity for m in past.items] == pytest.approx([p - without, without - p])


def test_rules_say_why_and_from_which_place_on() -> None:
    late = Quota("one of the last", np.arange(A) >= 20, least=1)
    policy = constrained(served(temperature=None, epsilon=0.0), RECALLED, SEEN, SHELF, late)
    engine = make_engine(policy)
    why = explain(engine, {"history": [NAMES[3]], "candidates": offer(3, 4, 5, 6, 7, 8, 12, 20)})
    assert [p.item for p in why.slate] == ["item-4", "item-8", "item-20"]
    closed = {c.item: c.closed for c in why.candidates if c.closed is not None}
    said = {item: (one.kind, one.rule, one.place, one.why) for item, one in closed.items()}
    shelf = ("cap", "shelf", 2, "at most 1 item of its group in a slate: item-4 above")
    kept = "the places left are kept for members, of whom a slate shows at least 1"
    assert said == {
        "item-3": ("repeats", "seen", None, "the user took it once before"),
        "item-5": ("banned", "recalled", None, "nobody may be shown this item"),
        "item-6": shelf,
        "item-7": shelf,
        "item-12": ("quota", "one of the last", 3, kept),
    }
    effects = {r.name: (r.kind, r.closed, r.places) for r in why.rules}
    assert effects == {
        "recalled": ("banned", 1, 0),
        "seen": ("repeats", 1, 0),
        "shelf": ("cap", 0, 2),
        "one of the last": ("quota", 0, 1),
    }
    assert {c.item for c in why.candidates[-2:]} == {"item-5", "item-3"}, "closed for this user"
    text = why.text()
    assert "item-12 from place 3 on: rule 'one of the last'" in text
    assert "Left out by rules: 5 candidates (for this user: recalled 1, seen 1)." in text


def test_groups_and_limits_are_named() -> None:
    shelf = np.arange(A, dtype=np.int32) // 4
    policy = constrained(
        served(temperature=None, epsilon=0.0),
        Repeats("twice a shelf", shelf, times=2),
        Quota("few", np.arange(A) < 20, most=1),
        Cap("none of these", np.where(np.arange(A) == 21, 0, -1).astype(np.int32), 0),
    )
    body = {"history": offer(8, 1, 9), "candidates": offer(10, 2, 6, 21, 22)}
    why = explain(make_engine(policy), body)
    closed = {c.item: c.closed.why for c in why.candidates if c.closed is not None}
    assert closed == {
        "item-10": "the user took items of its group (item-8, item-9) 2 times before, and 2 times "
        "is the limit",
        "item-21": "no item of its group may be shown",
        "item-2": "at most 1 members in a slate: item-6 above",
    }


def test_past_items_are_left_out_in_one_batch_as_one_by_one() -> None:
    policy = reranked(served(), MMR(VECTORS, 1.0))
    engine, past, items = (
        make_engine(policy),
        offer(9, 2, 20, 6),
        offer(1, 4, 8, 12, 16, 22, 25, 28),
    )
    model = policy.policy.score_model  # type: ignore[attr-defined]
    whole = explain(engine, {"history": past, "candidates": items})
    assert sorted(set(model.batches)) == [1, 1 + len(past)]
    slate = [p.item for p in whole.slate]
    first = {c.item: c.propensity for c in whole.candidates}
    base = logit_of(whole, 0)
    assert whole.influence is not None
    moved = [one.moved for one in whole.influence]
    assert moved == sorted(moved, reverse=True)
    assert {one.item: one.ago for one in whole.influence} == dict(
        zip(past, (4, 3, 2, 1), strict=True)
    )
    for one in whole.influence:
        rest = [item for item in past if item != one.item]
        there = explain(engine, {"history": rest, "candidates": items})
        logits = logit_of(there, 0)
        gap = np.mean([base[i] - logits[i] for i in items])
        want = [base[i] - logits[i] - gap for i in slate]
        assert [m.item for m in one.items] == slate
        assert [m.score for m in one.items] == pytest.approx(want)
        assert one.moved == pytest.approx(np.abs(want).mean())
        there_first = {c.item: c.propensity for c in there.candidates}
        assert [m.propensity for m in one.items] == pytest.approx(
            [first[i] - there_first[i] for i in slate]
        )


def test_a_history_that_the_log_does_not_give_is_said_and_nothing_is_left_out() -> None:
    engine = make_engine(served())
    decisions = play(engine)
    assert {d.history_version for d in decisions} >= {2, 3, 4}
    for decision in decisions:
        assert explain(engine, {"decision_id": decision.decision_id}).influence is not None
    lossy, lost = MemoryLog(), 0
    for entry in engine.events.read("memory"):
        if b'"outcome_id":"o4"' in entry.event:
            lost += 1
        else:
            lossy.append(entry.event)
    assert lost == 2
    why = explain(engine, {"decision_id": "r10"}, events=lossy)
    assert why.influence is None
    assert "the history that the event log gives is not the one that was seen" in why.notes[0]
    assert "it has version" in why.notes[0]
    assert "the parts are not those that decided" in why.notes[1]
    assert explain(engine, {"decision_id": "r3"}, events=lossy).influence is not None
    headless = MemoryLog()
    for entry in engine.events.read("memory"):
        if b'"decision_id":"r2"' not in entry.event:
            headless.append(entry.event)
    [first, *_] = explain(engine, {"decision_id": "r10"}, events=headless).notes
    assert "the first decision of its session is not in the event log" in first


def test_a_decision_of_another_version_wants_that_version() -> None:
    before = make_engine(served(temperature=2.0), version="v1")
    decision = play(before)[-1]
    now = make_engine(served(), before.events, version="v2")
    with pytest.raises(ContractError, match="decision_id 'r11' was decided by version 'v1' and"):
        explain(now, {"decision_id": decision.decision_id})

    def load(version: str) -> Policy:
        if version != "v1":
            raise ValueError("no such version")
        return before.policy

    there = explain(now, {"decision_id": decision.decision_id}, load=load)
    assert there == explain(before, {"decision_id": decision.decision_id})
    assert there.policy == "v1"
    third = make_engine(served(), MemoryLog(), version="v3")
    last = play(third)[-1]
    with pytest.raises(ContractError, match=r"version 'v3', which cannot be loaded: no such ver"):
        explain(now, {"decision_id": last.decision_id}, events=third.events, load=load)


def test_decisions_of_the_fallback_are_explained_as_such() -> None:
    engine = make_engine(constrained(served(), RECALLED, SHELF))
    decision = play(engine, 1, context=(-1.0,))[0]
    assert decision.fallback
    why = explain(engine, {"decision_id": decision.decision_id})
    assert (why.fallback, why.policy, why.influence) == (decision.fallback, "fallback", None)
    assert why.propensity == pytest.approx(decision.propensity)
    assert {c.logits for c in why.candidates} == {(0.0,)}
    assert "The fallback drew it, uniformly, because: RuntimeError: no such user." in why.text()


@pytest.mark.parametrize("escaped", [True, False])
def test_a_decision_is_found_however_its_id_is_written(escaped: bool) -> None:
    engine, log, odd = make_engine(served()), MemoryLog(), 'r "é\\ 日'
    engine.decide(
        Request(request_id=odd, user="ann", session="s", context=(0.0,), candidates=NAMES[:8])
    )
    for entry in engine.events.read("memory"):
        log.append(json.dumps(json.loads(entry.event), ensure_ascii=escaped).encode())
    assert explain(engine, {"decision_id": odd}, events=log).decision_id == odd


def test_retrieved_candidates_that_rules_closed_are_named() -> None:
    policy = constrained(served(), RECALLED, SEEN)
    engine = make_engine(policy, retrieval=TopVectors(VECTORS, C))
    closed = 0
    for decision in play(engine, candidates=None):
        why = explain(engine, {"decision_id": decision.decision_id})
        assert why.notes == ()
        assert len(why.candidates) == C
        closed += sum(c.closed is not None for c in why.candidates)
        open_ones = {c.item for c in why.candidates if c.closed is None}
        assert open_ones == {NAMES[i] for i in decision.candidates or () if i >= 0}
    assert closed > 0


def test_of_a_stored_user_and_without_any_effect() -> None:
    engine = make_engine(constrained(served(), RECALLED))
    last = play(engine)[-1]
    events, counts = len(list(engine.events.read("memory"))), dict(engine.counts)
    offered = {"candidates": offer(1, 2, 3, 5, 8)}
    body = {"user": "user 1", "context": [0.0]} | offered
    why = explain(engine, body)
    assert (why.about, why.notes) == ("user", ())
    assert len(why.history) == H
    assert explain(engine, {"decision_id": last.decision_id}).history == why.history
    assert explain(engine, json.dumps(body)) == why
    assert "no history is stored" in explain(engine, body | {"user": "nobody"}).notes[-1]
    assert len(list(engine.events.read("memory"))) == events
    assert dict(engine.counts) == counts
    [after] = engine.decide_many(
        [Request(request_id="next", user="user 1", session="s1", context=(0.0,), **offered)]
    )
    assert after.step == last.step + 1


def test_json_holds_everything_and_text_stays_short() -> None:
    policy = constrained(reranked(served(WHOLE), MMR(VECTORS, 0.5)), RECALLED, SEEN, SHELF)
    why = explain(make_engine(policy), {"history": offer(*range(0, 24, 2))})
    body = json.loads(json.dumps(why.to_json(), allow_nan=False))
    assert body["type"] == "explanation"
    assert len(body["candidates"]) == A
    assert len(body["influence"]) == H
    assert body["components"][0]["parts"] == ["encoder", "reward model", "re-ranking MMR"]
    text = why.text()
    assert len(text.splitlines()) <= 40
    assert "80.0% of slates, policy: logit = encoder + reward model + re-ranking MMR" in text
    assert "20.0% of slates, exploration" in text
    assert "re-ranking there" in text
    first, *below = (place["adjustment"] for place in body["slate"])
    assert first == 0.0, "there is nothing above"
    assert min(below) < 0.0, "a similar item stands above"
    rows = text.splitlines()
    table = rows[rows.index(next(r for r in rows if r.startswith("place"))) :][:4]
    assert len({len(row) for row in table}) == 1, "columns are aligned"
    assert len(why.text(top=2).splitlines()) < len(text.splitlines())
    empty = explain(make_engine(served()), {"history": [], "candidates": offer(1, 2)})
    assert empty.influence == ()
    assert "There is no past item that could have moved the scores." in empty.text()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "give exactly one of them"),
        (
            {"user": "a", "history": []},
            "history is one of 2 given of decision_id, user and history",
        ),
        ({"decision_id": "r0", "context": [0]}, "context is given: a decision has its own"),
        ({"decision_id": "nope"}, "decision_id 'nope' is not in the event log"),
        ({"decision_id": 7}, "decision_id is of type int; it must be a string"),
        ({"history": ["what"], "candidates": ["item-1"]}, "history has 1 items not in the catalog"),
        ({"history": "item-1"}, "history is a string; it must be a list"),
        ({"user": "a", "candidates": ["what"]}, "candidates has 1 items not in the catalogue"),
        ({"user": "a"}, "candidates is missing"),
        ({"user": "a", "candidates": ["item-1"], "context": [1, 2]}, "context has 2 numbers"),
        ({"users": "a"}, "'users' is no field of a question"),
        (b"[", "the body is no JSON"),
    ],
)
def test_bad_questions_are_named(body: Any, says: str) -> None:
    engine = make_engine(served())
    with pytest.raises(ContractError, match=says):
        explain(engine, body)

"""`explain`: why a user's slate, a typed history's, or one that was decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from policies.base import Policy
from policies.baselines.uniform import uniform
from policies.observation import Observation, check_same_world
from policies.rules.constrained import Constrained, left_by_rules
from serving.answers import rules_of
from serving.contracts.decisions import Decision
from serving.contracts.fields import (
    ContractError,
    check,
    from_json,
    many,
    maybe,
    number,
    of,
    text,
)
from serving.contracts.requests import Request
from serving.engine import Engine
from serving.events.log import EventReader
from serving.explaining.decided import Rebuilt, find_decision, rebuild_history
from serving.explaining.explanation import Explanation
from serving.explaining.influence import influence
from serving.explaining.scores import scores_of
from serving.hashes import rules_hash
from serving.live import FALLBACK

Load = Callable[[str], Policy]  # by version; raises ValueError for one that is not there
SAME = 1e-6  # relative difference of propensities that are the same
ASKED = "explanation"  # stands for a request's id, session, and the user of a typed history


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be explained: one of `decision_id`, `user` and `history`."""

    decision_id: str | None = of(maybe(text), None)
    user: str | None = of(maybe(text), None)
    history: tuple[str, ...] | None = of(maybe(many(text)), None)  # oldest first
    candidates: tuple[str, ...] | None = of(maybe(many(text)), None)
    context: tuple[float, ...] | None = of(maybe(many(number)), None)

    def __post_init__(self) -> None:
        check(self)
        given = [n for n in ("decision_id", "user", "history") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ContractError(
                f"{given[1] if given else 'decision_id'} is one of {len(given)} given of "
                "decision_id, user and history: give exactly one of them"
            )
        if self.decision_id is not None:
            for name in ("candidates", "context"):
                if getattr(self, name) is not None:
                    raise ContractError(f"{name} is given: a decision has its own; leave it out")


def explain(
    engine: Engine,
    body: bytes | str | Mapping[str, Any],
    *,
    events: EventReader | None = None,
    load: Load | None = None,
) -> Explanation:
    """Why the slate of a decision in the event log, or the likeliest slate of a user or of a typed
    history. Nothing is drawn, logged or remembered.

    body: the fields of `Question`, as JSON or a mapping.
    events: where decisions are looked up; the engine's own log by default.
    load: gives the policy of a version; without it, decisions of another version than the one that
        the engine serves are refused.

    Raises ContractError, which names the field, for a body that is no good, an unknown decision,
    and one of a version that cannot be had.
    """
    asked: Question = from_json(Question, body, "question")
    if asked.decision_id is not None:
        read = engine.events if events is None else events
        return _of_decision(engine, asked.decision_id, read, load)
    return _of_request(engine, asked)


def _of_request(engine: Engine, asked: Question) -> Explanation:
    size, notes = engine.serving.user_size, []
    context = asked.context
    if context is None and size:
        context = (0.0,) * size
        notes.append(f"no context was given: zeros stand for what it says ({size})")
    if asked.history and engine.serving.response_names:
        names = ", ".join(engine.serving.response_names)
        notes.append(f"responses to typed items are not known: {names} count as 0")
    request = Request(
        request_id=ASKED,
        user=asked.user or ASKED,
        session=ASKED,
        candidates=asked.candidates,
        context=context,
    )
    histories = None if asked.history is None else [asked.history]
    engine.catalogue.numbers("history", asked.history or ())
    look = engine.look([request], histories=histories)
    if asked.user is not None and not (look.obs.history_items >= 0).any():
        notes.append("no history is stored of this user")
    found = scores_of(look.policy, look.obs, None, look.names)
    return Explanation(
        about="user" if asked.history is None else "history",
        decision_id=None,
        time=None,
        policy=look.version,
        history=_history(look.obs, look.names),
        slate=found.places,
        propensity=found.propensity,
        logged_propensity=None,
        components=found.components,
        rules=found.rules,
        candidates=found.candidates,
        influence=influence(look.policy, look.obs, found.slate, look.names),
        fallback=None,
        notes=tuple(notes),
    )


def _of_decision(
    engine: Engine, decision_id: str, events: EventReader, load: Load | None
) -> Explanation:
    decision = find_decision(events, decision_id)
    if decision is None:
        raise ContractError(
            f"decision_id {decision_id!r} is not in the event log: it was never decided, its "
            "segment was removed, or its user was forgotten"
        )
    policy, names = _policy_of(engine, decision, load), engine.catalogue.names
    history = rebuild_history(events, decision, engine.serving)
    obs, notes = _observation(engine, policy, decision, history)
    found = scores_of(policy, obs, np.array([decision.slate], np.int32), names)
    if decision.rules != rules_hash(rules_of(policy)):
        notes.append("the decision was under other rules than those that are told of here")
    if history.wrong is not None:
        notes.append(
            f"the history that the event log gives is not the one that was seen: {history.wrong}. "
            "Scores are those of the history shown here; which items moved them is not told"
        )
    if not abs(found.propensity / decision.propensity - 1) <= SAME:
        notes.append(
            f"the policy gives the slate a propensity of {found.propensity:.6g} here, and logged "
            f"{decision.propensity:.6g}: the parts are not those that decided"
        )
    told = history.wrong is None and decision.fallback is None
    return Explanation(
        about="decision",
        decision_id=decision.decision_id,
        time=decision.time,
        policy=decision.policy,
        history=_history(obs, names),
        slate=found.places,
        propensity=found.propensity,
        logged_propensity=decision.propensity,
        components=found.components,
        rules=found.rules,
        candidates=found.candidates,
        influence=influence(policy, obs, found.slate, names) if told else None,
        fallback=decision.fallback,
        notes=tuple(notes),
    )


def _policy_of(engine: Engine, decision: Decision, load: Load | None) -> Policy:
    """What drew the decision."""
    shown = engine.served.shown
    if decision.policy == FALLBACK:
        own = next((one for one in shown if one.rules == decision.rules), shown[0])
        rules = own.answers.rules
        plain = uniform(engine.serving)
        return Constrained(plain, rules) if rules else plain
    for one in shown:
        files = {one.sha256, decision.policy_sha256} - {""}
        if decision.policy == one.version and len(files) < 2:
            return one.answers.policy
    if load is None:
        raise ContractError(
            f"decision_id {decision.decision_id!r} was decided by version {decision.policy!r} and "
            f"{engine.version!r} is served: its scores would be another policy's. Give the "
            "registry that holds the version"
        )
    try:
        policy = load(decision.policy)
    except ValueError as error:
        raise ContractError(
            f"decision_id {decision.decision_id!r} was decided by version {decision.policy!r}, "
            f"which cannot be loaded: {error}"
        ) from error
    check_same_world(policy.serving, engine.serving, f"version {decision.policy!r}")
    return policy


def _observation(
    engine: Engine, policy: Policy, decision: Decision, history: Rebuilt
) -> tuple[Observation, list[str]]:
    """What the policy saw, and what is not known of it: the log names no item that was closed."""
    serving = engine.serving
    obs = Observation(
        history_items=history.items[None],
        history_responses=history.responses[None],
        user=np.array([decision.context], np.float32).reshape(1, -1),
    )
    if decision.candidates is None:
        return obs, []
    logged = np.array([decision.candidates], np.int32)
    shown, candidates = logged >= 0, logged
    if serving.n_candidates is None:
        candidates = np.arange(serving.n_items, dtype=np.int32)[None]
    elif engine.retrieval is not None:
        found = engine.retrieval(obs.history_items)
        candidates = np.full_like(logged, -1)
        candidates[:, : found.shape[1]] = found
    named = serving.n_candidates is None or engine.retrieval is not None
    if named and (np.where(shown, candidates, -1) == logged).all():  # did rules close the rest?
        whole = obs if serving.n_candidates is None else replace(obs, candidates=candidates)
        whole = replace(whole, eligible=candidates >= 0)
        left = left_by_rules(policy.distribution(whole), whole, serving.n_items).eligible
        if left is not None and (left == shown).all():
            return whole, []
    if serving.n_candidates is not None:
        obs = replace(obs, candidates=logged)
    lost = int((~shown).sum())
    note = f"{lost} places of the offer are empty or were closed: the log does not name them"
    return replace(obs, eligible=shown), [note] if lost else []


def _history(obs: Observation, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names[item] for item in obs.history_items[0].tolist() if item >= 0)

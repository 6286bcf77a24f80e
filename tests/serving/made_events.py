"""Decisions and outcomes as events, without an engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving import Decision, OutcomeEvent
from serving.hashes import history_hash
from serving.joining.rule import JoinRule, Shape

SHAPE = Shape(n_items=9, slate_size=2, history_length=3, responses=1)
RULE = JoinRule(
    window=10.0, windows={"bought": 100.0}, reward={"taken": 1.0, "bought": 5.0, "liked": 0.5},
    idle=50.0,
)  # fmt: skip


def seen(*items: int) -> str:
    """The hash of a history whose responses are all 1."""
    return history_hash(np.array(items, np.int32), np.ones((len(items), 1), np.float32))


def decision(at: float = 0.0, session: str = "s", step: int = 0, **changed: Any) -> Decision:
    given = {
        "decision_id": f"{session}{step}", "time": at, "user": f"u{session}", "session": session,
        "began": f"{session}0", "step": step, "slate": (1, 2), "items": ("a", "b"),
        "propensity": 0.25, "position_propensity": (0.5, 0.5), "candidates": (1, 2, 3),
        "candidate_propensity": (0.5, 0.25, 0.25), "context": (0.5,), "policy": "p@1",
        "rules": "00", "history_version": 0, "history_hash": seen(), "history_age": None,
        "prior_items": (), "prior_responses": (), "unknown_items": 0, "fallback": None,
        "worked_ms": 1.0,
    }  # fmt: skip
    return Decision(**given | changed)


def outcome(kind: str, of: Decision, after: float = 1.0, **changed: Any) -> OutcomeEvent:
    item = None if kind in ("terminated", "truncated") else 2
    given = {
        "outcome_id": f"{of.decision_id} {kind}", "decision_id": of.decision_id, "user": of.user,
        "kind": kind, "item": item, "value": 1.0, "client_time": None, "time": of.time + after,
        "responses": (1.0,) if kind == "taken" else (),
    }  # fmt: skip
    return OutcomeEvent(**given | changed)

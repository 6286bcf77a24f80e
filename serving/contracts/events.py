"""An event of the log: a decision, an outcome, a start, a shadow's, or what is left of one."""

from __future__ import annotations

from dataclasses import dataclass

from serving.contracts.decisions import Decision
from serving.contracts.fields import ContractError, parse_json
from serving.contracts.outcomes import OutcomeEvent
from serving.contracts.shadows import ShadowEvent
from serving.contracts.starts import Start


@dataclass(frozen=True, slots=True)
class Removed:
    """An event that was erased."""


def read_event(event: bytes) -> Decision | OutcomeEvent | Start | ShadowEvent | Removed:
    """What an engine wrote; ContractError, which names the field, for anything else."""
    body = parse_json(event)
    kind = body.get("type")
    if kind == "decision":
        return Decision.from_json(body)
    if kind == "outcome_event":
        return OutcomeEvent.from_json(body)
    if kind == "start":
        return Start.from_json(body)
    if kind == "shadow":
        return ShadowEvent.from_json(body)
    if kind == "removed":
        return Removed()
    raise ContractError(
        f"type is {kind!r}; an event is a decision, an outcome_event, a start, a shadow, or removed"
    )

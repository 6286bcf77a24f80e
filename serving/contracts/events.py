"""An event of the log: a decision or an outcome."""

from __future__ import annotations

from serving.contracts.decisions import Decision
from serving.contracts.fields import ContractError, parse_json
from serving.contracts.outcomes import OutcomeEvent


def read_event(event: bytes) -> Decision | OutcomeEvent:
    """What an engine wrote; ContractError, which names the field, for anything else."""
    body = parse_json(event)
    if body.get("type") == "decision":
        return Decision.from_json(body)
    if body.get("type") == "outcome_event":
        return OutcomeEvent.from_json(body)
    raise ContractError(f"type is {body.get('type')!r}; an event is a decision or outcome_event")

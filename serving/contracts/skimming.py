"""Events read for what sessions need of them: a tenth of the time of reading all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.fields import SCHEMA
from serving.contracts.outcomes import OutcomeEvent

HEAD = '{"schema":%d,"type":"%s",'  # how an event begins


@dataclass(slots=True)
class Opened:
    """Of a decision."""

    decision_id: str
    time: float
    user: str
    session: str
    began: str
    step: int
    prior_items: tuple[int, ...]
    prior_responses: tuple[tuple[float, ...], ...]


@dataclass(slots=True)
class Reported:
    """Of an outcome."""

    decision_id: str
    time: float
    user: str
    kind: str
    item: int | None
    responses: tuple[float, ...]


KINDS: dict[bytes, type[Any]] = {
    (HEAD % (SCHEMA, "decision")).encode(): Opened,
    (HEAD % (SCHEMA, "outcome_event")).encode(): Reported,
}


def skim(event: bytes) -> Opened | Reported | None:
    """What sessions need of a decision or outcome; None for other events. Only these fields are
    checked where msgspec is installed, and all of the event where it is not.

    Raises ContractError, which names the field.
    """
    for head, decode in _decoders().items():
        if event.startswith(head):
            try:
                found: Opened | Reported = decode(event)
            except ValueError:  # say more of it
                break
            return found
    return _of(read_event(event))


def _of(event: object) -> Opened | Reported | None:
    if isinstance(event, Decision):
        return Opened(*(getattr(event, name) for name in Opened.__dataclass_fields__))
    if isinstance(event, OutcomeEvent):
        return Reported(*(getattr(event, name) for name in Reported.__dataclass_fields__))
    return None


@cache
def _decoders() -> dict[bytes, Callable[[bytes], Any]]:
    try:
        from msgspec.json import Decoder
    except ImportError:
        return {}
    return {head: Decoder(kind).decode for head, kind in KINDS.items()}

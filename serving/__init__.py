"""Live: a policy answers requests, and what it decided and what came of it is one log."""

from serving.catalogue import Catalogue
from serving.contracts.decisions import Decision
from serving.contracts.fields import ContractError
from serving.contracts.outcomes import Outcome, OutcomeEvent
from serving.contracts.requests import Request
from serving.engine import Engine
from serving.events.log import Entry, EventLog, EventLogError
from serving.events.memory import MemoryLog
from serving.events.segments import SegmentLog
from serving.retrieval import Retrieval, TopVectors
from serving.sessions.memory import MemorySessions
from serving.sessions.store import SessionStore

__all__ = [
    "Catalogue",
    "ContractError",
    "Decision",
    "Engine",
    "Entry",
    "EventLog",
    "EventLogError",
    "MemoryLog",
    "MemorySessions",
    "Outcome",
    "OutcomeEvent",
    "Request",
    "Retrieval",
    "SegmentLog",
    "SessionStore",
    "TopVectors",
]

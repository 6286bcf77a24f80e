"""Live: a policy answers requests, and what it decided and what came of it is one log."""

from serving.catalogue import Catalogue
from serving.contracts.decisions import Decision
from serving.contracts.fields import ContractError
from serving.contracts.outcomes import Outcome, OutcomeEvent
from serving.contracts.requests import Request
from serving.contracts.shadows import ShadowEvent
from serving.engine import Engine
from serving.events.log import Entry, EventLog, EventLogError
from serving.events.memory import MemoryLog
from serving.events.segments import SegmentLog
from serving.explaining.explain import explain
from serving.explaining.explanation import Explanation
from serving.joining.join import Joined, join
from serving.joining.rule import JoinRule, Shape
from serving.joining.stream import join_log
from serving.registry.loading import Release
from serving.registry.opening import open_engine
from serving.registry.registry import Registry
from serving.registry.watching import Watcher
from serving.retrieval import Retrieval, TopVectors
from serving.sessions.memory import MemorySessions
from serving.sessions.replay import replay
from serving.sessions.store import SessionStore

__all__ = [
    "Catalogue",
    "ContractError",
    "Decision",
    "Engine",
    "Entry",
    "EventLog",
    "EventLogError",
    "Explanation",
    "JoinRule",
    "Joined",
    "MemoryLog",
    "MemorySessions",
    "Outcome",
    "OutcomeEvent",
    "Registry",
    "Release",
    "Request",
    "Retrieval",
    "SegmentLog",
    "SessionStore",
    "ShadowEvent",
    "Shape",
    "TopVectors",
    "Watcher",
    "explain",
    "join",
    "join_log",
    "open_engine",
    "replay",
]

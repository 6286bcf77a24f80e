"""Versions by their content, one pointer, and a history of who changed it."""

from __future__ import annotations

from pathlib import Path

from serving import MemoryLog, Registry, Request, open_engine
from tests.serving.factories import SECRET
from tests.serving.registry.factories import CATALOGUE, make_registry, saved


def test_a_policy_is_added_promoted_and_served(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    version = registry.add(saved(tmp_path), catalogue=CATALOGUE, note="first")
    assert registry.add(saved(tmp_path), catalogue=CATALOGUE) == version
    registry.promote(version, by="ann", why="the first one")
    engine = open_engine(registry, MemoryLog())
    decision = engine.decide(Request(request_id="r", user="u", session="s", context=(0.0,)))
    assert decision.policy == version
    assert decision.fallback is None
    assert len(decision.items) == 3
    assert [c.by for c in registry.history()] == ["ann"]


def test_rollback(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    registry.promote(a)
    registry.promote(b)
    assert registry.rollback(by="bob").live == a
    assert registry.secret() == registry.secret() != SECRET

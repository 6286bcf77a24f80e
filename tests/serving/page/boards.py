"""The shop in the middle of a rollout whose canary falls back too often."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from serving import Request
from serving.http.service import Service
from serving.registry.pointer import Pointer
from serving.rollout.journal import Journal
from serving.signals.board import board_of
from tests.serving.page.factories import shop
from tests.serving.signals.factories import MADE, RECORD, STATE


def board_shop(folder: Path, **settings: Any) -> Service:
    """A service whose status has a board; `folder` holds the rollout's journal."""
    journal = Journal(folder)
    now = time.time()
    state = replace(STATE, since=now - 7_200, looked=now - 40)
    journal.commit(journal.keep(replace(RECORD, steps=6)), replace(MADE, time=now, state=state))
    registry: Any = SimpleNamespace(
        folder=folder,
        pointer=lambda: Pointer(
            live="likes@7",
            canary="likes@8",
            previous="likes@6",
            weight=0.05,
            salt="salt",
            rollout=RECORD.rollout,
        ),
        versions=lambda: [SimpleNamespace(version=f"likes@{i}") for i in (6, 7, 8)],
    )
    service = shop(
        status=lambda: {"board": board_of(service.metrics, registry)},  # type: ignore[arg-type]
        **settings,
    )
    asked = [Request(request_id=f"b{i}", user=f"user {i}", session="s") for i in range(500)]
    for i, one in enumerate(service.engine.decide_many(asked)):
        arm = {"arm": "control", "policy_sha256": "7"}
        if i % 2:
            arm = {"arm": "canary", "policy": "likes@8", "policy_sha256": "8"}
        if i % 8 == 3:
            arm |= {"policy": "fallback", "fallback": "deadline"}
        assert service.metrics is not None
        service.metrics.decided([replace(one, **arm)])  # type: ignore[arg-type]
    return service

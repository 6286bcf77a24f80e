"""The board's part of /status, over a real registry and its server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from serving import Request
from serving.arms import arm_point
from serving.http.opening import open_service
from serving.keys import Keys
from serving.rollout.journal import STATE as FILE
from serving.rollout.journal import Journal
from serving.rollout.window import Mean
from tests.serving.registry.factories import SERVING, C, make_registry
from tests.serving.signals.factories import MADE, RECORD

USERS = 60


def test_arms_versions_and_rollout_of_a_server(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    registry.promote(a)
    registry.canary(b, weight=0.5, rollout=RECORD.rollout, salt="salt")
    service = open_service(registry, str(tmp_path / "events"), poll=30.0)
    try:
        metrics: Any = service.metrics
        metrics.decided(service.engine.decide_many([_request(i) for i in range(USERS)]))
        keys = Keys(registry.secret())
        points = [arm_point("salt", keys.user(f"u{i}")) for i in range(USERS)]
        n = sum(point < 0.5 for point in points)
        board = service.status()["board"]
        arms = {(one["arm"], one["version"]): one["slis"] for one in board["arms"]}
        assert {arm: slis["logged"]["n"] for arm, slis in arms.items()} == {
            ("canary", b): n, ("control", a): USERS - n,
        }  # fmt: skip
        assert board["rollout"] is None
        roles = {one["version"]: one["roles"] for one in board["versions"]}
        assert roles == {a: ["live"], b: ["canary"]}
        series = f'longplay_decisions_total{{arm="canary",logged="true",version="{b}"}} {n:.1f}'
        assert series in metrics.text().decode()
        journal = Journal(registry.folder)
        journal.commit(journal.keep(RECORD), MADE)
        board = service.status()["board"]
        assert board["rollout"]["reason"] == RECORD.state.reason
        assert board["rollout"]["slis"]["uplift/reward"]["value"] == 0.21
        assert "LongplayUplift" in [one["name"] for one in board["alarms"]]
        assert MADE.window is not None
        fell = replace(MADE.window.canary, mean=Mean(value=2.2, low=2.0, high=2.4, users=210))
        later = replace(MADE, nth=8, time=MADE.time + 86_400.0)
        journal.commit(RECORD, replace(later, window=replace(MADE.window, canary=fell)))
        told = [one for one in service.status()["board"]["alarms"] if one["measure"] == "M4"]
        assert [(one["name"], one["about"]) for one in told] == [
            ("LongplaySessionReward", "canary")
        ]
        (registry.folder / FILE).write_text("{")
        assert "is damaged" in service.status()["board"]["rollout"]["error"]
    finally:
        service.stop()


def _request(i: int) -> Request:
    return Request(
        request_id=f"r{i}", user=f"u{i}", session="s", context=(0.0,) * SERVING.user_size,
        candidates=tuple(f"item-{(i + j) % 24}" for j in range(C)),
    )  # fmt: skip

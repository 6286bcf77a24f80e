"""A small shop of records that is served: its engine, its service, and a browser to look at it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from policies import (
    Banned,
    Cap,
    Exploration,
    Observation,
    Quota,
    Repeats,
    ScorePolicy,
    Serving,
    constrained,
)
from serving import Catalogue, Engine, MemoryLog, Outcome, Request
from serving.explaining.explain import explain
from serving.http.limits import Limits
from serving.http.service import Service
from serving.metrics.metrics import Metrics
from serving.metrics.state import State
from serving.page.files import page_files
from tests.factories import make_serving
from tests.serving.factories import SECRET
from tests.serving.servers import missing

MOODS = ("Amber", "Blue", "Distant", "Electric", "Golden", "Hollow", "Quiet", "Silver")
THINGS = ("Harbour", "Letters", "Orchard", "Rooms", "Signals", "Summer", "Tides", "Winter")
NAMES = [f"{mood} {thing}" for thing in THINGS for mood in MOODS]
A, K, H = len(NAMES), 5, 8
SERVING = make_serving(A, slate_size=K, history_length=H, user_size=0)
CHROMIUM = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass
class Likes:
    """Likes what has a word in common with what was taken, lately the more, and some items."""

    serving: Serving = SERVING

    def parts(self, obs: Observation) -> dict[str, np.ndarray]:
        ids = np.arange(A)
        past = obs.history_items[:, :, None]
        alike = (past % 8 == ids % 8) * 1.0 + (past // 8 == ids // 8) * 0.7
        recent = 0.8 ** np.arange(H)[::-1] * (obs.history_items >= 0)
        popular = np.random.default_rng(4).normal(0, 0.4, A) + np.zeros((len(obs), 1))
        return {"encoder": (recent[:, :, None] * alike).sum(axis=1), "popularity": popular}

    def scores(self, obs: Observation) -> np.ndarray:
        total: np.ndarray = sum(self.parts(obs).values())  # type: ignore[assignment]
        return total

    def update(self, log: Any) -> dict[str, float]:
        return {}


RULES = (
    Banned("recalled", np.isin(np.arange(A), [3, 17])),
    Repeats("already taken", np.arange(A, dtype=np.int32)),
    Cap("two of a kind", np.arange(A, dtype=np.int32) // 8, most=2),
    Quota("one that is new", np.arange(A) % 5 == 0, least=1),
)


def shop(**settings: Any) -> Service:
    """A service with everything that the page reads; it has answered 300 requests."""
    policy = constrained(ScorePolicy(Likes(), Exploration(temperature=0.5, epsilon=0.05)), *RULES)
    engine = Engine(
        policy, Catalogue(NAMES), version="likes@7", sha256="9f2c41d07be5" + "0" * 52,
        secret=SECRET, events=MemoryLog(),
    )  # fmt: skip
    metrics = Metrics()
    metrics.under(RULES)
    metrics.state = lambda: State(policy=engine.version)
    rng = np.random.default_rng(1)
    for i in range(300):
        asked = Request(request_id=f"r{i}", user=f"user {i % 40}", session="s")
        decision = engine.decide_many([asked], waited_ms=[float(rng.exponential(3))])[0]
        metrics.decided([decision])
        if i % 3 == 0:
            taken = {"item": decision.items[0], "responses": {"click": 1.0}}
            outcome = Outcome(
                outcome_id=f"o{i}", decision_id=f"r{i}", user=asked.user, kind="taken", **taken
            )
            engine.outcome(outcome)
            metrics.outcomes([outcome])
    return Service(
        engine,
        limits=Limits(deadline_ms=1e6, longest_deadline_ms=1e6, user_requests=1e6),
        metrics=metrics,
        explain=lambda body: explain(engine, body).to_json(),
        page=page_files(),
        **settings,
    )


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        missing("there is no chromium on PATH: apt-get install chromium")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*CHROMIUM])
        try:
            yield browser
        finally:
            browser.close()

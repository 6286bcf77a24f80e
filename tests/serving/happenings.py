"""Events of users whose sessions are restored, and what a store then knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from serving import Decision, MemoryLog, MemorySessions, OutcomeEvent
from serving.contracts.starts import Start
from serving.events.log import REMOVED
from serving.sessions.restoring import Restored, restore

USERS = 40


def decision(n: int, user: int, step: int, began: int, **fields: Any) -> Decision:
    """The n-th event; a session's first one brings a history of two items."""
    known: dict[str, Any] = {
        "decision_id": f"d{n}",
        "time": 100.0 + n // 3,  # batches of three
        "user": f"u{user}",
        "session": f"s{user}",
        "began": f"d{began}",
        "step": step,
        "slate": (1, 2),
        "items": ("one", "two"),
        "propensity": 0.25,
        "position_propensity": (0.5, 0.5),
        "candidates": (1, 2, 3),
        "candidate_propensity": (0.5, 0.25, 0.25),
        "context": (),
        "policy": "p",
        "rules": "r",
        "history_version": 0,
        "history_hash": "h",
        "history_age": None,
        "prior_items": () if step else (user, 3),
        "prior_responses": () if step else ((1.0, 0.5), (0.0, 2.0)),
        "unknown_items": 0,
        "fallback": None,
        "worked_ms": 1.0,
    }
    return Decision(**known | fields)


def taken(n: int, user: int, of: int) -> OutcomeEvent:
    return OutcomeEvent(
        outcome_id=f"o{n}",
        decision_id=f"d{of}",
        user=f"u{user}",
        kind="taken" if n % 5 else "liked",
        item=n % 7,
        value=1.0,
        responses=(1.0, n / 8) if n % 5 else (),
        client_time=None,
        time=100.0 + n // 3,
    )


def happened(n_events: int, seed: int = 0) -> Iterator[bytes]:
    """Decisions and outcomes of users, with starts and events that were erased between them."""
    rng = np.random.default_rng(seed)
    steps, began, last = dict[int, int](), dict[int, int](), dict[int, int]()
    for n in range(n_events):
        user = int(rng.integers(USERS))
        if n % 101 == 0:
            yield Start(
                time=100.0 + n // 3, policy="p", policy_sha256="", rules="r", n_items=9,
                slate_size=2, history_length=4, response_names=("a", "b"), item_names=None,
                max_steps=None,
            ).to_json()  # fmt: skip
        elif n % 37 == 0:
            yield REMOVED
        elif user in last and rng.random() < 0.4:
            yield taken(n, user, last[user]).to_json()
        else:
            if user not in steps or rng.random() < 0.1:
                steps[user], began[user] = -1, n
            steps[user] += 1
            last[user] = n
            yield decision(n, user, steps[user], began[user]).to_json()


def known(store: MemorySessions) -> dict[str, Any]:
    """All that a store remembers, in its order."""
    return {
        name: (
            user.items.tolist(), user.responses.tolist(), user.version, user.touched, user.updated,
            [(key, s.began, s.last, s.steps, s.of_request) for key, s in user.sessions.items()],
            [*user.taken],
        )
        for name, user in store._users.items()
    }  # fmt: skip


def restored(log: Any, **settings: Any) -> tuple[Restored, MemorySessions]:
    store = MemorySessions(ttl=1e9)
    given = {"responses": 2, "since": 0.0, "seconds": 1e9}
    return restore(log, store, **given | settings), store


def filled(events: list[bytes]) -> MemoryLog:
    log = MemoryLog()
    log.events = events
    return log

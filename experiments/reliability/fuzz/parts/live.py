"""Serving: contracts, engine, join, retrieval, rollout rules and the registry's doors."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, Made
from experiments.reliability.fuzz.parts.material import FEATURES, A, H, U, learned
from policies import save
from serving import (
    Catalogue,
    Engine,
    EventLogError,
    JoinRule,
    MemoryLog,
    MemorySessions,
    Outcome,
    Registry,
    Request,
    Shape,
    TopVectors,
    explain,
    join,
)
from serving.contracts.events import read_event
from serving.joining.rule import UserCap
from serving.rollout.rule import RolloutRule

SECRET = b"sixteen bytes or more"
NAMES = tuple(f"item {i}" for i in range(A))
KEPT = (EventLogError,)


def targets() -> list[Target]:
    """Doors of the live side."""
    return [*_contracts(), *_engine(), *_records(), *_registry()]


def request_body(rng: Generator) -> Arguments:
    """Of a valid request, as JSON has it."""
    return {
        "request_id": "r1",
        "user": "ann",
        "session": "s1",
        "context": rng.normal(size=U).tolist(),
        "candidates": [NAMES[i] for i in rng.permutation(A)[:6]],
        "history": list(NAMES[:2]),
        "deadline_ms": 50.0,
    }


def outcome_body(rng: Generator) -> Arguments:
    """Of a valid outcome."""
    return {
        "outcome_id": "o1",
        "decision_id": "r1",
        "user": "ann",
        "kind": "taken",
        "item": NAMES[0],
        "value": 1.0,
        "responses": {"quality": 0.5},
        "client_time": 3.0,
    }


def engine(name: str = "top_rated", **more: Any) -> Engine:
    """An engine with a clock that ticks."""
    ticks = itertools.count(1_000)
    given: Arguments = {"version": "v1", "secret": SECRET, "events": MemoryLog()}
    given |= {"clock": lambda: float(next(ticks))} | more
    return Engine(learned(name, whole=False), Catalogue(NAMES), **given)


def _contracts() -> list[Target]:
    def body(make: Any) -> Any:
        return lambda rng: {"body": make(rng)}

    def event(rng: Generator) -> Arguments:
        raw = bytearray(_events()[int(rng.integers(2))])
        for _ in range(int(rng.integers(3))):
            raw[int(rng.integers(len(raw)))] = int(rng.integers(256))
        return {
            "event": bytes(raw[: int(rng.integers(len(raw))) + 1 if rng.random() < 0.3 else None])
        }

    return [
        Target(name="Request.from_json", given=body(request_body), call=Request.from_json),
        Target(name="Outcome.from_json", given=body(outcome_body), call=Outcome.from_json),
        Target(name="Request", given=request_body, call=Request),
        Target(name="Outcome", given=outcome_body, call=Outcome),
        Target(name="read_event", given=event, call=read_event),
    ]


@cache
def _events() -> tuple[bytes, bytes]:
    one = engine()
    rng = np.random.default_rng(0)
    one.decide(Request.from_json(request_body(rng)))
    one.outcome(Outcome.from_json(outcome_body(rng)))
    first, second = [entry.event for w in one.events.writers() for entry in one.events.read(w)][:2]
    return first, second


def _engine() -> list[Target]:
    """Decisions and outcomes of an engine."""
    return [
        Target(
            name="Engine.decide",
            given=lambda rng: {"body": request_body(rng)},
            call=_decide,
            check=_shown,
            refusals=KEPT,
        ),
        Target(name="Engine.decide_many", given=_two, call=_decide_many, refusals=KEPT),
        Target(
            name="Engine.outcome",
            call=_follow,
            check=_shown,
            refusals=KEPT,
            given=lambda rng: {"body": request_body(rng), "outcome": outcome_body(rng)},
        ),
        Target(name="Engine", given=_built, call=engine),
        Target(
            name="explain",
            call=lambda body: explain(engine(), body),
            given=lambda rng: {
                "body": {
                    "history": list(NAMES[:3]),
                    "candidates": list(NAMES[:6]),
                    "context": [0.0, 0.0],
                    "top": 3,
                }
            },
        ),
    ]


def _decide(body: Any) -> Any:
    return engine().decide(Request.from_json(body))


def _decide_many(bodies: Any, waited_ms: Any, late: Any) -> Any:
    requests = [Request.from_json(body) for body in bodies]
    return engine().decide_many(requests, waited_ms=waited_ms, late=late)


def _follow(body: Any, outcome: Any) -> Any:
    one = engine("linucb")
    one.decide(Request.from_json(body))
    one.outcome(Outcome.from_json(outcome))
    return one.decide(Request.from_json({**body, "request_id": "r2"}))


def _built(rng: Generator) -> Arguments:
    return {
        "version": "v1",
        "secret": SECRET,
        "fallback": NAMES[:4],
        "tables": True,
        "remembered": 8,
        "sha256": "",
    }


def _shown(d: Any) -> str | None:
    fine = set(d.slate) <= set(range(A)) and 0 < d.propensity <= 1
    return None if fine else f"{d.slate} with {d.propensity}"


def _two(rng: Generator) -> Arguments:
    bodies = [request_body(rng), request_body(rng) | {"request_id": "r2", "session": "s2"}]
    return {"bodies": bodies, "waited_ms": [0.0, 1.0], "late": [False, True]}


def _records() -> list[Target]:
    def joined(rng: Generator) -> Arguments:
        rule = {
            "window": 600.0,
            "windows": {"liked": 60.0},
            "reward": {"taken": 1.0},
            "idle": 1800.0,
            "idle_end": "truncated",
            "cap": Made(UserCap, {"reward": 3.0, "decisions": 4}),
        }
        shape = {
            "n_items": A,
            "slate_size": 2,
            "history_length": H,
            "responses": 1,
            "max_steps": 9,
            "keep_candidates": True,
        }
        return {"rule": Made(JoinRule, rule), "shape": Made(Shape, shape), "now": 1e9}

    def joins(rule: Any, shape: Any, now: Any) -> Any:
        decision, outcome = map(read_event, _events())
        return join([decision], [outcome], rule, shape, now=now)  # type: ignore[list-item]

    def rollout(rng: Generator) -> Arguments:
        return {
            "stages": (0.1, 0.5, 1.0),
            "metric": "reward",
            "margin": 0.05,
            "level": 0.95,
            "least_users": 10,
            "per": "user",
            "p99_ms": 100.0,
        }

    def vectors(rng: Generator) -> Arguments:
        return {
            "vectors": FEATURES,
            "k": 4,
            "recent": 3,
            "histories": rng.integers(-1, A, (2, H)).astype(np.int32),
        }

    def nearest(vectors: Any, k: Any, recent: Any, histories: Any) -> Any:
        return TopVectors(vectors, k, recent=recent)(histories)

    def entry(rng: Generator) -> Arguments:
        return {"ttl": 60.0, "most": 10, "length": 4, "idle": 30.0}

    return [
        Target(name="join", given=joined, call=joins),
        Target(name="RolloutRule", given=rollout, call=RolloutRule),
        Target(name="TopVectors", given=vectors, call=nearest),
        Target(name="MemorySessions", given=entry, call=MemorySessions),
        Target(name="Catalogue", given=lambda rng: {"names": list(NAMES)}, call=Catalogue),
    ]


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _registry() -> list[Target]:
    def added(note: Any, by: Any, retrieval: Any, names: Any) -> Any:
        with _folder() as folder:
            save(learned("popularity", whole=False), folder / "saved")
            registry = Registry(folder / "registry")
            catalogue = Catalogue(names)
            return registry.add(
                folder / "saved", note=note, by=by, retrieval=retrieval, catalogue=catalogue
            )

    def found(version: Any, why: Any) -> Any:
        with _folder() as folder:
            save(learned("popularity", whole=False), folder / "saved")
            registry = Registry(folder / "registry")
            registry.add(folder / "saved")
            return registry.promote(version, why=why)

    return [
        Target(
            name="Registry.add",
            call=added,
            given=lambda rng: {
                "note": "a note",
                "by": "ann",
                "retrieval": "features",
                "names": list(NAMES),
            },
        ),
        Target(
            name="Registry.promote",
            call=found,
            given=lambda rng: {"version": "popularity", "why": "it is better"},
        ),
    ]

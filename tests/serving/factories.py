"""What tests of the live side build: keys, catalogues, logs, and a simulator that is served."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.live.users.messages import happened_in, outcomes_of, request_of
from offpolicy import LoggedDataset
from policies import Policy
from policies.slates.row_streams import RowStreams
from serving import (
    Catalogue,
    Decision,
    Engine,
    EventLog,
    MemoryLog,
    MemorySessions,
    OutcomeEvent,
    SegmentLog,
    SessionStore,
    replay,
)
from serving.contracts.events import read_event
from serving.events.nats import NatsLog
from serving.events.redis_streams import RedisLog
from serving.keys import Keys
from serving.sessions.redis import RedisSessions
from tests.serving.servers import shared

SECRET = b"sixteen bytes or more"
VERSION = "policy@1"

EVENT_LOGS: dict[str, Callable[[Path], EventLog]] = {  # each passes the contract of event logs
    "memory": lambda folder: MemoryLog(),
    "segments": lambda folder: SegmentLog(folder / "events", segment_bytes=100_000),
    "redis": lambda folder: RedisLog(shared("redis").url()),
    "nats": lambda folder: NatsLog(shared("nats").url()),
}

SESSION_STORES: dict[str, Callable[..., SessionStore]] = {  # the same of session stores
    "memory": MemorySessions,
    "redis": lambda **limits: RedisSessions(shared("redis").url(), **limits),
}


def names_of(n_items: int) -> list[str]:
    """The caller's ids of items."""
    return [f"item-{i}" for i in range(n_items)]


def make_engine(policy: Policy, events: EventLog | None = None, **settings: Any) -> Engine:
    """An engine of a version, with a clock that ticks once a second, whenever it is read."""
    ticks = itertools.count(1_000)
    given = {
        "version": VERSION,
        "secret": SECRET,
        "events": MemoryLog() if events is None else events,
        "clock": lambda: float(next(ticks)),
    }
    return Engine(policy, Catalogue(names_of(policy.serving.n_items)), **given | settings)


def events_of(log: EventLog) -> tuple[list[Decision], list[OutcomeEvent]]:
    """Everything that a log holds."""
    events = [read_event(e.event) for writer in log.writers() for e in log.read(writer)]
    decisions = [event for event in events if isinstance(event, Decision)]
    return decisions, [event for event in events if isinstance(event, OutcomeEvent)]


def request_id(slot: int, nth: int, step: int) -> str:
    """Of a decision of the simulator: session `nth` of a slot."""
    return f"{slot}/{nth}/{step}"


def keyed_draws(started: np.ndarray, step: np.ndarray) -> RowStreams:
    """For `collect`: the draws of an engine that gets the same requests."""
    ids = [
        request_id(i, int(n), int(s)) for i, (n, s) in enumerate(zip(started, step, strict=True))
    ]
    return RowStreams(Keys(SECRET).draws(VERSION, ids))


def collected_by_name(log: LoggedDataset, sessions_per_slot: int) -> LoggedDataset:
    """A log of `collect` with `keyed_draws` under the caller's names: sessions in the order in
    which they began, those of a moment by their keys."""
    keys, slots = Keys(SECRET), log.n_sessions // sessions_per_slot
    slot, nth = np.divmod(log.sessions, sessions_per_slot)
    length = np.bincount(log.sessions).reshape(slots, sessions_per_slot)
    began = (np.cumsum(length, axis=1) - length)[slot, nth]
    users = [f"user {i}/{n}" for i, n in zip(slot, nth, strict=True)]
    began_as = [request_id(int(i), int(n), 0) for i, n in zip(slot, nth, strict=True)]
    named = zip(users, began_as, strict=True)
    sessions = np.array([f"{keys.session(user, 'a session')}/{first}" for user, first in named])
    order = np.lexsort((log.step, sessions, began))
    columns = {k: v[order] for k, v in log.columns().items() if k not in ("session", "user")}
    return LoggedDataset.from_columns(
        session=sessions[order],
        user=np.array([keys.user(user) for user in users])[order],
        n_items=log.n_items,
        item_names=names_of(log.n_items),
        **columns,
    )


def play(
    env: Any,
    engine: Engine,
    *,
    sessions_per_slot: int,
    seed: int,
    restart_at: int | None = None,
    new_sessions: Callable[[], SessionStore] = MemorySessions,
) -> None:
    """Serve a simulator's users by an engine, as `collect` serves them by the engine's policy: in
    batches of several sizes, and with an outcome for whatever happened. A step takes a second.
    Every third batch is sent again, as if its answers had been lost; at step `restart_at` all that
    the engine knows of sessions is lost, and read back from its event log into new ones."""
    names, reads = engine.catalogue.names, engine.serving.response_names
    now = itertools.count()
    env_seed, _ = np.random.SeedSequence(seed).spawn(2)
    obs, _ = env.reset(seed=int(env_seed.generate_state(1)[0]))
    started, step = np.zeros(env.num_envs, int), np.zeros(env.num_envs, int)
    sizes, batches = itertools.cycle((1, 5, 2, env.num_envs)), itertools.count()
    while (started < sessions_per_slot).any():
        live = np.flatnonzero(started < sessions_per_slot).tolist()
        at = next(now)
        engine.clock = float(at).__float__
        if at == restart_at:
            engine.sessions = new_sessions()
            replay(engine.events, engine.sessions, responses=len(engine.serving.response_names))
        action = np.tile(np.arange(engine.serving.slate_size), (env.num_envs, 1))
        decisions: dict[int, Decision] = {}
        while live:
            size = next(sizes)
            batch, live = live[:size], live[size:]
            requests = [
                request_of(
                    request_id(i, started[i], step[i]),
                    f"user {i}/{started[i]}",
                    "a session",
                    obs,
                    i,
                    names,
                )
                for i in batch
            ]
            decisions |= zip(batch, engine.decide_many(requests), strict=True)
            if next(batches) % 3 == 0:
                again = engine.decide_many(requests)
                assert [d.slate for d in again] == [decisions[i].slate for i in batch]
        for i, decision in decisions.items():
            offer = obs["candidates"][i].tolist()
            action[i] = [offer.index(item) for item in decision.slate]
        obs, _, terminated, truncated, info = env.step(action)
        for i, decision in decisions.items():
            happened = happened_in(i, terminated, truncated, info)
            items = [names[item] for item in decision.slate]
            told = decision.decision_id, items, happened, names, reads
            engine.outcomes([*outcomes_of(f"user {i}/{started[i]}", *told)])
        ended = terminated | truncated
        started, step = started + ended, np.where(ended, 0, step + 1)

"""Registries and event logs to damage."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from experiments.reliability.flips.fingerprint import fingerprint
from policies import Exploration, Policy, ScorePolicy, Serving, save
from policies.baselines.popularity import Popularity
from serving import (
    Catalogue,
    Engine,
    MemorySessions,
    Outcome,
    Registry,
    Request,
    SegmentLog,
)
from serving.events.folder import SegmentFolder
from serving.events.reading import in_order
from serving.registry.golden import make_golden
from serving.restarting.reading import meaning_of, snapshot_file
from serving.restarting.writing import SnapshotWriter
from serving.sessions.snapshot import read_snapshot

ITEMS = 12
SECRET = b"sixteen bytes or more"


def make_registry(folder: Path, seed: int) -> None:
    """Two versions, three changes of the pointer, a gate's report and a secret."""
    clock = count(1_000 + seed)
    registry = Registry(folder, clock=lambda: float(next(clock)))
    names = Catalogue([f"item-{i}" for i in range(ITEMS)])
    with TemporaryDirectory() as aside:
        report = Path(aside) / "gate.json"
        verdict = {"name": "new", "verdict": {"outcome": "pass"}}
        report.write_text(json.dumps({"candidates": [verdict]}))
        versions = []
        for nth in range(2):
            save(_policy(2 * seed + nth), Path(aside) / f"policy-{nth}")
            versions.append(
                registry.add(
                    Path(aside) / f"policy-{nth}", catalogue=names, by="ann", note="tried",
                    gate=report,
                )
            )  # fmt: skip
    for version in (*versions, versions[0]):
        registry.promote(version, by="ann", why="better", fallback=names.names[:3])
    registry.secret()


def registry_contents(folder: Path) -> str:
    registry = Registry(folder)
    if damaged := registry.damaged():
        raise ValueError(f"told as damaged: {damaged}")
    release = registry.load(warmed=False)
    versions = [one.to_dict() for one in registry.versions()]
    return fingerprint(
        versions, asdict(registry.pointer()), [asdict(one) for one in registry.history()],
        registry.secret(), release.version, release.sha256, release.catalogue.names,
        release.fallback, release.golden.first_place,
        make_golden(release.policy, release.retrieval).first_place,
    )  # fmt: skip


def make_events(folder: Path, seed: int) -> None:
    """Sealed segments, the oldest retired, and a snapshot of sessions."""
    clock = count(1_000 + seed)
    store = MemorySessions()
    with closing(SegmentLog(folder, segment_bytes=3_000)) as events:
        engine = Engine(
            _policy(seed), Catalogue([f"item-{i}" for i in range(ITEMS)]), version="policy@1",
            secret=SECRET, events=events, sessions=store, clock=lambda: float(next(clock)),
        )  # fmt: skip
        engine.announce()
        for nth in range(12):
            user = f"u{nth % 4}"
            engine.decide(Request(request_id=f"r{nth}", user=user, session="s", context=(0.5,)))
            engine.outcome(
                Outcome(outcome_id=f"o{nth}", decision_id=f"r{nth}", user=user, kind="click")
            )
        file = snapshot_file(events)
        assert file is not None
        SnapshotWriter(
            engine, store, file, meaning=meaning_of(engine).fingerprint(), reached={}
        ).write()
        events.retire(1_010.0)


def events_contents(folder: Path) -> str:
    reader, counts = SegmentFolder(folder), Counter[str]()
    held = {w: [(e.number, e.event) for e in reader.read(w)] for w in reader.writers()}
    told = [asdict(event) for event in in_order(reader, counts=counts)]
    if counts["missing_events"]:
        raise ValueError(f"told: {counts['missing_events']} events of {folder} are missing")
    last = {writer: reader.last(writer) for writer in held}
    retired = reader.next_after_retired("main")
    snapshots = [read_snapshot(file) for file in sorted(folder.glob("*.sessions"))]
    sessions = [
        (s.header, [(k, asdict(u)) for k, u in s.users.items()], s.numbers)
        for s in snapshots
        if s is not None
    ]
    return fingerprint(held, told, last, retired, sessions)


def _policy(seed: int) -> Policy:
    serving = Serving(
        n_items=ITEMS, slate_size=2, history_length=3, n_candidates=None, user_size=1,
        item_features=np.eye(ITEMS, dtype=np.float32), response_names=("click",),
    )  # fmt: skip
    counts = np.exp(np.random.default_rng([seed, 3]).normal(size=ITEMS))
    return ScorePolicy(Popularity(serving, counts), Exploration(temperature=1.0))

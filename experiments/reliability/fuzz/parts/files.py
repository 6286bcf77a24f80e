"""Files that commands are called with: small valid ones, and what is none."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np

from experiments.reliability.fuzz.parts.live import (
    NAMES,
    SECRET,
    engine,
    outcome_body,
    request_body,
)
from experiments.reliability.fuzz.parts.material import A
from offpolicy import LoggedDataset, write_log
from policies import build, save, serving_of_log
from serving import MemoryLog, Outcome, Registry, Request, SegmentLog, open_engine

VALID = (
    "log",
    "target.npy",
    "policy",
    "registry",
    "events",
    "plays.csv",
    "secret",
    "items.txt",
    "features.npy",
    "topics.npy",
    "log/0.parquet",
)
BROKEN = (
    "missing",
    "folder",
    "empty",
    "garbage.bin",
    "garbage.json",
    "garbage.parquet",
    "null.json",
    "deep.json",
    "header.csv",
    "twice.csv",
    "words.npy",
    "object.npy",
    "zip.npz",
    "nan.npy",
    "cut.npy",
    "loop",
    "broken-log",
    "missing/deeper",
    "/dev/null",
    "utf16.csv",
)
FILES: tuple[str, ...] = VALID + BROKEN


def make_files(folder: Path) -> None:
    """Write all of them."""
    _valid(folder)
    _broken(folder)


def _valid(folder: Path) -> None:
    rng, n, items = np.random.default_rng(0), 300, 4
    slate = rng.integers(0, items, n)
    log = LoggedDataset.from_columns(
        session=np.arange(n),
        step=np.zeros(n, int),
        slate=slate,
        propensity=np.full(n, 1 / items),
        reward=rng.random(n) + (slate == 0),
        n_items=items,
        user=np.arange(n) // 2,
    )
    write_log(log, folder / "log")
    np.save(folder / "target.npy", np.where(slate == 0, 0.4, 0.2))
    np.save(folder / "features.npy", rng.random((items, 2)))
    np.save(folder / "topics.npy", np.arange(items) % 2)
    save(build("popularity", serving_of_log(log), temperature=1.0), folder / "policy")
    registry = Registry(folder / "registry")
    registry.promote(registry.add(folder / "policy"))
    open_engine(registry, MemoryLog())  # the first use of a registry makes its secret
    rows = [
        f"{u},{i},{t}" for u in range(30) for t, i in enumerate(rng.permutation(20)[: 6 + u % 4])
    ]
    (folder / "plays.csv").write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    (folder / "secret").write_bytes(SECRET)
    (folder / "items.txt").write_text("\n".join(NAMES[:items]) + "\n")
    with closing(SegmentLog(folder / "events")) as events:
        served = engine(events=events)
        served.announce()
        served.decide(Request.from_json(request_body(rng)))
        served.outcome(Outcome.from_json(outcome_body(rng)))


def _broken(folder: Path) -> None:
    rng = np.random.default_rng(1)
    (folder / "folder").mkdir()
    (folder / "empty").write_bytes(b"")
    for name in ("garbage.bin", "garbage.json", "garbage.parquet"):
        (folder / name).write_bytes(rng.bytes(300))
    (folder / "null.json").write_text("null")
    (folder / "deep.json").write_text("[" * 5000)
    (folder / "header.csv").write_text("user,item,timestamp\n")
    (folder / "twice.csv").write_text("user,item,timestamp,user\n1,a,1,2\n")
    (folder / "utf16.csv").write_bytes("user,item,timestamp\n1,a,1\n".encode("utf-16"))
    np.save(folder / "words.npy", np.array(["a", "b"]))
    np.save(folder / "object.npy", np.array([{}, None], object), allow_pickle=True)
    np.save(folder / "nan.npy", np.full((300, A), np.nan))
    (folder / "zip.npz").write_bytes(b"PK no zip")
    (folder / "cut.npy").write_bytes((folder / "nan.npy").read_bytes()[:200])
    (folder / "loop").symlink_to("loop")
    (folder / "broken-log").mkdir()
    manifest = {"schema_version": 1, "n_items": 2, "parts": [{}]}
    (folder / "broken-log" / "manifest.json").write_text(json.dumps(manifest))

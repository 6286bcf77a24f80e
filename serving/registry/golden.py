"""Golden requests: what a version answered when it was added, which it must answer where it serves;
and the warm-up, after which no request waits for a compiler or an allocator."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from policies.base import Policy, act
from policies.observation import Observation, eligible
from policies.slates.row_streams import RowStreams
from serving.retrieval import Retrieval

F64 = NDArray[np.float64]
REQUESTS = 16
TOLERANCE = 1e-3  # total variation of first places: float32 scores differ by about 1e-5 among
# machines and libraries, and a temperature of .1 makes that ten times as much
LARGEST = 32  # batch that is warmed up


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """G users, and the probability of every candidate to stand first (G, C)."""

    obs: Observation
    first_place: F64


def make_golden(policy: Policy, retrieval: Retrieval | None, *, seed: int = 0) -> Golden:
    """Users with histories of 0 to H items, and what the policy answers to them. Those that it
    cannot answer, because rules leave them nothing, say, are left out.

    Raises ValueError where it answers none.
    """
    obs = _users(policy, retrieval, np.random.default_rng(seed))
    kept, rows, failed = [], [], None
    for row in range(len(obs)):
        try:
            one = obs.rows(slice(row, row + 1))
            act(policy, one, RowStreams(np.zeros(1, np.uint64)))
            rows.append(_first_place(policy, one))
            kept.append(row)
        except Exception as error:  # noqa: BLE001  (raised below, where nothing works)
            failed = error
    if failed is not None and not kept:
        raise ValueError(
            f"the policy answers none of {len(obs)} made-up requests: {type(failed).__name__}: "
            f"{failed}"
        ) from failed
    return Golden(obs.rows(np.array(kept, np.int64)), np.concatenate(rows))


def check_golden(policy: Policy, golden: Golden) -> float:
    """The largest total variation between what the policy answers and what it answered when it was
    added. Raises ValueError where that is above TOLERANCE."""
    now = _first_place(policy, golden.obs)
    if now.shape != golden.first_place.shape:
        raise ValueError(
            f"golden requests: probabilities {now.shape}, not {golden.first_place.shape}"
        )
    apart = 0.5 * np.abs(now - golden.first_place).sum(axis=1)
    worst = int(np.argmax(apart))
    if not apart[worst] <= TOLERANCE:
        raise ValueError(
            f"golden request {worst}: probabilities differ by {apart[worst]:.2g} (total variation) "
            f"from those when the version was added, {TOLERANCE:g} is allowed: this machine or its "
            "libraries compute another policy. Add it again here, and judge that version"
        )
    return float(apart[worst])


def warm(
    policy: Policy,
    retrieval: Retrieval | None,
    golden: Golden,
    *,
    largest: int = LARGEST,
    rest: float = 0.0,
) -> None:
    """Answer batches of every size from 1 to `largest`; the answers are thrown away. After each
    there are `rest` seconds of sleep for every second of work."""
    for size in range(1, largest + 1):
        began = time.thread_time()
        obs = golden.obs.rows(np.resize(np.arange(len(golden.obs)), size))
        if retrieval is not None:
            retrieval(obs.history_items)
        act(policy, obs, RowStreams(np.arange(size, dtype=np.uint64)))
        time.sleep(rest * (time.thread_time() - began))


def write_golden(golden: Golden, path: Path) -> None:
    """Into a safetensors file."""
    from safetensors.numpy import save_file

    obs = golden.obs
    arrays = {
        "history_items": obs.history_items,
        "history_responses": obs.history_responses,
        "user": obs.user,
        "first_place": golden.first_place,
    }
    if obs.candidates is not None:
        arrays["candidates"] = obs.candidates
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def read_golden(path: Path) -> Golden:
    """What `write_golden` wrote."""
    from safetensors.numpy import load_file

    arrays = load_file(path)
    candidates = arrays.get("candidates")
    obs = Observation(
        history_items=arrays["history_items"],
        history_responses=arrays["history_responses"],
        user=arrays["user"],
        candidates=candidates,
        eligible=eligible(None, candidates),
    )
    return Golden(obs, arrays["first_place"])


def _users(policy: Policy, retrieval: Retrieval | None, rng: np.random.Generator) -> Observation:
    serving = policy.serving
    g, h, a = REQUESTS, serving.history_length, serving.n_items
    items = rng.integers(0, a, size=(g, h)).astype(np.int32)
    items[np.arange(h) < h - np.linspace(0, h, g).astype(int)[:, None]] = -1
    responses = rng.random((g, h, len(serving.response_names))).astype(np.float32)
    responses[items < 0] = 0.0
    candidates = None
    if serving.n_candidates is not None:
        candidates = np.full((g, serving.columns), -1, np.int32)
        some = min(a, serving.columns)
        candidates[:, :some] = [rng.choice(a, some, replace=False) for _ in range(g)]
        if retrieval is not None:
            found = retrieval(items[::2])
            candidates[::2] = -1
            candidates[::2, : found.shape[1]] = found
    return Observation(
        history_items=items,
        history_responses=responses,
        user=rng.random((g, serving.user_size)).astype(np.float32),
        candidates=candidates,
        eligible=eligible(None, candidates),
    )


def _first_place(policy: Policy, obs: Observation) -> F64:
    table = np.asarray(policy.distribution(obs).first_place(), np.float64)
    if not np.isfinite(table).all() or not np.allclose(table.sum(axis=1), 1.0, atol=1e-6):
        raise ValueError("the policy's probabilities to stand first do not sum to 1")
    return table

"""Which random stream each slot's sessions draw from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from recsim_env.columns import as_numbers
from recsim_env.random import slot_keys, stream_keys

LAST_TICK = 2**62  # of the calendar, which counts in int64


def seed_users(
    users: NDArray[Any], seed: int | list[int | None] | None, *, every: bool
) -> tuple[np.random.Generator, int] | None:
    """Start the streams of N users (records) again at session 0; with a seed for each slot, those
    whose seed is None go on, unless `every` must begin. Returns the generator and the seed known of
    all slots together, None where each has its own.
    """
    if not isinstance(seed, list):
        generator, known = seeding.np_random(seed)
        users["stream"] = stream_keys(known, len(users))
        users["session"] = -1
        return generator, known
    if len(seed) != len(users):
        raise ValueError(f"{len(seed)} seeds for {len(users)} slots: give one each")
    for i, one in enumerate(seed):
        if one is not None or every:
            _, known = seeding.np_random(one)
            users["stream"][i] = stream_keys(known, 1)[0]
            users["session"][i] = -1
    return None


def reset_mask(n: int, options: dict[str, Any] | None) -> NDArray[np.bool_]:
    """Which of N slots (N,) a reset begins anew; ValueError for options that it does not take."""
    if options is not None and not isinstance(options, Mapping):
        raise ValueError(f"options are a {type(options).__name__}: give reset a dictionary")
    known = options or {}
    if unknown := sorted(map(str, known.keys() - {"reset_mask", "sessions"})):
        raise ValueError(f"reset has no option {unknown[0]!r}: it takes reset_mask and sessions")
    mask = as_numbers("reset_mask", known.get("reset_mask", np.ones(n, np.bool_)))
    if mask.shape != (n,) or mask.dtype != np.bool_ or not mask.any():
        raise ValueError(
            f"reset_mask must be ({n},) bool with a True, got {mask.dtype} {mask.shape}"
        )
    return mask


def named_sessions(
    n: int, session_ticks: int, options: dict[str, Any] | None
) -> NDArray[np.integer] | None:
    """The (slot, session) pairs (N, 2) that a reset's options name, or None; ValueError for pairs
    that no environment plays."""
    if not options or "sessions" not in options:
        return None
    sessions = as_numbers("sessions", options["sessions"])
    if sessions.dtype.kind not in "iu" or sessions.shape != (n, 2) or (sessions < 0).any():
        raise ValueError(
            f"sessions are {sessions.dtype} {sessions.shape} and must be whole numbers "
            f"({n}, 2): a slot and the number of its session, both from 0"
        )
    last = LAST_TICK // max(session_ticks, 1)
    if int(sessions[:, 1].max()) > last or int(sessions[:, 0].max()) > LAST_TICK:
        raise ValueError(
            f"sessions reach {sessions.max()}: slots are at most {LAST_TICK}, and numbers of "
            f"sessions {last}, so that the calendar of {session_ticks} ticks each goes so far"
        )
    return sessions


def name_sessions(users: NDArray[Any], sessions: NDArray[np.integer], seed: int | None) -> None:
    """Make the next sessions of N users those of (slot, session) pairs (N, 2) under a seed."""
    if seed is None:
        raise ValueError("sessions are named under one int seed: give it to reset(seed=...)")
    users["stream"] = slot_keys(seed, sessions[:, 0])
    users["session"] = sessions[:, 1] - 1

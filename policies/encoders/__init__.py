"""Sequence encoders: next-item models over histories of item ids, built by name."""

from __future__ import annotations

from typing import Any

from policies.encoders.base import Encoder
from policies.encoders.data.sequences import Sequences
from policies.encoders.data.splits import Heldout, Split, global_time, leave_one_out
from policies.encoders.registry import ENCODERS, Lazy

__all__ = [
    "ENCODERS",
    "Encoder",
    "Heldout",
    "Lazy",
    "Sequences",
    "Split",
    "encoder",
    "global_time",
    "leave_one_out",
]


def encoder(name: str, **settings: Any) -> Encoder:
    """Build an encoder by name.

    Raises:
        ValueError: no such name; lists the names.
    """
    if name not in ENCODERS:
        raise ValueError(f"no encoder {name!r}; there are {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name](**settings)

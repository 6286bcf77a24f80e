"""Short hashes that let a reader of the log see whether two sides had the same before them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.rules.constraints import KINDS, Rule, to_parts

I4, F4 = np.dtype("<i4"), np.dtype("<f4")


def history_hash(items: NDArray[np.integer[Any]], responses: NDArray[np.floating[Any]]) -> str:
    """8 bytes, as hexadecimal digits, of items (H,) and responses (H, R), -1 = empty place; the
    same however many empty places there are."""
    if len(items) and items.min() < 0:
        taken = items >= 0
        items, responses = items[taken], responses[taken]
    said = items.astype(I4, copy=False).tobytes() + responses.astype(F4, copy=False).tobytes()
    return blake2b(said, digest_size=8).hexdigest()


def rules_hash(rules: Sequence[Rule]) -> str:
    """8 bytes, as hexadecimal digits, of rules in their order. Of a rule that is none of
    `policies.rules.constraints`, its class and name stand for it."""
    head, known = blake2b(digest_size=8), {kind for kind, _ in KINDS.values()}
    for rule in rules:
        if type(rule) in known:
            about, array = to_parts(rule)
        else:
            about, array = {"kind": type(rule).__name__, "name": rule.name}, np.zeros(0)
        head.update(json.dumps(about, sort_keys=True).encode())
        head.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return head.hexdigest()

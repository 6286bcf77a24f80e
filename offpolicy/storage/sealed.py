"""JSON objects that carry a digest of themselves, so that a damaged one is not read as another."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from typing import Any

DIGEST = "digest"  # key of the sha256 of all the rest


def sealed(said: Mapping[str, Any]) -> dict[str, Any]:
    """The same object with a digest, in the place of one that it may carry."""
    rest = {key: value for key, value in said.items() if key != DIGEST}
    return rest | {DIGEST: _digest(rest)}


def unsealed(
    said: Any,
    file: str | os.PathLike[str],
    known: Collection[str],
    *,
    needed: bool = False,
    fix: str = "copy it again from a good copy, or write it anew",
) -> dict[str, Any]:
    """What `sealed` was given, as JSON has kept it in `file`.

    known: the keys that there may be, so that a damaged name of the digest is no older file's.
    needed: whether it must carry a digest; else one without it, of an older version, is returned.

    Raises:
        ValueError: it is no object, holds a key that is not known, or was altered.
    """
    if not isinstance(said, dict):
        raise ValueError(f"{os.fspath(file)} is damaged (no JSON object): {fix}")
    rest = dict(said)
    found = rest.pop(DIGEST, None)
    unknown = sorted(set(rest) - set(known))
    if unknown:
        raise ValueError(f"{os.fspath(file)} is damaged (it has a key {unknown[0]!r}): {fix}")
    if found is None and not needed:
        return rest
    if found != _digest(rest):
        raise ValueError(
            f"{os.fspath(file)} was altered after it was written (its digest differs): {fix}"
        )
    return rest


def _digest(rest: Mapping[str, Any]) -> str:
    text = json.dumps(json.loads(json.dumps(rest)), sort_keys=True)  # keys are text, as on disk
    return hashlib.sha256(text.encode()).hexdigest()

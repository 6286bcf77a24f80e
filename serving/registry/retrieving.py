"""The retrieval that a version declares: item vectors, and how many candidates they give."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.base import Policy
from policies.encoders.base import Encoder
from policies.saved import Savable
from serving.registry.versions import VECTORS
from serving.retrieval import Retrieval, TopVectors

F32 = NDArray[np.float32]
SOURCES = ("auto", "encoder", "features", "none")
RECENT = 10  # items of a history whose mean vector is asked with


def declare(policy: Policy, wanted: str | F32) -> dict[str, Any] | None:
    """The retrieval of a policy as a version keeps it; None without one.

    wanted: `encoder` or `features` = the vectors of the policy's encoder or of its items' features,
        `auto` = the first of them that there is, `none`, or vectors (A, D) of your own. A policy
        over the whole catalogue needs none.

    Raises ValueError where there is no such thing.
    """
    serving = policy.serving
    if isinstance(wanted, str) and wanted not in SOURCES:
        raise ValueError(f"retrieval {wanted!r}: there are {', '.join(SOURCES)}, and your vectors")
    named = wanted if isinstance(wanted, str) else "file"
    if named == "none" or (named == "auto" and serving.n_candidates is None):
        return None
    if serving.n_candidates is None:
        raise ValueError("the policy chooses among the whole catalogue: it needs no retrieval")
    source = named
    if source == "auto":
        source = "encoder" if encoder_of(policy) is not None else "features"
    most = min(serving.columns, serving.n_items)
    return {"kind": "top_vectors", "vectors": source, "k": most, "recent": RECENT}


def build_retrieval(
    declared: Mapping[str, Any] | None, policy: Policy, own: F32 | None
) -> Retrieval | None:
    """What `declare` says, with the version's own vectors if it keeps some.

    Raises ValueError for vectors that are not finite or not of the policy's items.
    """
    if declared is None:
        return None
    if declared["kind"] != "top_vectors":
        raise ValueError(f"retrieval of kind {declared['kind']!r} is not known; top_vectors is")
    vectors = _vectors(str(declared["vectors"]), policy, own)
    if len(vectors) != policy.serving.n_items:
        raise ValueError(
            f"retrieval has {len(vectors)} item vectors for a catalogue of "
            f"{policy.serving.n_items} items"
        )
    return TopVectors(vectors, int(declared["k"]), recent=int(declared["recent"]))


def read_vectors(folder: Path) -> F32 | None:
    """The version's own vectors, if it keeps some."""
    from safetensors.numpy import load_file

    file = folder / VECTORS
    return load_file(file)["vectors"] if file.is_file() else None


def write_vectors(folder: Path, vectors: F32) -> None:
    """Keep vectors in a version."""
    from safetensors.numpy import save_file

    save_file({"vectors": np.ascontiguousarray(vectors, np.float32)}, folder / VECTORS)


def encoder_of(policy: Any) -> Encoder | None:
    """The encoder that a policy, or what is inside of it, stands on: the first one found."""
    if not isinstance(policy, Savable):
        return None
    saved = policy.saved()
    if saved.encoder is not None:
        return saved.encoder
    inside = (*([] if saved.inner is None else [saved.inner]), *saved.parts)
    return next((found for one in inside if (found := encoder_of(one)) is not None), None)


def _vectors(source: str, policy: Policy, own: F32 | None) -> F32:
    if source == "features":
        return policy.serving.item_features
    if source == "encoder":
        encoder = encoder_of(policy)
        if encoder is None:
            raise ValueError("retrieval by the encoder's vectors: the policy has no encoder")
        return np.asarray(encoder.item_vectors, np.float32)
    if own is None:
        raise ValueError(f"retrieval by own vectors: {VECTORS} is missing")
    return own

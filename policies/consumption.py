"""What a log says users consumed: counts of items, and sequences for encoders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from offpolicy.log import LoggedDataset
from policies.encoders.data.sequences import Sequences
from policies.learning import session_by_session


def consumption(log: LoggedDataset) -> NDArray[np.float64]:
    """How often each item was consumed in a log, (A,)."""
    consumed = consumed_items(log)
    return np.bincount(consumed[consumed >= 0], minlength=log.n_items).astype(np.float64)


def consumed_sequences(
    log: LoggedDataset, *, item_features: NDArray[np.float32] | None = None
) -> Sequences:
    """What each session of a log consumed, in the order of its steps: what an encoder is fitted to.

    item_features: (A, F) what is known of the items, as `Serving.item_features`; a neural encoder
    begins its item vectors there, which it needs where a log is short for its catalogue.
    """
    log = session_by_session(log)
    consumed = consumed_items(log)
    taken = consumed >= 0
    items = consumed[taken]
    lengths = np.bincount(log.sessions[taken], minlength=log.n_sessions)
    lists = np.split(items, np.cumsum(lengths)[:-1])
    sequences = Sequences.from_lists([part for part in lists if len(part)], n_items=log.n_items)
    if item_features is None:
        return sequences
    return replace(sequences, item_features=item_features)


def joined(first: Sequences, second: Sequences) -> Sequences:
    """The users' items of both, those of the first in front."""
    offsets = np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]])
    items = np.concatenate([first.items, second.items])
    return Sequences(items=items, offsets=offsets, n_items=first.n_items)


def consumed_items(log: LoggedDataset) -> NDArray[np.int32]:
    """The item taken on each row (N,), -1 = none; ValueError where it was not logged."""
    if log.consumed is None:
        raise ValueError(
            "the log has no `consumed` column (the item taken on each row, -1 = none): what users "
            "chose cannot be learned from it"
        )
    return log.consumed

"""Sequences of different lengths side by side without padding, and attention over them.

`causal_attention` in NumPy, first[i] the row of the first event of row i's sequence::

    def causal_attention(q, k, v, first, window):
        out = np.empty_like(q)
        for row, start in enumerate(first):
            past = slice(max(start, row - window + 1), row + 1)
            for head in range(q.shape[1]):
                logits = k[past, head] @ q[row, head] / np.sqrt(q.shape[2])
                weight = np.exp(logits - logits.max())
                out[row, head] = weight / weight.sum() @ v[past, head]
        return out

With padding instead, every layer works on the pads too: linear layers take 1.4 times as long where
28 % of a batch is padding. The attention itself takes 1.5 times as long as a padded call of torch's
`scaled_dot_product_attention`, which it makes for each group of sequences of like length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

SLACK = 0.8  # a group of sequences is padded to its longest; none is shorter than this share of it


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring sequences of like length: rows of the packed tensor, padded for attention."""

    start: int  # first row
    stop: int  # past the last row
    size: int  # S sequences
    length: int  # of the longest
    gather: Tensor | None  # (S * length,) rows, pads repeat a sequence's last; None: no pads
    scatter: Tensor | None  # (stop - start,) places of the rows in the padded layout

    def to(self, device: torch.device) -> Group:
        """The same group on another device."""
        tensors = (None if x is None else x.to(device) for x in (self.gather, self.scatter))
        return Group(self.start, self.stop, self.size, self.length, *tensors)


@dataclass(frozen=True, slots=True)
class Packed:
    """B sequences, longest first, as N rows: no row is padding."""

    items: Tensor  # (N,) item ids
    rows: NDArray[np.int64]  # (N,) index of each event in the flat source
    position: Tensor  # (N,) 0 = a sequence's first event
    last: Tensor  # (B,) row of each sequence's last event
    order: NDArray[np.int64]  # (B,) packed sequence b is the caller's sequence order[b]
    lengths: NDArray[np.int64]  # (B,) events of each sequence, not increasing
    groups: tuple[Group, ...]

    def __len__(self) -> int:
        return len(self.last)

    @property
    def longest(self) -> int:
        """Events of the longest sequence."""
        return int(self.lengths[0])

    def batch_sizes(self) -> list[int]:
        """How many sequences have a first event, a second one, and so on (as in torch's)."""
        sizes: list[int] = np.cumsum(np.bincount(self.lengths)[:0:-1])[::-1].tolist()
        return sizes

    def to(self, device: torch.device) -> Packed:
        """The same sequences on another device; NumPy arrays stay."""
        if device == self.items.device:
            return self
        items, position, last = (x.to(device) for x in (self.items, self.position, self.last))
        groups = tuple(g.to(device) for g in self.groups)
        return Packed(items, self.rows, position, last, self.order, self.lengths, groups)


def pack(items: NDArray[np.int32], start: NDArray[np.int64], stop: NDArray[np.int64]) -> Packed:
    """Pack the sequences items[start[b]:stop[b]]; empty ones are left out."""
    lengths = stop - start
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    sizes = lengths[order]
    first = np.concatenate([[0], np.cumsum(sizes)])
    position = np.arange(first[-1]) - np.repeat(first[:-1], sizes)
    rows = position + np.repeat(start[order], sizes)
    return Packed(
        items=torch.from_numpy(items[rows].astype(np.int64)),
        rows=rows,
        position=torch.from_numpy(position),
        last=torch.from_numpy(first[1:] - 1),
        order=order,
        lengths=sizes,
        groups=_groups(sizes, first),
    )


def _groups(sizes: NDArray[np.int64], starts: NDArray[np.int64]) -> tuple[Group, ...]:
    groups, first = [], 0
    while first < len(sizes):
        longest = int(sizes[first])
        stop = int(np.searchsorted(-sizes, -SLACK * longest, side="right"))
        start, rows = int(starts[first]), int(starts[stop] - starts[first])
        gather = scatter = None
        if rows < (stop - first) * longest:
            place = np.arange(longest)
            inside = np.minimum(place, sizes[first:stop, None] - 1)  # (S, length)
            gather = torch.from_numpy((starts[first:stop, None] + inside).ravel() - start)
            scatter = torch.from_numpy(np.flatnonzero(place < sizes[first:stop, None]))
        groups.append(Group(start, start + rows, stop - first, longest, gather, scatter))
        first = stop
    return tuple(groups)


def causal_attention(q: Tensor, k: Tensor, v: Tensor, packed: Packed, window: int) -> Tensor:
    """Every event attends to the last `window` events of its own sequence, itself included.

    q, k, v: (N, heads, width) -> (N, heads, width). Pads stand after a sequence's events, so a
    causal mask hides them.
    """
    parts = []
    for g, *rows in zip(packed.groups, *(_split(x, packed) for x in (q, k, v)), strict=True):
        query, keys, values = (_pad(x, g) for x in rows)  # (S, heads, length, width)
        band = _band(g.length, window, q.device)
        out = F.scaled_dot_product_attention(query, keys, values, band, is_causal=band is None)
        parts.append(_unpad(out, g))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def last_attention(q: Tensor, k: Tensor, v: Tensor, packed: Packed, window: int) -> Tensor:
    """The attention of each sequence's last event: q (B, heads, width), k, v (N, heads, width)."""
    parts, first = [], 0
    for g, *rows in zip(packed.groups, _split(k, packed), _split(v, packed), strict=True):
        keys, values = (_pad(x, g) for x in rows)  # (S, heads, length, width)
        members = slice(first, first + g.size)
        place = torch.arange(g.length, device=q.device)
        distance = _lengths(packed, members) - 1 - place  # (S, length)
        real = (distance >= 0) & (distance < window)
        query = q[members].unsqueeze(2)  # (S, heads, 1, width)
        attended = F.scaled_dot_product_attention(query, keys, values, real[:, None, None])
        parts.append(attended[:, :, 0])
        first += g.size
    return torch.cat(parts)


def full_attention(q: Tensor, k: Tensor, v: Tensor, packed: Packed) -> Tensor:
    """Every event attends to all events of its own sequence; shapes as in `causal_attention`."""
    parts, first = [], 0
    for g, *rows in zip(packed.groups, *(_split(x, packed) for x in (q, k, v)), strict=True):
        query, keys, values = (_pad(x, g) for x in rows)  # (S, heads, length, width)
        members = slice(first, first + g.size)
        real = None
        if g.gather is not None:
            place = torch.arange(g.length, device=q.device)
            real = (place < _lengths(packed, members))[:, None, None]
        parts.append(_unpad(F.scaled_dot_product_attention(query, keys, values, real), g))
        first += g.size
    return torch.cat(parts)


def _band(length: int, window: int, device: torch.device) -> Tensor | None:
    """(length, length) True where a key is in the window; None where the causal mask suffices."""
    if length <= window:
        return None
    place = torch.arange(length, device=device)
    distance = place[:, None] - place
    return (distance >= 0) & (distance < window)


def _lengths(packed: Packed, sequences: slice) -> Tensor:
    """(S, 1)."""
    return packed.position[packed.last[sequences]][:, None] + 1


def _unpad(padded: Tensor, group: Group) -> Tensor:
    """(S, heads, length, width) -> (rows, heads, width)."""
    rows = padded.transpose(1, 2).flatten(0, 1)
    return rows if group.scatter is None else rows.index_select(0, group.scatter)


def _split(rows: Tensor, packed: Packed) -> tuple[Tensor, ...]:
    """The rows of each group; one split has one cheap derivative, slices would have many."""
    parts: tuple[Tensor, ...] = torch.split(rows, [g.stop - g.start for g in packed.groups])
    return parts


def _pad(rows: Tensor, group: Group) -> Tensor:
    """(rows, heads, width) -> (S, heads, length, width)."""
    full = rows if group.gather is None else rows.index_select(0, group.gather)
    return full.reshape(group.size, group.length, *rows.shape[1:]).transpose(1, 2)

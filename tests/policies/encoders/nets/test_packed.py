"""Packed attention equals attention written out one event at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from policies.encoders.nets.packed import (
    Packed,
    causal_attention,
    full_attention,
    last_attention,
    pack,
)

LENGTHS = [3, 0, 17, 1, 16, 5, 5, 9]


def packed() -> Packed:
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    items = np.arange(offsets[-1], dtype=np.int32)
    return pack(items, offsets[:-1], offsets[1:])


def draws(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, rows, 2, 4, generator=generator)
    return q, k, v


def slow_attention(q: Tensor, k: Tensor, v: Tensor, made: Packed, window: int) -> Tensor:
    out = torch.empty_like(q)
    for row in range(len(q)):
        past = slice(row - min(int(made.position[row]), window - 1), row + 1)
        for head in range(q.shape[1]):
            weight = torch.softmax(k[past, head] @ q[row, head] / 2.0, 0)  # 2 = sqrt(width 4)
            out[row, head] = weight @ v[past, head]
    return out


def test_no_row_is_padding_and_every_event_keeps_its_place() -> None:
    made = packed()
    assert len(made.items) == sum(LENGTHS)
    assert sorted(made.items.tolist()) == list(range(sum(LENGTHS)))
    assert made.order.tolist() == [2, 4, 7, 5, 6, 0, 3]
    assert made.items[made.last].tolist() == [19, 36, 55, 41, 46, 2, 20]


@pytest.mark.parametrize("window", [1, 4, 16, 30])
def test_causal_attention_matches_one_event_at_a_time(window: int) -> None:
    made = packed()
    q, k, v = draws(len(made.items))
    got = causal_attention(q, k, v, made, window)
    torch.testing.assert_close(got, slow_attention(q, k, v, made, window))


@pytest.mark.parametrize("window", [1, 4, 16, 30])
def test_attention_of_last_events_is_the_last_rows_of_all(window: int) -> None:
    made = packed()
    q, k, v = draws(len(made.items))
    got = last_attention(q[made.last], k, v, made, window)
    torch.testing.assert_close(got, slow_attention(q, k, v, made, window)[made.last])


def test_full_attention_sees_both_ways_but_no_other_sequence() -> None:
    made = packed()
    q, k, v = draws(len(made.items))
    got, first = full_attention(q, k, v, made), 0
    for last in made.last.tolist():
        rows = slice(first, last + 1)
        weight = torch.softmax(torch.einsum("qhw,khw->hqk", q[rows], k[rows]) / 2.0, -1)
        torch.testing.assert_close(got[rows], torch.einsum("hqk,khw->qhw", weight, v[rows]))
        first = last + 1

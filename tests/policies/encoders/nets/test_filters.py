"""Causal filters: a case by hand, the slow twin, and derivatives by differences."""

from __future__ import annotations

import numpy as np
import torch

from policies.encoders.nets.filters import filtered, initial_taps, shifted_sum
from policies.encoders.nets.packed import Packed, pack


def sequences(*lengths: int) -> Packed:
    ends = np.cumsum(lengths)
    return pack(np.zeros(ends[-1], np.int32), ends - lengths, ends)


def test_by_hand_nothing_crosses_from_one_sequence_to_the_next() -> None:
    x, taps = torch.tensor([[1.0], [2.0], [4.0], [10.0]]), torch.tensor([[1.0], [0.5]])
    got = filtered(x, taps, sequences(3, 1))
    assert got[:, 0].tolist() == [1.0, 2.5, 5.0, 10.0]  # 4 + .5 * 2; the 1 has left the window


def test_compiled_loops_equal_the_shifted_sums_and_their_derivatives() -> None:
    packed = sequences(9, 7, 7, 2, 1)
    made = torch.Generator().manual_seed(0)
    x, taps, slope = (torch.randn(n, 8, generator=made) for n in (26, 4, 26))
    results = []
    for compute in (
        lambda a, b: filtered(a, b, packed),
        lambda a, b: shifted_sum(a, b, packed.position, packed.longest),
    ):
        a, b = x.clone().requires_grad_(), taps.clone().requires_grad_()
        out = compute(a, b)
        (out * slope).sum().backward()
        results.append((out.detach(), a.grad, b.grad))
    for fast, slow in zip(*results, strict=True):
        assert fast is not None
        assert slow is not None
        torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)


def test_the_first_taps_are_means_that_decay_ever_more_slowly() -> None:
    taps = initial_taps(50, 16)
    assert (taps.diff(dim=0) <= 0).all()
    assert (taps.sum(0) <= 1 + 1e-6).all()
    assert (taps[0].diff() < 0).all()
    assert initial_taps(1, 4).shape == (1, 4)

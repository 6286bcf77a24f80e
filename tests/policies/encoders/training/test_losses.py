"""Losses against numbers worked by hand, numeric derivatives and the full softmax."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from policies.encoders.training.losses import (
    binary,
    calibrated_binary,
    full_softmax,
    sampled_softmax,
)

ITEMS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
ONE = torch.tensor([[math.log(2.0), 0.0]])  # logits log 2, 0, -log 2


def random_case(n: int = 5, d: int = 3, a: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(n, d, dtype=torch.float64, generator=generator, requires_grad=True)
    items = torch.randn(a, d, dtype=torch.float64, generator=generator, requires_grad=True)
    return hidden, items, torch.randint(a, (n,), generator=generator)


def test_full_softmax_by_hand() -> None:
    # probabilities 2 : 1 : 1/2
    assert full_softmax(ONE, ITEMS, torch.tensor([0])).item() == pytest.approx(math.log(3.5 / 2))


def test_sampled_softmax_by_hand() -> None:
    # each negative stands for one and a half of its kind: 2 + 1.5 * 1 + 1.5 * 1/2
    weight = torch.log(torch.tensor([1.5, 1.5]))
    got = sampled_softmax(ONE, ITEMS, torch.tensor([0]), torch.tensor([1, 2]), weight)
    assert got.item() == pytest.approx(math.log((2 + 1.5 + 0.75) / 2))


def test_a_negative_that_is_the_target_is_left_out_of_its_row() -> None:
    weight = torch.log(torch.tensor([1.5, 1.5]))
    got = sampled_softmax(ONE, ITEMS, torch.tensor([0]), torch.tensor([1, 0]), weight)
    assert got.item() == pytest.approx(math.log((2 + 1.5) / 2))


def test_binary_by_hand() -> None:
    got = binary(ONE, ITEMS, torch.tensor([0]), torch.tensor([[1, 2]]))
    # -log(2/3) - log(1/2) - log(1 - 1/3)
    assert got.item() == pytest.approx(-math.log(2 / 3 * 1 / 2 * 2 / 3), rel=1e-6)


def test_calibration_zero_is_binary_and_one_is_the_sampling_rate() -> None:
    hidden, items, target = random_case()
    negatives = torch.randint(7, (5, 3), generator=torch.Generator().manual_seed(1))
    plain = binary(hidden, items, target, negatives)
    torch.testing.assert_close(calibrated_binary(hidden, items, target, negatives, 0.0), plain)
    positive = torch.nn.functional.softplus(-(hidden * items[target]).sum(1)).mean()
    full = calibrated_binary(hidden, items, target, negatives, 1.0)
    torch.testing.assert_close(full, plain - positive * (1 - 3 / 6))


def test_sampled_softmax_approaches_the_full_one_for_uneven_draws() -> None:
    hidden, items, target = random_case()
    share = torch.linspace(1, 3, 7, dtype=torch.float64)
    share /= share.sum()
    drawn = torch.multinomial(share, 200_000, True, generator=torch.Generator().manual_seed(2))
    distinct, times = drawn.unique(return_counts=True)
    weight = torch.log(times / (len(drawn) * share[distinct]))
    got = sampled_softmax(hidden, items, target, distinct, weight)
    assert got.item() == pytest.approx(full_softmax(hidden, items, target).item(), abs=0.01)


@pytest.mark.parametrize("name", ["full", "sampled", "binary", "calibrated"])
def test_gradients_match_numeric_derivatives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.encoders.training.losses.BLOCK", 2)  # several blocks of rows
    hidden, items, target = random_case()
    own = torch.randint(7, (5, 3), generator=torch.Generator().manual_seed(1))
    shared = torch.tensor([0, 2, 3, 6])
    weight = torch.full((4,), math.log(7 / 4), dtype=torch.float64)
    losses = {
        "full": lambda h, v: full_softmax(h, v, target),
        "sampled": lambda h, v: sampled_softmax(h, v, target, shared, weight),
        "binary": lambda h, v: binary(h, v, target, own),
        "calibrated": lambda h, v: calibrated_binary(h, v, target, own, 0.75),
    }
    assert torch.autograd.gradcheck(losses[name], (hidden, items))

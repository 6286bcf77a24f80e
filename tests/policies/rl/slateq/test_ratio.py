"""Slates of highest value against all slates there are."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor

from policies.rl.slateq.ratio import gains, one_by_one, slate_value, weighted


def some(rows: int = 200, items: int = 7, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random_state = torch.Generator().manual_seed(seed)
    weight = torch.rand((rows, items), generator=random_state, dtype=torch.float64) + 0.01
    value = 5 * torch.randn((rows, items), generator=random_state, dtype=torch.float64)
    none = torch.randn(rows, generator=random_state, dtype=torch.float64)
    return weight, value, none


def value_of(slate: Tensor, weight: Tensor, value: Tensor, none: Tensor) -> Tensor:
    return slate_value(weight.gather(1, slate), value.gather(1, slate), none)


def test_value_of_a_slate_by_hand() -> None:
    weight, value = torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, 4.0]])
    # (1 x 3 + 1 x 10 + 2 x 4) / (1 + 1 + 2)
    assert slate_value(weight, value, torch.tensor([3.0])).item() == pytest.approx(21 / 4)


@pytest.mark.parametrize("offset", [0.0, 100.0, -100.0])
def test_no_slate_is_worth_more_than_the_top_of_the_gains(offset: float) -> None:
    weight, value, none = some()
    value, none = value + offset, none + offset
    slate = gains(weight, value, none, 3).topk(3).indices
    ours = value_of(slate, weight, value, none)
    every = [
        value_of(torch.tensor(s).expand(len(none), 3), weight, value, none)
        for s in combinations(range(7), 3)
    ]
    torch.testing.assert_close(ours, torch.stack(every).max(0).values, rtol=1e-9, atol=1e-9)


def test_a_large_common_value_makes_weighted_scores_rank_by_weight_alone() -> None:
    weight, value, none = some()
    by_weight = weight.topk(3).indices
    assert torch.equal(weighted(weight, value + 1e6).topk(3).indices, by_weight)
    exact = gains(weight, value + 1e6, none + 1e6, 3).topk(3).indices
    assert not torch.equal(exact, by_weight)


def test_one_by_one_is_its_slow_twin() -> None:
    weight, value, none = some(rows=30)
    slate = one_by_one(weight, value, none, 3).topk(3).indices
    for row in range(30):
        chosen: list[int] = []
        for _ in range(3):
            rest = [i for i in range(7) if i not in chosen]
            w, v, n = weight[row : row + 1], value[row : row + 1], none[row : row + 1]
            reached = [value_of(torch.tensor([[*chosen, i]]), w, v, n).item() for i in rest]
            chosen.append(rest[max(range(len(rest)), key=reached.__getitem__)])
        assert slate[row].tolist() == chosen


def test_what_is_not_eligible_is_never_shown() -> None:
    weight, value, none = some()
    weight[:, 2] = 0.0
    value[:, 2] = 1e6
    for score in (
        gains(weight, value, none, 3),
        weighted(weight, value),
        one_by_one(weight, value, none, 3),
    ):
        assert (score[:, 2] == -torch.inf).all()
        assert score.isfinite().sum(1).eq(6).all()

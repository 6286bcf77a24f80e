"""Scores of each row's own items against gathering the vectors first, and their derivative."""

from __future__ import annotations

import torch
from torch import Tensor

from policies.rl.nets import tied_scores


def gathered(query: Tensor, bias: Tensor, items: Tensor, ids: Tensor) -> Tensor:
    known = ids.clamp(min=0)
    scores = (items[known] * query[:, None]).sum(2) + bias[known]
    return scores.masked_fill(ids < 0, -torch.inf)


def test_scores_and_gradients_equal_those_of_gathered_vectors() -> None:
    torch.manual_seed(0)
    items, ids = torch.randn(9, 5), torch.randint(-1, 9, (40, 6))
    ids[:, 0] = 3  # one item in every row: its bias gets the gradients of all of them
    outcomes = []
    for way in (tied_scores, gathered):
        query = torch.linspace(-1, 1, 200).reshape(40, 5).requires_grad_()
        bias = torch.linspace(0, 1, 9).requires_grad_()
        scores = way(query, bias, items, ids)
        log_p = torch.log_softmax(scores, dim=1)
        log_p[ids >= 0].square().sum().backward()
        outcomes.append((scores.detach(), query.grad, bias.grad))
    for mine, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)

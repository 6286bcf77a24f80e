"""Next-item losses as pure functions of hidden states, item vectors and targets.

Shapes: N targets in a batch, D state width, A items, M shared negatives. All return the mean
over the N targets. Klenitskiy & Vasilev (2023): the loss matters more than the architecture.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

BLOCK = 1024  # rows whose logits are held at once
TINY = 1e-37  # smallest probability whose logarithm is reported


def full_softmax(hidden: Tensor, items: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy over the whole catalogue.

    Args:
        hidden: (N, D) state before each target.
        items: (A, D) item vectors.
        target: (N,) item ids.
    """
    return F.cross_entropy(hidden @ items.T, target)


def sampled_softmax(
    hidden: Tensor, items: Tensor, target: Tensor, negatives: Tensor, log_weight: Tensor
) -> Tensor:
    """Cross-entropy against M negatives shared by the batch, weighted for how they were drawn.

    With weight = times drawn / expected times drawn, the weighted exponentials estimate the
    catalogue's sum without bias (the logQ correction), and the loss approaches `full_softmax` as
    M grows. A negative that is a row's own target is left out of that row. Bengio & Senecal
    (2008); Yi et al. (2019).

    Args:
        hidden, items, target: as in `full_softmax`.
        negatives: (M,) distinct item ids.
        log_weight: (M,) see `policies.encoders.sampling`.
    """
    loss: Tensor = _SampledSoftmax.apply(  # type: ignore[no-untyped-call]
        hidden, items, target, negatives, log_weight
    )
    return loss


class _SampledSoftmax(torch.autograd.Function):
    """Loss and gradient in one pass over blocks of rows small enough for the cache."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, items: Tensor, target: Tensor, negatives: Tensor, shift: Tensor
    ) -> Tensor:
        rivals = items[negatives]  # (M, D)
        column = torch.full((len(items),), -1, dtype=torch.int64)
        column[negatives] = torch.arange(len(negatives))
        d_hidden, d_items = torch.empty_like(hidden), torch.zeros_like(items)
        d_rivals, total = torch.zeros_like(rivals), 0.0
        share = torch.empty(min(BLOCK, len(hidden)), len(negatives) + 1, dtype=hidden.dtype)
        for first in range(0, len(hidden), BLOCK):
            h, t = hidden[first : first + BLOCK], target[first : first + BLOCK]
            own = items[t]  # (n, D)
            p = share[: len(h)]  # (n, M + 1): the target, then the negatives
            torch.addmm(shift, h, rivals.T, out=p[:, 1:])
            torch.sum(h * own, dim=1, out=p[:, 0])
            clash = column[t]
            rows = torch.nonzero(clash >= 0).squeeze(1)
            p[rows, clash[rows] + 1] = -torch.inf
            p = torch.softmax(p, dim=1)
            total -= float(p[:, 0].clamp_min(TINY).log().sum())
            p[:, 0] -= 1  # now the gradient of the logits
            torch.mm(p[:, 1:], rivals, out=d_hidden[first : first + BLOCK])
            d_hidden[first : first + BLOCK].addcmul_(own, p[:, :1])
            d_rivals.addmm_(p[:, 1:].T, h)
            d_items.index_add_(0, t, h * p[:, :1])
        d_items.index_add_(0, negatives, d_rivals)
        ctx.save_for_backward(d_hidden.div_(len(hidden)), d_items.div_(len(hidden)))
        return hidden.new_tensor(total / len(hidden))

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        d_hidden, d_items = ctx.saved_tensors
        return d_hidden * scale, d_items * scale, None, None, None


def binary(hidden: Tensor, items: Tensor, target: Tensor, negatives: Tensor) -> Tensor:
    """Each target against its own negatives as yes/no questions; SASRec's first loss (2018).

    Args:
        hidden, items, target: as in `full_softmax`.
        negatives: (N, M) item ids, own ones for each target.
    """
    positive = (hidden * items[target]).sum(1)  # (N,)
    negative = torch.einsum("nd,nmd->nm", hidden, items[negatives])  # (N, M)
    return (F.softplus(-positive) + F.softplus(negative).sum(1)).mean()


def calibrated_binary(
    hidden: Tensor, items: Tensor, target: Tensor, negatives: Tensor, calibration: float
) -> Tensor:
    """gBCE: the positive's probability is raised to a power below 1 that undoes negative sampling.

    With sampling rate a = M / (A - 1) the power is a (t (1 - 1/a) + 1/a): t = 0 is `binary`,
    t = 1 gives calibrated probabilities. Petrov & Macdonald, gSASRec (2023).

    Args:
        hidden, items, target, negatives: as in `binary`.
        calibration: t in [0, 1].
    """
    rate = negatives.shape[1] / (len(items) - 1)
    power = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    positive = (hidden * items[target]).sum(1)  # (N,)
    negative = torch.einsum("nd,nmd->nm", hidden, items[negatives])  # (N, M)
    return (power * F.softplus(-positive) + F.softplus(negative).sum(1)).mean()

"""Next-item losses as pure functions of hidden states, item vectors and targets.

Shapes: N targets in a batch, D state width, A items, M shared negatives. All return the mean
over the N targets. Klenitskiy & Vasilev (2023): the loss matters more than the architecture.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

BLOCK = 512  # rows whose logits are in memory at once
TINY = 1e-37  # smallest probability in a logarithm


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
    (2008); Yi et al. (2019). In NumPy::

        def sampled_softmax(hidden, items, target, negatives, log_weight):
            positive = (hidden * items[target]).sum(axis=1)
            logits = hidden @ items[negatives].T + log_weight  # (N, M)
            logits[target[:, None] == negatives] = -np.inf
            total = np.exp(positive) + np.exp(logits).sum(axis=1)
            return (np.log(total) - positive).mean()

    The same in torch, its derivative by autograd, takes twice as long (N 4,000, A 3,416, D 64,
    M 256, one thread) and keeps several (N, M) tables; `full_softmax` takes 20 times as long.

    Args:
        hidden, items, target: as in `full_softmax`.
        negatives: (M,) distinct item ids.
        log_weight: (M,) log of 1 over the expected number of draws; log(A / M) if uniform.
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
        negative_items = items[negatives]  # (M, D)
        size = len(negatives)
        column = negatives.new_full((len(items),), size + 1)  # a column of -inf
        column[negatives] = torch.arange(size, device=negatives.device)
        target_items = items.index_select(0, target)  # (N, D)
        collision = column[target]  # (N,) where a row's target is among the negatives
        positive = (hidden * target_items).sum(1)
        d_hidden, d_negatives = torch.empty_like(hidden), torch.zeros_like(negative_items)
        target_probability = torch.empty_like(positive)
        buffer = hidden.new_empty(min(BLOCK, len(hidden)), size + 8)  # logits, in aligned rows
        for first in range(0, len(hidden), BLOCK):
            h = hidden[first : first + BLOCK]
            here = slice(first, first + len(h))
            logits = buffer[: len(h)]
            torch.mm(h, negative_items.T, out=logits[:, :size]).add_(shift)
            logits[:, size] = positive[here]
            logits[:, size + 1 :] = -torch.inf
            logits.scatter_(1, collision[here, None], -torch.inf)
            probability = torch.softmax(logits, dim=1)
            target_probability[here] = probability[:, size]
            torch.mm(probability[:, :size], negative_items, out=d_hidden[here])
            d_negatives.addmm_(probability[:, :size].T, h)
        loss = -target_probability.clamp_min(TINY).log().mean()
        d_logit = (target_probability - 1)[:, None]  # of the target
        d_hidden.addcmul_(target_items, d_logit)
        d_items = torch.zeros_like(items).index_add_(0, target, hidden * d_logit)
        d_items.index_add_(0, negatives, d_negatives)
        ctx.save_for_backward(d_hidden.div_(len(hidden)), d_items.div_(len(hidden)))
        return loss

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        d_hidden, d_items = ctx.saved_tensors
        return d_hidden * scale, d_items * scale, None, None, None


def binary(hidden: Tensor, items: Tensor, target: Tensor, negatives: Tensor) -> Tensor:
    """Each target against its own negatives as binary classifications; SASRec's first loss (2018).

    Args:
        hidden, items, target: as in `full_softmax`.
        negatives: (N, M) item ids, drawn for each target.
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

"""Next-item losses as pure functions of hidden states, item vectors and targets.

Shapes: N targets in a batch, D state width, A items, M shared negatives. All return the mean
over the N targets. Klenitskiy & Vasilev (2023): the loss matters more than the architecture.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def full_softmax(hidden: Tensor, items: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy over the whole catalogue.

    Args:
        hidden: (N, D) state before each target.
        items: (A, D) item vectors.
        target: (N,) item ids.
    """
    return F.cross_entropy(hidden @ items.T, target)


def sampled_softmax(
    hidden: Tensor, items: Tensor, target: Tensor, negatives: Tensor, log_q: Tensor
) -> Tensor:
    """Cross-entropy against M negatives shared by the batch, corrected for how they were drawn.

    A negative's logit loses log(M q): its exponential then estimates the catalogue's sum without
    bias, and the loss approaches `full_softmax` as M grows. A negative that is a row's own target
    is left out of that row. Bengio & Senecal (2008); Yi et al. (2019).

    Args:
        hidden, items, target: as in `full_softmax`.
        negatives: (M,) item ids drawn with replacement.
        log_q: (M,) log-probability of drawing each of them.
    """
    logits = hidden @ items[negatives].T - (log_q + math.log(len(negatives)))  # (N, M)
    logits = logits.masked_fill(target[:, None] == negatives, -torch.inf)
    positive = (hidden * items[target]).sum(1, keepdim=True)  # (N, 1)
    total = torch.logsumexp(torch.cat([positive, logits], dim=1), dim=1, keepdim=True)
    return (total - positive).mean()


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

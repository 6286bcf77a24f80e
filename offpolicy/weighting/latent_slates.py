"""Slates weighed by an abstraction of them: which items, the first positions, their genres.
Kiyohara, Nomura & Saito (2024)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.log.checks import validate
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores, check_scores

Abstraction = Callable[[NDArray[np.int32], I64], ArrayLike]
# slates (M, K) and their rows (M,) -> codes (M,), or chances (M, Z) of Z latent values


def lips_terms(
    log: LoggedDataset,
    target: TargetScores,
    logger: TargetScores,
    *,
    abstraction: Abstraction,
) -> Terms:
    """One-decision terms with weights E_target[p(z | x, slate)] / E_logger[p(z | x, slate)] of the
    logged slate's latent value z, averaged over z where the abstraction leaves it open. Unbiased if
    the reward depends on the slate through z alone, and light, since abstractions meet more often
    than slates do.

    `target` and `logger` carry slates of both policies for each row: all slates with their
    probabilities (slate_weight), or draws, whose ratio is then biased by order 1 / draws. The paper
    learns the abstraction by gradients; here the caller names it, and `selection.slope` chooses
    among the intervals of finer and coarser ones, as the error of each trades bias for variance.

    Raises:
        LogError: scores without slates, or a logging policy that never has the latent value.
    """
    for scores in (target, logger):
        check_scores(log, scores)
    logged = _chances(abstraction, log.slate, np.arange(len(log)))
    code = logged if logged.ndim == 1 else None
    held = np.ones((len(log), 1)) if code is not None else logged  # a code is the one value it has
    above = _expected(log, target, "target", abstraction, code)
    below = _expected(log, logger, "logging policy", abstraction, code)
    validate(
        ((held > 0) & (below <= 0)).any(1),
        lambda i: (
            f"row {i}: the logging policy's slates never have the latent value of the logged slate "
            f"{log.slate[i].tolist()}. Give all its slates with slate_weight, or more draws."
        ),
    )
    ratio = np.divide(above, below, out=np.zeros_like(above), where=held > 0)
    unit = log.unit
    w, h = (held * ratio).sum(1), log.row_weight
    return Terms(w, log.reward, None, None, unit, horizon="one_step", row_weight=h)


def _expected(
    log: LoggedDataset,
    scores: TargetScores,
    who: str,
    abstraction: Abstraction,
    code: NDArray[Any] | None,
) -> F64:
    """(N, Z) chance of each latent value under a policy; with codes (N, 1), that of the row's."""
    if scores.slates is None:
        raise LogError(f"the {who}'s scores carry no slates; lips weighs what it would show")
    n, draws, positions = scores.slates.shape
    share = np.full((n, draws), 1 / draws) if scores.slate_weight is None else scores.slate_weight
    flat = scores.slates.reshape(n * draws, positions)
    latent = _chances(abstraction, flat, np.repeat(np.arange(n), draws))
    if code is not None:
        same = latent.reshape(n, draws) == code[:, None]
        return np.asarray((share * same).sum(1, keepdims=True))
    return np.asarray(np.einsum("nd,ndz->nz", share, latent.reshape(n, draws, -1)))


def _chances(abstraction: Abstraction, slates: NDArray[np.int32], rows: I64) -> NDArray[Any]:
    """Codes (M,), or chances (M, Z) that sum to 1."""
    chances = np.asarray(abstraction(slates, rows))
    if chances.ndim not in (1, 2) or len(chances) != len(slates):
        raise LogError(
            f"the abstraction made {chances.shape} of {len(slates)} slates; it makes a code of "
            "each, or a row of chances"
        )
    if chances.ndim == 2 and not (
        (chances >= 0).all() and np.allclose(chances.sum(1), 1, rtol=0, atol=1e-6)
    ):
        raise LogError("the abstraction's chances must not be negative and sum to 1 in every row")
    return chances

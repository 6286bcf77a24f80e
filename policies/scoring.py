"""What a policy would have done with each logged slate: from a policy to its evaluation."""

from __future__ import annotations

import numpy as np

from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from policies.base import Policy, conditional
from policies.observation import Serving, columns_of, items_of, observation_of_log
from policies.validation import COUNT, whole


def score_log(
    policy: Policy, log: LoggedDataset, *, n_slates: int = 8, seed: int = 0, chunk: int = 8192
) -> TargetScores:
    """Probability of every logged slate under `policy`, (N,) and per place (N, K).

    n_slates: slates drawn from the policy on each row, (N, n_slates, K); reward models average over
        them to get the target's value of the row without bias. 0 draws none (then dm and dr cannot
        be had).
    chunk: rows scored at a time. Memory beside the result: the histories of all rows, N H (1 + R)
        numbers, and C numbers for each row of a chunk.

    Raises ValueError when the log is of another catalogue, or shows items that were not candidates.
    """
    check_slate_size(log, policy.serving)
    seen = observation_of_log(log, policy.serving)
    whole(0).check("n_slates", n_slates)
    COUNT.check("chunk", chunk)
    rng = np.random.default_rng(seed)
    n, k = log.slate.shape
    prefix = np.empty((n, k))
    drawn = np.empty((n, n_slates, k), np.int32)
    for start in range(0, n, chunk):
        rows = slice(start, min(start + chunk, n))
        part = seen.rows(rows)
        d = policy.distribution(part)
        prefix[rows] = d.prefix(columns_of(part, log.slate[rows]))
        for s in range(n_slates):
            drawn[rows, s] = items_of(part, d.sample(rng))
    return TargetScores(
        propensity=prefix[:, -1],
        position_propensity=conditional(prefix),
        slates=drawn if n_slates else None,
    )


def check_slate_size(log: LoggedDataset, serving: Serving) -> None:
    """Raise ValueError for a log of slates of another size than the policy's."""
    if log.slate.shape[1] != serving.slate_size:
        raise ValueError(
            f"the log shows {log.slate.shape[1]} items a slate, the policy {serving.slate_size}: "
            "their slates cannot be compared. Build the policy for the slate size that was logged."
        )

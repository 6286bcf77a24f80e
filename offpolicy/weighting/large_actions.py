"""Large action sets: weights of embeddings or clusters instead of actions. No (N, A) array is
stored: policies give their probabilities a block of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.estimators.terms import F64, Terms

Probabilities = Callable[[slice], tuple[ArrayLike, ArrayLike]]  # rows -> logging, target: (b, A)
Values = Callable[[slice], ArrayLike]  # rows -> the model's reward of every action: (b, A)
ENTIRE = 1e-4  # how far a row of probabilities may sum from 1
BLOCK_ENTRIES = 1 << 22  # actions x rows looked at together


def mips_terms(
    probabilities: Probabilities,
    *,
    embedding: NDArray[np.integer],
    embedding_given_action: Sequence[F64],
    reward: F64,
    unit: NDArray[np.generic] | None = None,
    row_weight: F64 | None = None,
) -> Terms:
    """Marginal weights sum_a pi_e p(e|a) / sum_a pi_b p(e|a) over categorical embeddings (N, E).

    `embedding_given_action` holds a table (A, categories) per dimension, independent given the
    action; a 0/1 table is a deterministic embedding. Saito & Joachims (2022).

    Raises:
        ValueError: a logged embedding is impossible under the logging policy.
    """
    given = [np.asarray(t, np.float64) for t in embedding_given_action]  # (A, categories)
    if not given or any(t.ndim != 2 or t.shape[0] != len(given[0]) for t in given):
        raise ValueError(
            f"embedding_given_action has tables of shapes {[t.shape for t in given]}; one "
            "(A, categories) for each dimension of the embedding, one at least"
        )
    tables = [np.ascontiguousarray(t.T) for t in given]  # (categories, A)
    reward = np.asarray(reward, np.float64)
    n, n_actions = len(reward), tables[0].shape[1]
    embedding = _column("embedding", embedding, (n, len(tables)))
    for d, table in enumerate(tables):
        _check_codes(f"embedding[:, {d}]", embedding[:, d], len(table))
        if not ((table >= 0).all() and (np.abs(table.sum(0) - 1) <= ENTIRE).all()):
            raise ValueError(
                f"embedding_given_action[{d}] is (A, categories): each action's chances of the "
                "categories, not negative and 1 together"
            )
    weight = np.empty(n)
    for rows in row_blocks(n, n_actions):
        logging, target = _distributions(probabilities, rows, n_actions)
        chance = tables[0][embedding[rows, 0]]
        for d in range(1, len(tables)):
            chance = chance * tables[d][embedding[rows, d]]
        weight[rows] = _ratio(chance, logging, target, rows)
    return _terms(weight, reward, None, None, unit, row_weight)


def offcem_terms(
    probabilities: Probabilities,
    *,
    action: NDArray[np.integer],
    cluster: NDArray[np.integer],
    reward: F64,
    values: Values | None = None,
    unit: NDArray[np.generic] | None = None,
    row_weight: F64 | None = None,
) -> Terms:
    """Cluster weights sum_{a in c} pi_e / sum_{a in c} pi_b for the residual of a model that speaks
    within clusters: `cluster` (A,) codes, `values` rows -> (b, A). Without values it is IPS over
    clusters. Saito, Ren & Joachims (2023)."""
    from scipy.sparse import csr_array

    cluster, reward = np.asarray(cluster), np.asarray(reward, np.float64)
    n, n_actions = len(reward), cluster.size
    action = _column("action", action, (n,))
    _check_codes("action", action, n_actions)
    _check_codes("cluster", _column("cluster", cluster, (n_actions,)), n_actions)
    member = csr_array((np.ones(n_actions), (np.arange(n_actions), cluster)))
    weight, q, v = np.empty(n), np.zeros(n), np.zeros(n)
    for rows in row_blocks(n, n_actions):
        logging, target = _distributions(probabilities, rows, n_actions)
        at = np.arange(len(logging)), cluster[action[rows]]
        below = np.asarray(logging @ member)[at]
        _check_support(below, rows, "the cluster of the logged action")
        weight[rows] = np.asarray(target @ member)[at] / below
        if values is not None:
            worth = np.asarray(values(rows))
            q[rows] = worth[at[0], action[rows]]
            v[rows] = (target * worth).sum(1)
    return _terms(weight, reward, q, v, unit, row_weight)


def action_terms(
    probabilities: Probabilities,
    *,
    action: NDArray[np.integer],
    n_actions: int,
    reward: F64,
    values: Values | None = None,
    unit: NDArray[np.generic] | None = None,
    row_weight: F64 | None = None,
) -> Terms:
    """Plain one-decision terms from full distributions, a block at a time."""
    _check_whole("n_actions", n_actions, 1)
    return offcem_terms(
        probabilities,
        action=action,
        cluster=np.arange(n_actions),
        reward=reward,
        values=values,
        unit=unit,
        row_weight=row_weight,
    )


def estimated_mips_terms(
    probabilities: Probabilities,
    *,
    context: F64,
    action: NDArray[np.integer],
    embedding: F64,
    reward: F64,
    folds: int = 2,
    seed: int = 0,
    unit: NDArray[np.generic] | None = None,
    row_weight: F64 | None = None,
) -> Terms:
    """MIPS where p(e|a) is unknown: w(x, e) = E[pi_e / pi_b of the action | x, e], the action's
    probability given context (N, D) and embedding (N, E) learned by cross-fitted logistic
    regression. Saito & Joachims (2022). The interval leaves out the regression's error and does not
    hold at its level: nominal 95 % covered .83 to .95."""
    from sklearn.linear_model import LogisticRegression

    reward = np.asarray(reward, np.float64)
    n = len(reward)
    action = _column("action", action, (n,))
    _check_whole("folds", folds, 2)
    x = np.concatenate([context, embedding], axis=1)
    if x.shape[:1] != (n,) or x.ndim != 2:
        raise ValueError(f"context and embedding have {x.shape} entries for {n} rows")
    fold = np.random.default_rng(seed).permutation(len(x)) % folds
    h = np.ones(len(x)) if row_weight is None else row_weight
    models = [
        LogisticRegression(max_iter=1000).fit(x[fold != k], action[fold != k], h[fold != k])
        for k in range(folds)
    ]
    weight = np.empty(len(x))
    n_actions = np.asarray(probabilities(slice(0, 1))[0]).shape[1]
    _check_codes("action", action, n_actions)
    for rows in row_blocks(len(x), n_actions):
        logging, target = _distributions(probabilities, rows, n_actions)
        ratio = np.divide(target, logging, out=np.zeros_like(target), where=logging > 0)
        for k, model in enumerate(models):
            own = np.flatnonzero(fold[rows] == k)
            if own.size:
                chance = model.predict_proba(x[rows][own])
                weight[rows.start + own] = (chance * ratio[own][:, model.classes_]).sum(1)
    return _terms(weight, reward, None, None, unit, row_weight)


def row_blocks(n: int, n_actions: int) -> list[slice]:
    """Slices of rows such that rows x actions stays small."""
    size = max(BLOCK_ENTRIES // max(n_actions, 1), 1)
    return [slice(at, min(at + size, n)) for at in range(0, n, size)]


def _ratio(chance: F64, logging: F64, target: F64, rows: slice) -> F64:
    below = np.einsum("ba,ba->b", logging, chance)
    _check_support(below, rows, "the logged embedding")
    return np.asarray(np.einsum("ba,ba->b", target, chance) / below)


def _check_support(below: F64, rows: slice, what: str) -> None:
    if (below <= 0).any():
        row = rows.start + int(np.flatnonzero(below <= 0)[0])
        raise ValueError(
            f"row {row}: {what} has probability 0 under the logging policy; check the logging "
            "probabilities, and p(e|a) where there are embeddings"
        )


def _check_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} = {value!r}; give a whole number of at least {least}")


def _column(name: str, given: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    x = np.asarray(given)
    if x.shape[:1] != shape[:1]:
        raise ValueError(
            f"{name} has {len(x) if x.ndim else 'no'} rows, reward {shape[0]}; both are one entry "
            "a decision"
        )
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, not {shape}")
    return x


def _check_codes(name: str, codes: NDArray[np.integer], n: int) -> None:
    if codes.dtype.kind not in "iu":
        raise ValueError(f"{name} holds {codes.dtype}; codes are whole numbers from 0 to {n - 1}")
    bad = np.flatnonzero((codes < 0) | (codes >= n))
    if bad.size:
        row = int(bad[0])
        raise ValueError(f"{name} of row {row} is {codes[row]}; codes run from 0 to {n - 1}")


def _distributions(probabilities: Probabilities, rows: slice, n_actions: int) -> tuple[F64, F64]:
    """Logging and target probabilities (b, A) of a block of rows; each row sums to 1."""
    both = tuple(np.asarray(p, np.float64) for p in probabilities(rows))
    for name, p in zip(("logging", "target"), both, strict=True):
        shape = (rows.stop - rows.start, n_actions)
        if p.shape != shape:
            raise ValueError(f"the {name} probabilities of {rows} are {p.shape}, not {shape}")
        off = np.flatnonzero(~(np.abs(p.sum(1) - 1) <= ENTIRE) | (p < 0).any(1))
        if off.size:
            row = int(off[0])
            raise ValueError(
                f"row {rows.start + row}: the {name} probabilities sum to {p[row].sum():.6g}, the "
                f"least is {p[row].min():.6g}; they are not negative and sum to 1"
            )
    return both[0], both[1]


def _terms(
    weight: F64,
    reward: F64,
    q: F64 | None,
    v: F64 | None,
    unit: NDArray[np.generic] | None,
    row_weight: F64 | None,
) -> Terms:
    own = np.arange(len(reward)) if unit is None else unit
    return Terms(weight, reward, q, v, own, horizon="one_step", row_weight=row_weight)

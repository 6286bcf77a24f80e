"""MIPS against IPS as actions grow: the synthetic world of Saito & Joachims (2022).

Three embedding dimensions of ten categories, p(e | a) a softmax of normal draws, rewards linear in
context, latent category vector and their products, each with a constant beside it, noise 2.5,
logging a softmax of minus the expected reward, target epsilon-greedy with epsilon .05; 10,000 rows.

The weights of IPS have no useful tail bound here, so that a mean over seeds of its squared error is
itself noisy: `expected_errors` sums over all actions and embeddings instead of drawing them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy import estimate
from offpolicy.weighting.large_actions import action_terms, mips_terms

F64 = NDArray[np.float64]
PRINTED = {10: (0.49, 0.040), 100: (6.2, 0.064), 500: (14.0, 0.082), 1000: (19.6, 0.087)}
DIMS, CATEGORIES, LATENT, CONTEXT, NOISE, EPSILON, ROWS = 3, 10, 5, 10, 2.5, 0.05, 10_000
SEEDS = 100  # of the published figure


class SyntheticBandit(NamedTuple):
    """Fixed parts of one world."""

    embedding: list[F64]  # per dimension (A, categories) p(e | a)
    latent: F64  # (dims, categories, latent)
    of_context: F64  # (dims, 1 + context)
    of_category: F64  # (dims, 1 + latent)
    crossed: F64  # (dims, 1 + context, 1 + latent)
    importance: F64  # (dims,)


def make_world(n_actions: int, seed: int) -> SyntheticBandit:
    """Draw a world."""
    rng = np.random.default_rng([seed, n_actions])
    e = np.exp(rng.standard_normal((DIMS, n_actions, CATEGORIES)))
    return SyntheticBandit(
        list(e / e.sum(2, keepdims=True)),
        rng.standard_normal((DIMS, CATEGORIES, LATENT)),
        rng.uniform(-1, 1, (DIMS, 1 + CONTEXT)),
        rng.uniform(-1, 1, (DIMS, 1 + LATENT)),
        rng.uniform(-1, 1, (DIMS, 1 + CONTEXT, 1 + LATENT)),
        rng.dirichlet(rng.uniform(size=DIMS)),
    )


def category_rewards(w: SyntheticBandit, x: F64) -> F64:
    """(dims, n, categories) expected reward of each category."""
    one_x, parts = _with_one(x), []
    for d in range(DIMS):
        latent = _with_one(w.latent[d])
        q = (one_x @ w.of_context[d])[:, None] + latent @ w.of_category[d]
        parts.append(q + one_x @ w.crossed[d] @ latent.T)
    return np.stack(parts)


def _with_one(x: F64) -> F64:
    return np.column_stack([np.ones(len(x)), x])


def action_rewards(w: SyntheticBandit, per_category: F64) -> F64:
    """(n, A) expected reward of each action."""
    return np.asarray(
        sum(w.importance[d] * per_category[d] @ w.embedding[d].T for d in range(DIMS))
    )


def policies(q: F64) -> tuple[F64, F64]:
    """Logging softmax(-q), target epsilon-greedy in q."""
    e = np.exp(-q - (-q).max(1, keepdims=True))
    target = np.full(q.shape, EPSILON / q.shape[1])
    target[np.arange(len(q)), q.argmax(1)] += 1 - EPSILON
    return e / e.sum(1, keepdims=True), target


def draw(p: F64, rng: np.random.Generator) -> NDArray[np.int64]:
    """One category a row."""
    return np.asarray((rng.random((len(p), 1)) > p.cumsum(1)).sum(1).clip(max=p.shape[1] - 1))


def true_value(w: SyntheticBandit, rng: np.random.Generator) -> float:
    """The target's value, on contexts of their own."""
    q = action_rewards(w, category_rewards(w, rng.standard_normal((ROWS, CONTEXT))))
    return float((policies(q)[1] * q).sum(1).mean())


def one_log(w: SyntheticBandit, rng: np.random.Generator) -> tuple[float, float]:
    """IPS and MIPS on one log."""
    x = rng.standard_normal((ROWS, CONTEXT))
    per_category = category_rewards(w, x)
    logging, target = policies(action_rewards(w, per_category))
    action = draw(logging, rng)
    e = np.column_stack([draw(w.embedding[d][action], rng) for d in range(DIMS)])
    every = np.arange(ROWS)
    mean = sum(w.importance[d] * per_category[d][every, e[:, d]] for d in range(DIMS))
    reward = np.asarray(mean + NOISE * rng.standard_normal(ROWS))

    def both(rows: slice) -> tuple[F64, F64]:
        return logging[rows], target[rows]

    plain = action_terms(both, action=action, n_actions=logging.shape[1], reward=reward)
    marginal = mips_terms(both, embedding=e, embedding_given_action=w.embedding, reward=reward)
    return estimate(plain, "ips").value, estimate(marginal, "mips").value


def squared_errors(n_actions: int, seeds: int = SEEDS) -> F64:
    """(seeds, 2) squared errors of IPS and of MIPS, each seed a world of its own."""
    errors = []
    for seed in range(seeds):
        w, rng = make_world(n_actions, seed), np.random.default_rng([seed, 1])
        truth = true_value(w, rng)
        errors.append([(value - truth) ** 2 for value in one_log(w, rng)])
    return np.array(errors)


def expected_errors(n_actions: int, seed: int, contexts: int = 500) -> tuple[float, float]:
    """Expected squared errors of IPS and MIPS in one world: variances of w r over actions,
    embeddings and noise by summation, over contexts by `contexts` draws; both are unbiased."""
    w = make_world(n_actions, seed)
    x = np.random.default_rng([seed, 2]).standard_normal((contexts, CONTEXT))
    per_category = category_rewards(w, x)
    q = action_rewards(w, per_category)
    logging, target = policies(q)
    square = q**2 + NOISE**2  # (n, A) of the reward: mean, noise, spread over embeddings
    for d, share in enumerate(w.importance):
        mean = per_category[d] @ w.embedding[d].T
        square = square + share**2 * (per_category[d] ** 2 @ w.embedding[d].T - mean**2)
    chance = _joint(w.embedding, np.multiply)
    reward = _joint([w.importance[d] * per_category[d] for d in range(DIMS)])
    value = float((target * q).sum(1).mean())
    ips = (target**2 / logging * square).sum(1).mean()
    weighted = (target @ chance) ** 2 / (logging @ chance)
    mips = (weighted * (reward**2 + NOISE**2)).sum(1).mean()
    return float(ips - value**2) / ROWS, float(mips - value**2) / ROWS


def _joint(tables: Sequence[F64], combine: np.ufunc = np.add) -> F64:
    """(n, C) for each dimension -> (n, C ** dims), every combination of categories."""
    whole = tables[0]
    for t in tables[1:]:
        whole = combine(whole[:, :, None], t[:, None, :]).reshape(len(whole), -1)
    return whole

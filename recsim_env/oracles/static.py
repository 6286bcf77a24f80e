"""The best ranking that ignores the user: what personal, state-dependent planning is measured over.

One score for every item, the same for all users at every step; a slate is drawn from the offer by
Plackett-Luce over the scores, at a sharpness that is searched as well, for where a world offers
everything, one slate for ever is a poor plan. Scores are found with knowledge of the world: weights
of what its catalogue says of the items (quality, length and clickbait with their squares, topics,
vectors; in a small catalogue, a number for every item), searched by the cross-entropy method
(Rubinstein, 1999) over whole sessions. The value of what is found is a lower bound of that of the
best static ranking: a search may miss it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue
from recsim_env.observations import Observation
from recsim_env.oracles.oracle import Rule, bare, session_returns, shaped

F64 = NDArray[np.float64]
SHARES = (1.0, 8.0, 0.25, 0.0)  # of the sharpness found, tried at the end; 0: uniform slates
SMALL = 60  # items, up to which each has a number of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticConfig:
    """How far to search."""

    population: int = 48  # rankings of a generation
    elite: int = 12  # of them say where the next are drawn
    generations: int = 30
    smoothing: float = 0.5  # share of the spread that a generation hands on
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.elite <= self.population or self.generations < 1:
            raise ValueError("a search needs 2..population elite rankings and a generation")


def item_columns(catalogue: Catalogue) -> F64:
    """(A, P) what static scores are made of, in standard deviations; columns of one value are left
    out."""
    c = catalogue
    if len(c) <= SMALL:
        return np.eye(len(c))
    plain = np.column_stack([c.quality, c.length, c.clickbait, c.popularity])
    z = standard(plain)
    return np.concatenate([z, standard(z**2), standard(c.one_hot_topics()), standard(c.vectors)], 1)


def standard(table: NDArray[Any]) -> F64:
    """Columns of mean 0 and variance 1, of those that vary."""
    x = np.asarray(table, np.float64)
    spread = x.std(axis=0)
    varies = spread > 1e-9 * np.maximum(np.abs(x.mean(axis=0)), 1e-12)
    return np.asarray((x[:, varies] - x.mean(axis=0)[varies]) / spread[varies])


def static_ranking(scores: F64) -> Rule:
    """The rule of static scores: (A,) for all users, or (N, A) a ranking for each. The draw adds
    Gumbel noise of unit scale: scores far apart are a fixed order, equal ones uniform slates."""

    def rule(env: Any, obs: Observation, rng: np.random.Generator) -> NDArray[np.int64]:
        core = bare(env)
        items = core.live_choices()
        known = scores[items] if scores.ndim == 1 else np.take_along_axis(scores, items, axis=1)
        noisy = known + rng.gumbel(size=known.shape)
        return shaped(core, np.argsort(-noisy, axis=1)[:, : core.slate_size])

    return rule


def best_static_ranking(env: Any, config: StaticConfig | None = None) -> F64:
    """Scores (A,) of the best static ranking that the search finds, for `static_ranking`.

    env: its users are shared by the rankings of a generation, so give some hundreds of them; it is
    reset. Raises ValueError for fewer users than rankings of a generation.
    """
    cfg, core = config or StaticConfig(), bare(env)
    if core.num_envs < cfg.population:
        raise ValueError(
            f"{core.num_envs} users for {cfg.population} rankings: each needs one at least"
        )
    columns = item_columns(core.catalogue)
    size = columns.shape[1] + 1
    rng = np.random.default_rng(cfg.seed)
    which = np.arange(core.num_envs) % cfg.population
    centre, spread = np.zeros(size), np.ones(size)
    for generation in range(cfg.generations):
        drawn = centre + spread * rng.standard_normal((cfg.population, size))
        rule = static_ranking(sharpened(drawn, columns)[which])
        seed = int(np.random.SeedSequence([cfg.seed, generation]).generate_state(1)[0])
        total = session_returns(env, rule, seed=seed).total
        value = np.bincount(which, total) / np.bincount(which)
        best = drawn[np.argsort(-value)[: cfg.elite]]
        centre = best.mean(axis=0)
        spread = cfg.smoothing * spread + (1.0 - cfg.smoothing) * best.std(axis=0, ddof=1)
    found = sharpened(centre[None], columns)[0]
    last = [
        session_returns(env, static_ranking(share * found), seed=cfg.seed + 1).total.mean()
        for share in SHARES
    ]
    return np.asarray(SHARES[int(np.argmax(last))] * found)


def sharpened(weights: F64, columns: F64) -> F64:
    """(M, A) scores of weights (M, P + 1): a direction over the columns, and in the last place the
    logarithm of the scores' spread over the catalogue, around 8: the best K nearly surely."""
    scores = weights[:, :-1] @ columns.T
    spread = np.maximum(scores.std(axis=1, keepdims=True), 1e-12)
    return np.asarray(scores / spread * 8.0 * np.exp(weights[:, -1:]))

"""The conditional logit of a calibrated world, by maximum likelihood over logged choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from recsim_env.users.calibrated import CalibratedConfig

KEEPS = (0.5, 0.8, 0.9, 0.97)  # memories of boredom that are tried
NEVER = -50.0  # utility of a repeat where the log has none


class ChoiceTable(NamedTuple):
    """M logged choices, each the first of 1 + N items; the others were drawn by popularity.

    Against items drawn by popularity the likelihood is that of a choice from the whole catalogue
    with log popularity as an offset (McFadden, 1978).
    """

    match: NDArray[np.float64]  # (M, 1 + N) cosine of item and what else the person had
    follow: NDArray[np.float64]  # (M, 1 + N) log-lift of following the last item
    tilt: NDArray[np.float64]  # (M, 1 + N) log popularity
    renown: NDArray[np.float64]  # (M, 1 + N) the same times the person's own pull
    repeat: NDArray[np.float64]  # (M, 1 + N) 1 where the person had the item before
    boredom: NDArray[np.float64]  # (len(KEEPS), M, 1 + N)


def choice_table(
    histories: Sequence[NDArray[np.integer]],
    *,
    vectors: NDArray[np.float32],
    lead: NDArray[np.float32],
    trail: NDArray[np.float32],
    topics: NDArray[np.integer],
    fame: NDArray[np.float64],
    pull: NDArray[np.float64],
    popularity: NDArray[np.floating],
    rng: np.random.Generator,
    negatives: int = 50,
    most: int = 10_000,
) -> ChoiceTable:
    """The choices of whole users, in random order, until there are `most`."""
    cdf = np.cumsum(popularity) / np.sum(popularity)
    keeps = np.array(KEEPS)[:, None]
    rows: list[list[NDArray[np.float64]]] = [[], [], [], [], [], []]
    for n in rng.permutation(len(histories)):
        items = histories[n]
        total, seen = vectors[items].sum(0), {int(items[0])}
        bored = np.zeros((len(KEEPS), int(topics.max()) + 1))
        bored[:, topics[items[0]]] = 1 - keeps[:, 0]
        draws = np.searchsorted(cdf, rng.random((len(items), negatives)))
        for t in range(1, len(items)):
            shown = np.r_[items[t], draws[t]]
            u = total - vectors[items[t]]  # without the choice that it is to explain
            rows[0].append(vectors[shown] @ u / max(float(np.linalg.norm(u)), 1e-9))
            rows[1].append(trail[shown] @ lead[items[t - 1]])
            rows[2].append(fame[shown])
            rows[3].append(pull[n] * fame[shown])
            rows[4].append(np.array([float(int(i) in seen) for i in shown]))
            rows[5].append(bored[:, topics[shown]])
            seen.add(int(items[t]))
            bored = bored * keeps
            bored[:, topics[items[t]]] += 1 - keeps[:, 0]
        if len(rows[0]) >= most:
            break
    match, follow, tilt, renown, repeat, boredom = (np.array(r, np.float64) for r in rows)
    return ChoiceTable(match, follow, tilt, renown, repeat, boredom.transpose(1, 0, 2))


def best_fit(table: ChoiceTable) -> CalibratedConfig:
    """Coefficients of highest likelihood, over every memory of boredom that is tried."""
    repeats = bool(table.repeat[:, 0].any())
    fits = [fit(table, boredom, repeats) for boredom in table.boredom]
    best = int(np.argmin([loss for loss, _ in fits]))
    taste, follow, tilt, renown, dull, *repeat = fits[best][1]
    return CalibratedConfig(
        taste=float(taste), follow=float(follow), tilt=float(tilt), renown=float(renown),
        dull=float(-dull), repeat=float(repeat[0]) if repeat else NEVER, boredom_keep=KEEPS[best],
    )  # fmt: skip


def fit(
    table: ChoiceTable, boredom: NDArray[np.float64], repeats: bool
) -> tuple[float, NDArray[np.float64]]:
    """Mean negative log-likelihood and coefficients; a log without repeats offers none."""
    terms = [table.match, table.follow, table.tilt, table.renown, boredom]
    x = np.stack([*terms, table.repeat] if repeats else terms)
    barred = 0.0 if repeats else np.where(table.repeat > 0, NEVER, 0.0)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        utility = np.tensordot(w, x, 1) + barred
        utility -= utility.max(1, keepdims=True)
        p = np.exp(utility)
        mass = p.sum(1)
        slope = (x * (p / mass[:, None])).sum(2) - x[:, :, 0]
        return float(np.mean(np.log(mass) - utility[:, 0])), slope.mean(1)

    solution = minimize(loss, np.zeros(len(x)), jac=True, method="BFGS")
    return float(solution.fun), np.asarray(solution.x)

"""Tastes before the draw: worked by hand, and what they bring about over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies import act
from policies.baselines.popularity import Popularity
from policies.rules.rerank import MMR, Determinantal, FairExposure, Fresh, reranked
from policies.rules.rules import Cap
from policies.score_policy import Exploration, ScorePolicy
from tests.policies.rules.factories import GROUP, SERVING, VECTORS, A, K, popular, users


def test_mmr_and_volume_worked_by_hand() -> None:
    """Two equal items and one at a right angle: the copy loses by the weight, or by ln 1e-3."""
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    items = np.arange(3, dtype=np.int32)[None]
    for objective, copy in ((MMR(vectors, 2.0), -2.0), (Determinantal(vectors, 2.0), np.log(1e-6))):
        walk = objective.term(items).start(2)
        np.testing.assert_allclose(walk.logits(), [[0, 0, 0]], atol=1e-12)
        walk.push(np.array([0]))
        np.testing.assert_allclose(walk.logits()[0, 1:], [copy, 0], atol=1e-6)


def test_volumes_are_those_of_the_determinant() -> None:
    vectors = VECTORS[None].astype(np.float64) / np.linalg.norm(VECTORS, axis=1)[None, :, None]
    walk = Determinantal(VECTORS, 1.0).term(np.arange(A, dtype=np.int32)[None]).start(3)
    for above in ([], [5], [5, 0]):
        if above:
            walk.push(np.array([above[-1]]))
        rows = vectors[0, above]
        for c in set(range(A)) - set(above):
            both = np.concatenate([rows, vectors[0, [c]]])
            gain = np.linalg.det(both @ both.T) / np.linalg.det(rows @ rows.T)
            assert walk.logits()[0, c] == pytest.approx(0.5 * np.log(gain), abs=1e-6)


def test_fresh_items_and_providers_that_lag_are_lifted() -> None:
    fresh = Fresh(age=np.arange(A) * 2.0, half_life=4.0, weight=3.0)
    items = np.array([[0, 2, 4, -1]], np.int32)
    np.testing.assert_allclose(fresh.term(items).start(1).logits()[0, :3], [3.0, 1.5, 0.75])
    due = np.array([0.5, 0.5])
    fair = FairExposure((np.arange(A) % 2).astype(np.int32), due, 2.0, np.array([3.0, 1.0]), 3)
    # shares .75 and .25 of a due of .5 after 3 updates: lags -1.5 and 1.5
    np.testing.assert_allclose(fair.term(items[:, :2] + [[0, 1]]).start(1).logits(), [[-3.0, 3.0]])


def test_fair_exposure_brings_shares_to_their_dues() -> None:
    """Without it the popular provider takes nearly all; with it both come within 5 points."""
    from offpolicy import LoggedDataset

    owner = (np.arange(A) >= 5).astype(np.int32)
    score_model = Popularity(SERVING, np.where(owner == 0, 50.0, 1.0))
    plain = ScorePolicy(score_model, Exploration(temperature=0.5))
    shares = []
    for weight in (0.0, 0.5):
        policy = reranked(plain, FairExposure(owner, np.array([0.5, 0.5]), weight, np.zeros(2)))
        seen = np.zeros(2)
        for part in range(30):
            obs = users(100, part)
            drawn = act(policy, obs, np.random.default_rng(part))
            log = LoggedDataset.from_columns(
                session=np.arange(100), step=np.zeros(100, int), slate=drawn.slate,
                propensity=drawn.propensity, reward=np.zeros(100), n_items=A,
            )  # fmt: skip
            policy.update(log)
            if part >= 10:
                discount = np.broadcast_to(1 / np.log2(np.arange(K) + 2), drawn.slate.shape)
                seen += np.bincount(owner[drawn.slate].ravel(), discount.ravel(), 2)
        shares.append(seen[0] / seen.sum())
    assert shares[0] > 0.8
    assert abs(shares[1] - 0.5) < 0.05


@pytest.mark.parametrize(
    ("objective", "wrong"),
    [
        (lambda: MMR(np.full((A, 2), np.nan, np.float32), 1.0), "MMR.vectors holds"),
        (lambda: MMR(VECTORS, np.nan), "MMR.weight holds"),
        (lambda: MMR(VECTORS[:5], 1.0), "MMR.vectors speaks of 5 items"),
        (lambda: Determinantal(VECTORS, np.inf), "Determinantal.weight"),
        (lambda: Fresh(np.arange(A) - 1.0, 1.0, 1.0), "ages >= 0"),
        (lambda: Fresh(np.arange(A) * 1.0, 0.0, 1.0), "half-life > 0"),
        (lambda: Fresh(np.arange(A) * 1.0, 1.0, np.nan), "Fresh.weight"),
        (lambda: FairExposure(GROUP, np.array([5.0, 0, 0, 0]), 1.0, np.zeros(4)), "sum to 1"),
        (lambda: FairExposure(GROUP, np.full(3, 1 / 3), 1.0, np.zeros(3)), r"providers 0\.\.2"),
        (lambda: Cap("c", GROUP, most=1), "Cap is no taste"),
    ],
)
def test_tastes_that_would_rank_by_nothing_are_refused_by_name(objective: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        reranked(popular(), objective())
    with pytest.raises(ValueError, match="has no taste"):
        reranked(popular())

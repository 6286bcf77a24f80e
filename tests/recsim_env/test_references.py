"""Classic simulators: returns as their own code gave them, within 3 standard errors of both."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from recsim_env import oracle

pytestmark = pytest.mark.slow


def played(
    name: str, n: int, rule: oracle.Rule, seed: int = 11, **parameters: Any
) -> oracle.Returns:
    env = gymnasium.make_vec(f"recsim_env/{name}-v0", num_envs=n, **parameters)
    return oracle.session_returns(env, rule, seed=seed)


def agrees(total: np.ndarray, mean: float, se: float) -> None:
    ours = total.std() / len(total) ** 0.5
    assert abs(total.mean() - mean) <= 3 * np.hypot(ours, se), (total.mean(), ours)


@pytest.mark.parametrize(
    ("rule", "mean", "se", "steps", "clicks"),
    [
        (oracle.random_slates, 160.56, 0.37, 71.6, 0.575),
        (oracle.top_affinity, 167.44, 0.68, 60.0, 0.712),
        (oracle.topic_quality, 265.45, 1.15, 124.4, 0.553),
    ],
)
def test_interest_evolution(
    rule: oracle.Rule, mean: float, se: float, steps: float, clicks: float
) -> None:
    got = played("InterestEvolution", 1000, rule)
    agrees(got.total, mean, se)
    assert got.steps.mean() == pytest.approx(steps, rel=0.03)
    assert got.consumed.sum() / got.steps.sum() == pytest.approx(clicks, abs=0.01)


def test_interest_evolution_two_places() -> None:
    agrees(played("InterestEvolution", 1000, oracle.random_slates, slate_size=2).total, 153.6, 0.5)


@pytest.mark.parametrize(
    ("rule", "mean", "se"),
    [(oracle.random_slates, 23.08, 0.24), (oracle.topic_quality, 31.08, 0.26)],
)
def test_interest_exploration(rule: oracle.Rule, mean: float, se: float) -> None:
    agrees(played("InterestExploration", 500, rule).total, mean, se)


def by_clickbait(sign: float) -> oracle.Rule:
    def rule(env: Any, obs: Any, rng: np.random.Generator) -> Any:
        return (sign * obs["candidate_features"][:, :, 0]).argmax(1)

    return rule


@pytest.mark.parametrize(
    ("sensitivity", "rule", "mean", "se"),
    [
        (0.01, oracle.random_slates, 960.0, 7.3),
        (0.01, by_clickbait(1), 1129.2, 8.6),
        (0.01, by_clickbait(-1), 794.6, 6.0),
        (0.1, oracle.random_slates, 962.9, 7.3),
        (0.1, by_clickbait(1), 853.6, 6.5),
        (0.1, by_clickbait(-1), 1007.4, 7.6),
    ],
)
def test_long_term_satisfaction(
    sensitivity: float, rule: oracle.Rule, mean: float, se: float
) -> None:
    agrees(played("LongTermSatisfaction", 2000, rule, sensitivity=sensitivity).total, mean, se)


@pytest.mark.parametrize(
    ("sensitivity", "clickbait", "per_step"),
    [
        (0.01, 1.0, 19.27),
        (0.01, 0.0, 12.60),
        (0.07, 0.39, 15.66),
        (0.07, 1.0, 15.02),
        (0.07, 0.0, 15.37),
    ],
)
def test_long_term_satisfaction_steady_states(
    sensitivity: float, clickbait: float, per_step: float
) -> None:
    from recsim_env import Catalogue

    same = Catalogue.of(np.zeros(4, int), clickbait=np.full(4, clickbait))
    env = gymnasium.make_vec(
        "recsim_env/LongTermSatisfaction-v0",
        num_envs=4000, catalogue=same, n_candidates=2, sensitivity=sensitivity, exposure_sd=0.0,
    )  # fmt: skip
    env.reset(seed=0)
    action = np.zeros(4000, int)
    late = [env.step(action)[1] for _ in range(59)][20:]
    # exact but for log-normal noise of 156,000 draws: 1.3 / sqrt(n) of the mean
    assert np.mean(late) == pytest.approx(per_step, rel=0.012)


def last_view(env: Any, obs: Any, rng: np.random.Generator) -> Any:
    n = env.unwrapped.n_items
    return obs["user"][:, n : 2 * n].argmax(1)


def test_organic_bandit_click_rates_in_recogyms_own_world() -> None:
    for rule, rate in (
        (oracle.random_slates, 0.0110),
        (last_view, 0.0173),
        (oracle.greedy_oracle, 0.0184),
    ):
        got = played("OrganicBandit", 4000, rule)
        n = got.steps.sum()
        # 3 s.e. of both: a rate of .0180 over 320,000 events here, rounded to 4 digits there
        assert got.consumed.sum() / n == pytest.approx(rate, abs=3 * (rate / n) ** 0.5 + 5e-4)


def half_random(env: Any, obs: Any, rng: np.random.Generator) -> Any:
    greedy, luck = oracle.greedy_oracle(env, obs, rng), oracle.random_slates(env, obs, rng)
    return np.where(rng.random(len(greedy)) < 0.5, greedy, luck)


def test_boredom_leaves_the_static_world_alone() -> None:
    agrees(played("Boredom", 200, oracle.random_slates, variant="off").total, 8.62, 0.22)
    assert played("Boredom", 50, oracle.greedy_oracle, variant="off").total.mean() > 99.8


def test_boredoms_signature() -> None:
    greedy = played("Boredom", 100, oracle.greedy_oracle).total
    mixed = played("Boredom", 100, half_random).total
    planned = played("Boredom", 100, oracle.planning_oracle).total
    assert greedy.mean() == pytest.approx(50, abs=1.0)  # five clicks, five steps of nothing
    assert mixed.mean() == pytest.approx(49.15, abs=1.5)
    assert planned.mean() > 98

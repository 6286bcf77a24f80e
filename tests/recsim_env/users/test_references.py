"""Classic simulators: returns as their own code gave them, within 3 standard errors of both."""

from __future__ import annotations

from functools import cache
from typing import Any

import gymnasium
import numpy as np
import pytest

from recsim_env.oracles import oracle
from recsim_env.users.boredom_influence import as_published

pytestmark = pytest.mark.slow


def played(
    name: str, n: int, rule: oracle.Rule, seed: int = 11, **parameters: Any
) -> oracle.Returns:
    env = gymnasium.make_vec(f"recsim_env/{name}-v0", num_envs=n, **parameters)
    return oracle.session_returns(env, rule, seed=seed)


def agrees(ours: np.ndarray, mean: float, se: float) -> None:
    band = 3 * np.hypot(ours.std(ddof=1) / len(ours) ** 0.5, se)
    assert abs(ours.mean() - mean) <= band, (ours.mean(), band)


def ratio(top: np.ndarray, bottom: np.ndarray) -> tuple[float, float]:
    """A ratio of means over users and its standard error."""
    value = top.mean() / bottom.mean()
    return value, (top - value * bottom).std(ddof=1) / len(top) ** 0.5 / bottom.mean()


def agrees_as_if_from_as_many(value: float, se: float, printed: float, rounding: float) -> None:
    """For rows printed without an error: theirs is taken to be ours (1,000 users each)."""
    assert abs(value - printed) <= 3 * 2**0.5 * se + rounding, (value, se)


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
    agrees_as_if_from_as_many(*ratio(got.steps, np.ones(1000)), steps, 0.05)
    agrees_as_if_from_as_many(*ratio(got.consumed, got.steps), clicks, 0.0005)


def test_quality_of_what_random_slates_get_clicked() -> None:
    env = gymnasium.make_vec("recsim_env/InterestEvolution-v0", num_envs=1000)
    obs, _ = env.reset(seed=11)
    rng, going = np.random.default_rng(0), np.ones(1000, bool)
    quality, clicks = np.zeros(1000), np.zeros(1000)
    while going.any():
        obs, _, ended, _, infos = env.step(oracle.random_slates(env, obs, rng))
        taken = going & (infos["consumed"] >= 0)
        quality[taken] += infos["responses"][taken, 2]
        clicks += taken
        going &= ~ended
    agrees_as_if_from_as_many(*ratio(quality, clicks), -0.603, 0.0005)


def test_interest_evolution_two_positions() -> None:
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
    late = np.mean([env.step(action)[1] for _ in range(59)][20:], axis=0)
    agrees(late, per_step, 0.005 / 3)  # a limit, printed to two digits


@cache
def organic(products: int, rule: oracle.Rule) -> oracle.Returns:
    return played("OrganicBandit", 1000, rule, n_items=products)


def last_view(env: Any, obs: Any, rng: np.random.Generator) -> Any:
    n = env.unwrapped.n_items
    return obs["user"][:, n : 2 * n].argmax(1)


@pytest.mark.parametrize(
    ("products", "rule", "over_random", "digits"),
    [
        (10, last_view, 0.0173 / 0.0110, 0.008),
        (10, oracle.greedy_oracle, 0.0184 / 0.0110, 0.008),
        (100, last_view, 0.0224 / 0.0104, 0.012),
        (100, oracle.greedy_oracle, 0.0238 / 0.0104, 0.012),
    ],
)
def test_organic_bandit_click_rates_over_random(
    products: int, rule: oracle.Rule, over_random: float, digits: float
) -> None:
    (rate, se), (base, base_se) = (
        ratio(got.consumed, got.steps)
        for got in (organic(products, each) for each in (rule, oracle.random_slates))
    )
    error = rate / base * np.hypot(se / rate, base_se / base)
    agrees_as_if_from_as_many(rate / base, error, over_random, digits)


@pytest.mark.parametrize(
    ("rule", "rate"),
    [(oracle.random_slates, 0.0110), (last_view, 0.0173), (oracle.greedy_oracle, 0.0184)],
)
def test_organic_bandit_click_rates_in_recogyms_own_world(rule: oracle.Rule, rate: float) -> None:
    got = organic(10, rule)  # the world's own products
    agrees_as_if_from_as_many(*ratio(got.consumed, got.steps), rate, 5e-5)


def half_random(env: Any, obs: Any, rng: np.random.Generator) -> Any:
    greedy, uniform = oracle.greedy_oracle(env, obs, rng), oracle.random_slates(env, obs, rng)
    return np.where(rng.random(len(greedy)) < 0.5, greedy, uniform)


def test_boredom_leaves_the_static_world_alone() -> None:
    agrees(played("Boredom", 200, oracle.random_slates, variant="off").total, 8.62, 0.22)
    assert played("Boredom", 50, oracle.greedy_oracle, variant="off").total.mean() > 99.8


@pytest.mark.parametrize(
    ("rule", "mean", "se"), [(oracle.greedy_oracle, 50.76, 0.10), (half_random, 49.15, 0.29)]
)
def test_boredom_and_influence_as_published(rule: oracle.Rule, mean: float, se: float) -> None:
    total = played("BoredomInfluence", 200, rule, config=as_published()).total
    agrees(total, mean, se)


@pytest.mark.parametrize(
    ("rule", "mean", "se"), [(oracle.random_slates, 42.5, 0.6), (oracle.greedy_oracle, 146.5, 2.8)]
)
def test_boredom_and_influence_in_slates_of_ten_as_published(
    rule: oracle.Rule, mean: float, se: float
) -> None:
    total = played("BoredomInfluence", 100, rule, config=as_published(), slate_size=10).total
    agrees(total, mean, se)


def test_boredoms_signature() -> None:
    greedy = played("Boredom", 100, oracle.greedy_oracle).total
    planned = played("Boredom", 100, oracle.look_ahead).total
    # five clicks, five steps of nothing; a click missed now and then puts the boredom off
    assert np.median(greedy) == 50
    assert planned.mean() > 98

"""Exact plans: against brute force over every offer, slate and outcome, and against the world."""

from __future__ import annotations

from itertools import combinations
from math import exp

import gymnasium
import numpy as np
import pytest

from recsim_env.oracles import dynamic, oracle


def brute_curriculum(known: frozenset[int], left: int, items: list[int], drawn: int) -> float:
    """Best mean return with three skills (0 opens 1 and 2), by trying everything."""
    if left == 0 or len(known) == 3:
        return 0.0
    offers = list(combinations(items, drawn))
    total = 0.0
    for offer in offers:
        best = 0.0
        for skill in set(offer):
            practises = exp(-(skill in known)) / (exp(-(skill in known)) + exp(-1.0))
            ready = skill == 0 or 0 in known
            learns = 0.0 if skill in known else 0.3 * (1.0 if ready else 0.1)
            paid = 1.0 if skill else 0.2
            more = brute_curriculum(known | {skill}, left - 1, items, drawn)
            same = brute_curriculum(known, left - 1, items, drawn)
            value = practises * learns * (paid + more) + (1 - practises * learns) * same
            best = max(best, value)
        total += best / len(offers)
    return total


@pytest.mark.parametrize("drawn", [2, 3])
def test_a_curriculums_plan_is_the_best_of_all(drawn: int) -> None:
    env = gymnasium.make_vec(
        "recsim_env/Curriculum-v0", num_envs=4, n_skills=3, exercises=2, step_value=0.2,
        known_at_start=0.0, n_candidates=drawn, max_steps=3,
    )  # fmt: skip
    _, best = dynamic.exact_plan(env)
    assert best == pytest.approx(brute_curriculum(frozenset(), 3, [0, 0, 1, 1, 2, 2], drawn))


def brute_funnel(env: gymnasium.vector.VectorEnv, liked: int, stage: int, left: int) -> float:  # type: ignore[type-arg]
    """Best mean return of a shopper by trying every slate of two, from the funnel's equations."""
    if left == 0 or stage == 3:
        return 0.0
    c, cat = env.unwrapped.config, env.unwrapped.catalogue  # type: ignore[attr-defined]
    stay = brute_funnel(env, liked, stage, left - 1)
    on = brute_funnel(env, liked, stage + 1, left - 1)
    best = -1.0
    for slate in combinations(range(len(cat)), 2):
        mass, value = [exp(c.no_click)], [(1 - c.leave_idle) * stay]
        for item in slate:
            likes, role = cat.topics[item] == liked, int(cat.vectors[item].argmax())
            logit = c.base + c.fit * (role == stage) + c.taste * likes
            moves = 1 / (1 + exp(-logit))
            margin = float(np.float32(c.margin * cat.clickbait[item]))
            sold = c.price * (stage == 2)
            later = moves * (on if stage < 2 else 0.0) + (1 - moves) * stay
            mass.append(exp(c.taste * likes))
            value.append(margin + moves * sold + (1 - c.leave_busy) * later)
        best = max(best, float(np.dot(mass, value) / sum(mass)))
    return best


def test_a_funnels_plan_is_the_best_of_all() -> None:
    env = gymnasium.make_vec(
        "recsim_env/Funnel-v0", num_envs=4, n_items=6, n_topics=2,
        n_candidates=None, slate_size=2, max_steps=3,
    )  # fmt: skip
    _, best = dynamic.exact_plan(env)
    assert best == pytest.approx(np.mean([brute_funnel(env, z, 0, 3) for z in (0, 1)]), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Curriculum", {"step_value": 0.2}),
        ("Funnel", {"n_items": 40, "n_candidates": None, "max_steps": 25}),
    ],
)
def test_the_world_pays_what_the_plan_promises(name: str, settings: dict[str, float]) -> None:
    env = gymnasium.make_vec(f"recsim_env/{name}-v0", num_envs=3000, **settings)
    rule, best = dynamic.exact_plan(env)
    total = oracle.session_returns(env, rule, seed=0).total
    assert abs(total.mean() - best) < 3 * total.std() / 3000**0.5
    greedy = oracle.session_returns(env, oracle.greedy_oracle, seed=0).total
    assert total.mean() > greedy.mean()


def test_drawn_slates_have_no_exact_plan() -> None:
    env = gymnasium.make_vec("recsim_env/Funnel-v0", num_envs=2, max_steps=9)
    with pytest.raises(ValueError, match="search instead"):
        dynamic.exact_plan(env)
    with pytest.raises(ValueError, match="needs a `tabular` law"):
        dynamic.exact_plan(gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=2))

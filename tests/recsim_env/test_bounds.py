"""Whatever a world is made of, its compiled loops end and stay inside their arrays, or it is
refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recsim_env import Catalogue, Group, Population, RecVectorEnv
from recsim_env.catalogue import NEVER
from recsim_env.kernel.offers import sought
from recsim_env.kernel.state import Offer
from recsim_env.oracles.oracle import best_slate
from recsim_env.users.calibrated import CalibratedConfig

A, U = 8, 5
HALF = np.arange(A) < A // 2
PLAIN = Catalogue.of(np.arange(A) % 4, n_topics=20, vectors=np.eye(A, 16))


def made(catalogue: Catalogue = PLAIN, **settings: Any) -> RecVectorEnv:
    sizes: dict[str, Any] = {"slate_size": 2, "n_candidates": 4} | settings
    return RecVectorEnv(2, model="longplay", catalogue=catalogue, **sizes)


def test_popularity_must_fill_every_offer_at_every_tick_and_for_every_group() -> None:
    some = replace(PLAIN, popularity=HALF.astype(float))
    made(some, offer="popularity")
    retiring = some.with_windows(np.zeros(A), np.where(HALF, 5, NEVER))
    young = some.with_groups(
        [Group(share=1, age=10), Group(share=1, age=30)], min_age=np.where(HALF, 18, 0)
    )
    for catalogue in (retiring, young):
        with pytest.raises(ValueError, match="only 0 items with popularity are available"):
            made(catalogue, offer="popularity")
        made(catalogue)


def test_what_never_retires_is_there_beyond_the_ticks_of_an_int32() -> None:
    stays = PLAIN.with_windows(np.zeros(A), np.full(A, NEVER))
    env = made(stays, session_ticks=2**32)
    env.reset(seed=0, options={"sessions": np.array([[0, 2**30], [1, 3]])})
    assert env.live.users["clock"].tolist() == [2**62, 3 * 2**32]
    env.step(np.tile([0, 1], (2, 1)))
    with pytest.raises(ValueError, match="numbers of sessions"):
        env.reset(seed=0, options={"sessions": np.array([[0, 2**30 + 1], [1, 3]])})
    with pytest.raises(ValueError, match="at most 4294967296"):
        made(session_ticks=2**32 + 1)


@pytest.mark.parametrize("until", [2.0**40, np.nan, 3.5, -(2.0**40)])
def test_windows_are_whole_ticks(until: float) -> None:
    with pytest.raises(ValueError, match="until"):
        PLAIN.with_windows(np.zeros(A), np.full(A, until))


def test_an_offer_that_is_sought_has_the_shares_of_one_that_is_drawn() -> None:
    cdf, none = np.array([0.5, 0.75, 0.875, 1.0]), np.zeros(0, np.int64)
    offer = Offer(
        np.zeros((4, 1), "f4"), cdf, none, none, np.zeros((0, 0), np.bool_), np.zeros(0), 0,
        np.zeros((0, 0), "i4"), np.zeros((0, 0), "f4"),
    )  # fmt: skip
    seen = np.array([True, False, False, False])
    drawn = [sought(np.uint64(7), np.uint64(k), 0, 0, offer, seen) for k in range(4000)]
    share = np.bincount(drawn, minlength=4) / 4000
    assert share == pytest.approx([0, 0.5, 0.25, 0.25], abs=0.03)
    with pytest.raises(RuntimeError, match="too few items are open"):
        sought(np.uint64(7), np.uint64(1), 0, 0, offer, np.ones(4, np.bool_))


def world(**changed: Any) -> dict[str, Any]:
    columns = {"lead": np.ones((A, 3)), "trail": np.ones((A, 3))}
    columns |= {"fame": np.zeros(A), "offset": np.zeros(A)}
    traits = {"pull": np.zeros(U), "steps": np.full(U, 4.0)}
    given = {"interests": np.ones((U, 16)), "first_items": np.full((U, 3), 1)}
    given |= {k: v for k, v in changed.items() if k in given}
    columns |= {k: v for k, v in changed.items() if k in columns}
    traits |= {k: v for k, v in changed.items() if k not in {**given, **columns}}
    return {
        "catalogue": replace(PLAIN, columns=columns),
        "population": Population(**given, traits=traits),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_items": np.full((U, 3), 2**30)},
        {"first_items": np.full((U, 3), 50)},
        {"interests": np.ones((U, 4000))},
        {"pull": np.zeros(1)},
        {"steps": np.full(U, 1e30)},
        {"steps": np.zeros(U)},
        {"steps": np.ones((U, 2))},
        {"trail": np.ones((A, 1))},
        {"lead": np.ones(A)},
        {"fame": np.zeros((A, 2))},
        {"offset": np.full(A, np.nan)},
        {"attention": np.zeros((2, 2))},
        {"attention": np.array(["seen"])},
    ],
)
def test_people_and_items_of_another_calibrated_world_are_refused(wrong: dict[str, Any]) -> None:
    def go(parts: dict[str, Any]) -> None:
        config = CalibratedConfig()
        RecVectorEnv(2, model="calibrated", config=config, n_candidates=4, slate_size=2, **parts)

    go(world())
    with pytest.raises(ValueError, match=next(iter(wrong))):
        go(world(**wrong))


@pytest.mark.parametrize(
    "settings",
    [
        {"num_envs": 2**40}, {"num_envs": 2**30}, {"history_length": 2**30}, {"threads": 2**40},
        {"max_steps": 2**70}, {"session_ticks": 2**70}, {"slate_size": 2**30},
        {"n_items": 10**12}, {"n_topics": 2**40}, {"model": "boredom", "threshold": 2**70},
        {"cohorts": "yes"}, {"catalogue": [1, 2]}, {"population": [1, 2]},
        {"model": "organic_bandit", "organic_to_bandit": 1e-12},
        {"model": "interest_exploration", "catalogue": PLAIN},
    ],
)  # fmt: skip
def test_sizes_beyond_any_world_are_refused_before_memory_is_asked_for(
    settings: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=r"give|lower|at least|at most|topics"):
        RecVectorEnv(**{"num_envs": 2, "model": "longplay"} | settings)


def test_the_best_slate_is_found_where_nothing_has_no_weight() -> None:
    weight, value = np.array([[1.0, 3.0, 0.0]]), np.array([[2.0, 1.0, 9.0]])
    slate = best_slate(weight, value, np.zeros(1), 1)
    assert slate.tolist() == [[0]]
    best_slate(np.full((1, 3), np.nan), value, np.zeros(1), 1)

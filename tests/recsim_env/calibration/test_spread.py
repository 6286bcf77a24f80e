"""Worlds that cannot tell policies apart say so, and a utility of nothing is set on request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recsim_env.calibration.calibrate import SERVING
from recsim_env.calibration.spread import spread, take_margins, warning, with_take_rate
from recsim_env.calibration.world import FittedWorld
from recsim_env.catalogue import Catalogue, Population
from recsim_env.users.calibrated import CalibratedConfig
from tests.recsim_env.calibration.factories import ITEMS, planted


@pytest.fixture(scope="module")
def organic() -> FittedWorld:
    """Users who take something of every slate, 12 times."""
    rng = np.random.default_rng(0)
    topics = np.arange(ITEMS) % 4
    eye = np.zeros((ITEMS, 1), np.float32)
    columns = {"lead": eye, "trail": eye, "fame": np.zeros(ITEMS), "offset": np.zeros(ITEMS)}
    people = rng.normal(size=(50, 4)).astype(np.float32)
    return FittedWorld(
        model="calibrated",
        config=CalibratedConfig(repeat=0.0),
        catalogue=Catalogue.of(topics, n_topics=4, columns=columns),
        population=Population(
            interests=people, traits={"pull": np.zeros(50), "steps": np.full(50, 12.0)}
        ),
        serving=SERVING | {"n_candidates": 20},
    )


def test_a_world_in_which_every_slate_pays_the_same_says_so(organic: FittedWorld) -> None:
    seen = spread(organic, users=100)
    assert (seen.uniform, seen.greedy, seen.ahead, seen.take_rate) == (12, 12, 12, 1)
    words = warning(seen)
    assert words is not None
    assert "uniform slates earn 12.00 a session, the greedy oracle 12.00" in words
    assert "--take-rate" in words


def test_a_utility_of_nothing_reaches_the_take_rate(organic: FittedWorld) -> None:
    world = with_take_rate(organic, 0.3, seed=1)
    seen = spread(world, users=500, seed=2)
    assert seen.take_rate == pytest.approx(0.3, abs=0.03)
    assert seen.tells
    assert warning(seen) is None
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        with_take_rate(organic, 1.0)


def test_a_served_world_tells_policies_apart_unless_all_items_are_alike() -> None:
    world = planted(persons=300)
    assert spread(world, users=1500).tells
    same = {name: np.zeros_like(x) for name, x in world.catalogue.columns.items()} | {
        "pay": np.full(ITEMS, 3.0),
        "response": np.ones((ITEMS, 3)),
    }
    people = replace(world.population, interests=0 * world.population.interests)
    alike = replace(
        world,
        catalogue=replace(world.catalogue, columns=same),
        population=people,
        config=replace(world.config, dull=0.0, pay_spread=0.0),
    )
    words = warning(spread(alike, users=300))
    assert words is not None
    assert "--take-rate" not in words  # they do take nothing at times
    rate = with_take_rate(world, 0.4)
    assert (take_margins(rate, 400, 3) > 0).mean() < (take_margins(world, 400, 3) > 0).mean()

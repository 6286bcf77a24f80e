"""Calibration finds what is in the log, and a calibrated world saves, loads and registers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env
from recsim_env import Catalogue, Population
from recsim_env.calibration.calibrate import (
    SERVING,
    calibrate,
    cluster,
    position_effect,
    simulate,
)
from recsim_env.calibration.choice_fit import best_fit, choice_table
from recsim_env.calibration.world import FittedWorld
from recsim_env.users.calibrated import CalibratedConfig

ITEMS, PERSONS = 60, 300


def planted(**coefficients: float) -> FittedWorld:
    """Four topics, and a chain that leads from each item to the next by number."""
    rng = np.random.default_rng(0)
    topics = np.arange(ITEMS) % 4
    vectors = np.eye(4)[topics] + 0.1 * rng.normal(size=(ITEMS, 4))
    eye = np.eye(ITEMS, dtype=np.float32)
    columns = {"lead": eye, "trail": np.roll(eye, 1, axis=0), "fame": np.zeros(ITEMS, np.float32)}
    columns["offset"] = np.zeros(ITEMS, np.float32)
    catalogue = Catalogue.of(topics, vectors=vectors, n_topics=4, columns=columns)
    traits = {
        "pull": np.zeros(PERSONS, np.float32),
        "steps": np.full(PERSONS, 20, np.float32) + np.arange(PERSONS) % 15,
    }
    interests = np.eye(4, dtype=np.float32)[rng.integers(4, size=PERSONS)]
    people = Population(interests=interests, traits=traits)
    known = {"taste": 0.0, "follow": 0.0, "dull": 0.0, "boredom_keep": 0.8, "repeat": 0.0}
    config = CalibratedConfig(**(known | coefficients))
    return FittedWorld(
        model="calibrated", config=config, catalogue=catalogue, population=people, serving=SERVING
    )


@pytest.mark.parametrize(
    ("name", "value"), [("taste", 2.0), ("follow", 3.0), ("dull", 3.0), ("repeat", -1.5)]
)
def test_a_planted_coefficient_is_found(name: str, value: float) -> None:
    world = planted(**{name: value})
    lists = simulate(world, PERSONS, seed=0)
    columns = world.catalogue.columns
    fitted = best_fit(
        choice_table(
            lists, vectors=recsim_env.users.calibrated.unit(world.catalogue.vectors),
            lead=columns["lead"], trail=columns["trail"], topics=world.catalogue.topics,
            fame=np.zeros(ITEMS), pull=np.zeros(PERSONS), popularity=np.ones(ITEMS),
            rng=np.random.default_rng(1),
        )
    )  # fmt: skip
    # Interests are estimated from the 26 other choices of a list: that weakens taste, and where
    # topics alternate it takes a part of what is boredom's (found: 15 %).
    assert getattr(fitted, name) == pytest.approx(value, rel=0.35 if name == "taste" else 0.2)


@pytest.mark.parametrize("considered", [10, 30, 60])
def test_popularity_is_that_of_the_log_however_many_items_come_up(considered: int) -> None:
    world = planted()
    popularity = np.geomspace(100, 1, ITEMS).astype(np.float32)
    world = replace(world, catalogue=replace(world.catalogue, popularity=popularity))
    lists = simulate(world, PERSONS, seed=4, considered=considered)
    share = np.bincount(np.concatenate(lists), minlength=ITEMS) / sum(map(len, lists))
    # 8,100 choices by popularity alone leave a distance of about sqrt(60 / 8,100) / 2.5
    assert np.abs(share - popularity / popularity.sum()).sum() / 2 < 0.06


@pytest.fixture(scope="module")
def real() -> list[np.ndarray]:
    return simulate(planted(taste=2.0, follow=2.0, repeat=-50.0), PERSONS, seed=1)


@pytest.fixture(scope="module")
def world(real: list[np.ndarray]) -> FittedWorld:
    return calibrate(real, ITEMS, topics=np.arange(ITEMS) % 4, dims=8)


def test_a_calibrated_world_keeps_lengths_popularity_and_never_repeats(
    real: list[np.ndarray], world: FittedWorld
) -> None:
    fake = simulate(world, len(real), seed=2)
    lengths = [np.mean([len(h) for h in lists]) for lists in (real, fake)]
    assert lengths[1] == pytest.approx(lengths[0], rel=0.05)
    share = [np.bincount(np.concatenate(x), minlength=ITEMS) for x in (real, fake)]
    assert np.abs(share[0] / share[0].sum() - share[1] / share[1].sum()).sum() / 2 < 0.1
    assert all(len(set(items.tolist())) == len(items) for items in fake)


def test_saved_and_loaded_worlds_are_the_same(tmp_path: Path, world: FittedWorld) -> None:
    world.save(tmp_path / "world")
    again = FittedWorld.load(tmp_path / "world")
    assert again.config == world.config
    one, other = (simulate(w, 30, seed=5) for w in (world, again))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert sorted(p.name for p in (tmp_path / "world").iterdir()) == ["arrays.npz", "config.json"]


def test_windows_are_not_lost_in_silence(world: FittedWorld, tmp_path: Path) -> None:
    n = len(world.catalogue)
    windowed = world.catalogue.with_windows(np.zeros(n, int), np.full(n, 9))
    with pytest.raises(ValueError, match="windows and groups are not saved"):
        replace(world, catalogue=windowed).save(tmp_path)


def test_a_registered_world_is_made_by_its_id(world: FittedWorld) -> None:
    env_id = world.register("Planted")
    recsim_env.check_vector_env(gymnasium.make_vec(env_id, num_envs=5, max_steps=12))
    assert gymnasium.make(env_id).reset(seed=0)[0]["candidates"].shape == (50,)


def test_attention_by_position_is_estimated_from_uniform_slates() -> None:
    rng = np.random.default_rng(0)
    seen = np.array([1.0, 0.6, 0.3])
    position = rng.integers(3, size=60_000)
    click = rng.random(60_000) < 0.2 * seen[position]
    share, error = position_effect(position, click.astype(float))
    assert np.all(np.abs(share - seen)[1:] < 4 * error[1:])
    with pytest.raises(ValueError, match="position 0 was never shown"):
        position_effect(np.array([1, 1]), np.ones(2))


def test_attention_moves_choices_to_the_places_seen(real: list[np.ndarray]) -> None:
    seen = np.array([1.0, 0.5, 0.25])
    lists = simulate(planted(), PERSONS, seed=3)
    world = calibrate(lists, ITEMS, topics=np.zeros(ITEMS, int), attention=seen, dims=4)
    env = world.make_vec(4000, slate_size=3)
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample()
    shown = np.take_along_axis(env.live_choices(), action, axis=1)
    _, _, _, _, infos = env.step(action)
    share = (shown == infos["consumed"][:, None]).mean(0)
    assert np.all(np.diff(share) < 0)
    assert share[0] / share[2] > 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config.json is missing: calibrate"):
        FittedWorld.load(tmp_path)


def test_too_short_a_log_and_an_unfitted_world_are_refused() -> None:
    with pytest.raises(ValueError, match="0 users have 2 items or more"):
        calibrate([np.array([0])] * 50, 5)
    with pytest.raises(ValueError, match="comes from a log"):
        recsim_env.RecVectorEnv(2, model="calibrated")


def test_items_whose_vectors_coincide_are_one_topic() -> None:
    vectors = np.eye(5, 3, dtype=np.float32)[[0, 1, 2, 0, 1, 4, 4]]  # the last two: all zeros
    codes = cluster(vectors, 20, seed=0)
    same = (vectors[:, None] == vectors).all(axis=2)
    np.testing.assert_array_equal(codes[:, None] == codes, same)
    fewer = cluster(vectors, 3, seed=0)
    assert sorted(set(fewer.tolist())) == list(range(len(set(fewer.tolist()))))
    assert (fewer[:, None] == fewer)[same].all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "shape",
    ["three items", "ten items", "most items unseen", "one list", "equal popularity", "no chain"],
)
@pytest.mark.parametrize("dims", [1, 16])
def test_small_and_even_logs_make_finite_worlds(shape: str, dims: int) -> None:
    rng = np.random.default_rng(0)
    lists: list[np.ndarray] = {
        "three items": [rng.integers(3, size=8) for _ in range(40)],
        "ten items": [rng.integers(10, size=8) for _ in range(40)],
        "most items unseen": [rng.integers(5, size=8) for _ in range(40)],
        "one list": [np.arange(6)] * 40,
        "equal popularity": [rng.permutation(25) for _ in range(40)],
        "no chain": [np.array([u % 3, u % 3]) for u in range(40)],
    }[shape]
    n_items = 60 if shape == "most items unseen" else 1 + max(int(one.max()) for one in lists)
    world = calibrate(lists, n_items, dims=dims)
    parts = (
        world.catalogue.vectors, world.population.interests, world.population.traits["pull"],
        *world.catalogue.columns.values(),
    )  # fmt: skip
    assert all(np.isfinite(part).all() for part in parts)
    topics = np.unique(world.catalogue.topics)
    assert topics.tolist() == list(range(len(topics)))
    assert len(simulate(world, 3, seed=0)) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"histories": [np.zeros(5, int)] * 20}, "users took 1 different items"),
        ({"histories": [np.array([0, 1, 9])] * 20}, r"histories\[0\] holds item 9; .* 0\.\.3"),
        (
            {"histories": [np.array([0, 1, 2])] * 15 + [np.array([0.5, 1])]},
            r"histories\[15\] .*float64",
        ),
        ({"dims": 0}, "dims = 0"),
        ({"topics": np.zeros(3, int)}, r"shape \(3,\); pass one whole number .* of the 4 items"),
    ],
)
def test_a_log_without_choices_is_refused(changes: dict[str, Any], said: str) -> None:
    lists = [np.array([0, 1, 2])] * 20
    with pytest.raises(ValueError, match=said):
        calibrate(**{"histories": lists, "n_items": 4} | changes)

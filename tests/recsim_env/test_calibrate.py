"""Calibration finds what is in the log, and a calibrated world saves and loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsim_env import Catalogue, LongplayConfig, Population
from recsim_env.calibrate import CalibratedWorld, calibrate, fit_choice, simulate


def planted(taste: float) -> CalibratedWorld:
    rng = np.random.default_rng(0)
    topics = np.arange(60) % 4
    vectors = np.eye(4)[topics] + 0.1 * rng.normal(size=(60, 4))
    catalogue = Catalogue.of(topics, vectors=vectors, n_topics=4)
    config = LongplayConfig(
        taste=taste, dull=0.0, bait=0.0, no_choice=-50.0, budget=1e6, drift=0.0,
        leave_base=-3.2, leave_satisfaction=0.0, leave_boredom=0.0,
    )  # fmt: skip
    people = Population(interests=np.eye(4, dtype=np.float32)[rng.integers(4, size=50)])
    return CalibratedWorld(config=config, catalogue=catalogue, population=people)


def test_a_planted_taste_is_found() -> None:
    world = planted(2.0)
    lists = [h for h in simulate(world, 400, seed=0) if len(h) > 3]
    vectors = world.catalogue.vectors / np.linalg.norm(world.catalogue.vectors, axis=1)[:, None]
    taste, _ = fit_choice(
        lists, vectors, world.catalogue.topics, popularity=np.ones(60),
        keep=0.9, gain=0.35, seed=0,
    )  # fmt: skip
    assert taste == pytest.approx(2.0, abs=0.6)  # interests are estimated from few choices


def test_a_calibrated_world_keeps_lengths_and_popularity() -> None:
    source = planted(2.0)
    real = [h for h in simulate(source, 500, seed=1) if len(h) > 11]
    world = calibrate(real, 60, topics=source.catalogue.topics, dims=4)
    fake = simulate(world, len(real), seed=2)
    lengths = [np.mean([len(h) for h in lists]) for lists in (real, fake)]
    assert lengths[1] == pytest.approx(lengths[0], rel=0.15)
    share = [np.bincount(np.concatenate(x), minlength=60) for x in (real, fake)]
    assert np.abs(share[0] / share[0].sum() - share[1] / share[1].sum()).sum() / 2 < 0.2


def test_saved_and_loaded_worlds_are_the_same(tmp_path: Path) -> None:
    source = planted(2.0)
    real = [h for h in simulate(source, 200, seed=1) if len(h) > 11]
    world = calibrate(real, 60, topics=source.catalogue.topics, dims=4)
    world.save(tmp_path / "world")
    again = CalibratedWorld.load(tmp_path / "world")
    assert again.config == world.config
    one, other = (simulate(w, 30, seed=5) for w in (world, again))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert replace(again.config, taste=0.0) != again.config


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config.json is missing: calibrate"):
        CalibratedWorld.load(tmp_path)


def test_too_short_a_log_is_refused() -> None:
    with pytest.raises(ValueError, match="0 users have more than 11 items"):
        calibrate([np.array([0, 1])] * 50, 5)

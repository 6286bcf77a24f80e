"""`compare` fits, saves and loads every encoder of the registry, at the sizes it declares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.common.run_folder import RunFolder
from experiments.common.show import Show
from experiments.common.worlds import EnvFactory
from experiments.compare.settings import Settings
from experiments.compare.stages import Job, fit_encoder
from policies import ENCODERS, Sequences
from tests.factories import SIZES, make_env


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_is_fitted_at_its_small_sizes(name: str, tmp_path: Path) -> None:
    items = np.random.default_rng(0).integers(SIZES["n_items"], size=(12, 8))
    world = EnvFactory("tiny", make_env, Sequences.from_lists(items, n_items=SIZES["n_items"]))
    settings = Settings(encoder=name, seed=3)
    job = Job(settings, RunFolder(tmp_path), world)
    fit_encoder(job, Show())
    encoder = job.encoder()
    assert (
        encoder.config
        == ENCODERS[name].small(length=SIZES["history_length"], seed=3, threads=1).config
    )
    assert np.isfinite(encoder.scores(items)).all()

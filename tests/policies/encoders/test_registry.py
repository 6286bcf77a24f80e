"""One file and one line make an encoder: what builds, saves, ranks and compares then knows it."""

from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from policies import ENCODERS, Sequences, build, checkpoint
from policies.encoders import Lazy, leave_one_out
from policies.encoders.evaluate import judge
from policies.encoders.models.popularity import Popularity, PopularityConfig
from tests.factories import make_env

LISTS = [[0, 1, 2, 3, 1], [2, 3, 4, 0], [4, 3, 2, 1, 0], [1, 2, 1, 0]]


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_says_which_of_its_sizes_are_small(name: str) -> None:
    encoder = ENCODERS[name].small(length=6, seed=3)
    about = dataclasses.asdict(encoder.config)
    assert about.get("length", 6) == 6
    assert about.get("seed", 3) == 3
    assert about.get("dim", 32) == 32
    assert about.get("blocks", 1) == 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RarityConfig(PopularityConfig):
    """Nothing of its own."""


class Rarity(Popularity):
    """What was consumed least comes first."""

    name = "rarity"

    def scores(self, *args: object, **settings: object) -> np.ndarray:  # type: ignore[override, type-arg]
        return -super().scores(*args, **settings)  # type: ignore[arg-type]


def test_one_file_and_one_line_make_an_encoder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = types.ModuleType("policies.encoders.models.rarity")
    module.Rarity, module.RarityConfig = Rarity, RarityConfig  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(ENCODERS, "rarity", Lazy(module.__name__, "Rarity", "RarityConfig"))
    sequences = Sequences.from_lists(LISTS, n_items=5)
    encoder = ENCODERS["rarity"].small(length=4, seed=0).fit(sequences)
    seen = np.array([[-1, -1, 2]], np.int32)
    assert int(encoder.scores(seen)[0].argmax()) == 4, "consumed twice, the others more often"
    checkpoint.save(encoder, tmp_path / "it", catalogue=checkpoint.Catalogue("five", 5))
    back = checkpoint.load(tmp_path / "it")
    np.testing.assert_array_equal(back.scores(seen), encoder.scores(seen))
    split = leave_one_out(sequences)
    judged = judge(encoder.fit(split.train), split.test, k=2)
    assert judged.top.shape == (4, 2)
    policy = build("greedy_encoder", make_env(1, n_items=5, n_candidates=4), encoder=encoder)
    assert len(policy.recommend([1, 2], k=2)) == 2  # type: ignore[attr-defined]

"""One file and one line make an encoder: what builds, saves, ranks and compares then knows it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from experiments.train import leaderboard
from policies import ENCODERS, Encoder, Sequences, build, checkpoint
from policies.encoders import Lazy, leave_one_out
from policies.encoders.evaluate import judge
from tests.factories import make_env

LISTS = [[0, 1, 2, 3, 1], [2, 3, 4, 0], [4, 3, 2, 1, 0], [1, 2, 1, 0]]
SEEN = np.array([[-1, -1, 2]], np.int32)
FILE = '''
from dataclasses import dataclass

import numpy as np

from policies.encoders.base import check_histories
from policies.encoders.serving.state import ServesHistory


@dataclass(frozen=True, kw_only=True)
class RarityConfig:
    @classmethod
    def small(cls, *, length, seed, threads=1):
        return cls()


class Rarity(ServesHistory):
    """What was consumed least comes first."""

    name, state_size, context_length = "rarity", 1, 1

    def __init__(self, config):
        self.config, self.n_items = config, 0

    def fit(self, sequences):
        return self._set(-np.log1p(sequences.counts()).astype(np.float32))

    def scores(self, histories):
        rows = check_histories(histories, self.n_items)
        return np.repeat(self.item_vectors.T, len(rows), axis=0)

    def encode(self, histories):
        return np.ones((len(histories), 1), np.float32)

    def to_arrays(self):
        return {"vectors": self.item_vectors}

    @classmethod
    def from_arrays(cls, config, arrays):
        return cls(config)._set(arrays["vectors"][:, 0])

    def _set(self, scores):
        self.n_items, self.item_vectors = len(scores), scores[:, None]
        return self
'''


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_says_which_of_its_sizes_are_small(name: str) -> None:
    encoder = ENCODERS[name].small(length=6, seed=3)
    about = dataclasses.asdict(encoder.config)
    assert about.get("length", 6) == 6
    assert about.get("seed", 3) == 3
    assert about.get("dim", 32) == 32
    assert about.get("blocks", 1) == 1
    assert encoder.name == name


@pytest.fixture
def rarity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Encoder:
    """An encoder of one file and one line, at its small sizes, fitted."""
    (tmp_path / "rarity.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ENCODERS, "rarity", Lazy("rarity", "Rarity", "RarityConfig"))
    sequences = Sequences.from_lists(LISTS, n_items=5)
    return ENCODERS["rarity"].small(length=4, seed=0).fit(sequences)


def test_a_new_encoder_keeps_the_protocol_and_scores(rarity: Encoder) -> None:
    assert isinstance(rarity, Encoder)
    assert int(rarity.scores(SEEN)[0].argmax()) == 4, "consumed twice, the others more often"
    state = rarity.step(rarity.initial_state(1), np.array([2]))
    np.testing.assert_array_equal(rarity.state_scores(state), rarity.scores(SEEN))


def test_a_new_encoder_is_saved_and_loaded(rarity: Encoder, tmp_path: Path) -> None:
    checkpoint.save(rarity, tmp_path / "it", catalogue=checkpoint.Catalogue("five", 5))
    loaded = checkpoint.load(tmp_path / "it")
    np.testing.assert_array_equal(loaded.scores(SEEN), rarity.scores(SEEN))


def test_policies_serve_a_new_encoder(rarity: Encoder) -> None:
    policy = build("greedy_encoder", make_env(1, n_items=5, n_candidates=4), encoder=rarity)
    assert policy.recommend([1, 2], k=2)[0] == 4  # type: ignore[attr-defined]


def test_a_new_encoder_is_judged_and_ranked_on_the_leaderboard(
    rarity: Encoder, tmp_path: Path
) -> None:
    split = leave_one_out(Sequences.from_lists(LISTS, n_items=5))
    assert judge(rarity, split.test, k=2).top.shape == (4, 2)
    rows = [f"{user},{(user + t) % 12},{t}" for user in range(12) for t in range(4)]
    (tmp_path / "shop.csv").write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    out = tmp_path / "board"
    settings = leaderboard.Settings(data=str(tmp_path / "shop.csv"), models=("rarity",), out=out)
    assert leaderboard.run(settings) == 0
    (*_, last) = json.loads((out / "leaderboard.json").read_text())["rows"]
    assert last["encoder"] == "rarity"

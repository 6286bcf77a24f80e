"""Checkpoints load to identical scores and raise for a catalogue they were not trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.encoders import ENCODERS, Encoder, Sequences
from policies.saving.checkpoint import Catalogue, load, save

SMALL: dict[str, Any] = {"dim": 8, "epochs": 1}
LIGHT: dict[str, dict[str, Any]] = {
    "popularity": {},
    "markov": {},
    "mixture": {"first_settings": SMALL},
}
NAMES = [f"film {i}" for i in range(12)]
FILMS = Catalogue.of("films", NAMES)


def fitted(name: str) -> Encoder:
    rng = np.random.default_rng(0)
    lists = [rng.integers(11, size=9) for _ in range(40)]  # item 11 is never seen
    data = Sequences.from_lists(lists, n_items=12)
    return ENCODERS[name](**LIGHT.get(name, SMALL)).fit(data)


@pytest.mark.parametrize("name", ENCODERS)
def test_loads_to_identical_scores_and_states(name: str, tmp_path: Path) -> None:
    made = fitted(name)
    save(made, tmp_path / "it", catalogue=FILMS)
    back = load(tmp_path / "it", catalogue=FILMS)
    ids = np.random.default_rng(1).integers(-1, 12, size=(30, 6))
    np.testing.assert_array_equal(back.scores(ids), made.scores(ids))
    np.testing.assert_array_equal(back.encode(ids), made.encode(ids))
    np.testing.assert_array_equal(back.item_vectors, made.item_vectors)
    assert back.config == made.config


def test_the_hash_is_of_what_was_learnt(tmp_path: Path) -> None:
    one = save(fitted("markov"), tmp_path / "a", catalogue=FILMS)
    assert save(fitted("markov"), tmp_path / "b", catalogue=FILMS) == one
    assert save(fitted("popularity"), tmp_path / "b", catalogue=FILMS) != one  # replaced whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("mine")
    with pytest.raises(FileExistsError, match="no saved"):
        save(fitted("popularity"), tmp_path, catalogue=FILMS)
    assert [p.name for p in tmp_path.iterdir()] == ["films.csv"]
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}*"))


@pytest.mark.parametrize(
    "other",
    [Catalogue("books", 12), Catalogue("films", 13), Catalogue.of("films", NAMES[::-1])],
    ids=["name", "size", "order"],
)
def test_another_catalogue_is_refused_by_name(other: Catalogue, tmp_path: Path) -> None:
    save(fitted("popularity"), tmp_path / "it", catalogue=FILMS)
    with pytest.raises(ValueError, match="trained on catalogue 'films' of 12 items"):
        load(tmp_path / "it", catalogue=other)


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    save(fitted("popularity"), tmp_path / "it", catalogue=FILMS)
    file = tmp_path / "it" / "weights.safetensors"
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)
    with pytest.raises(ValueError, match=r"is not the file that config\.json was written with"):
        load(tmp_path / "it")


def test_an_unknown_format_or_encoder_is_refused(tmp_path: Path) -> None:
    save(fitted("popularity"), tmp_path / "it", catalogue=FILMS)
    file = tmp_path / "it" / "config.json"
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        load(tmp_path / "it")
    file.write_text(json.dumps(about | {"encoder": "oracle"}))
    with pytest.raises(ValueError, match="'oracle'; there are average"):
        load(tmp_path / "it")


def test_a_folder_without_a_checkpoint_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json and weights\.safetensors missing"):
        load(tmp_path)


def test_an_encoder_that_learnt_nothing_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="knows 0 items"):
        save(ENCODERS["markov"](), tmp_path / "it", catalogue=FILMS)
    assert not list(tmp_path.iterdir())

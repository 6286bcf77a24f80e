"""Ids of any kind become codes and come back as they were."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset
from offpolicy.storage.vocabularies import load_vocabulary, save_vocabulary
from offpolicy.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([10, 9, 2], ("2", "9", "10")),  # numbers by size, also where they were read as text
        (["10", "9", "2"], ("2", "9", "10")),
        (["010", "9", "2"], ("010", "2", "9")),  # 010 is a name
        (["b", None, "a", ""], ("a", "b")),
        (np.array([1.0, np.nan, 3.0]), ("1", "3")),  # what pandas makes of a missing whole number
        ([2**70, 5], ("5", str(2**70))),
        ([uuid.UUID(int=2), uuid.UUID(int=1)], (str(uuid.UUID(int=1)), str(uuid.UUID(int=2)))),
        (np.array([-1, -2, 3]), ("3",)),
    ],
)
def test_distinct_values_in_order(values: Any, names: tuple[str, ...]) -> None:
    assert Vocabulary.of(values).names == names


def test_codes_and_names_are_inverse_in_any_shape() -> None:
    songs = Vocabulary(("b", "a", "c"))
    slates = np.array([["a", ""], ["c", "b"]])
    codes = songs.codes(slates)
    assert codes.tolist() == [[1, -1], [2, 0]]
    assert songs.of_codes(codes.ravel()) == slates.ravel().tolist()
    assert songs.known(["x", "c"]).tolist() == [-1, 2]


def test_an_unknown_name_is_told_with_its_row_and_one_like_it() -> None:
    with pytest.raises(
        LogError, match=r"slate\[1\] holds 'trk_99', which is none of the 2 items.*'trk_9'"
    ):
        Vocabulary(("abc", "trk_9")).codes(["abc", "trk_99"], "slate")


def test_a_name_stands_for_one_code_only() -> None:
    with pytest.raises(LogError, match="'a' is the name of 0 and of 2"):
        Vocabulary(("a", "b", "a"))
    with pytest.raises(LogError, match=r"items\[1\] has an empty name"):
        Vocabulary(("a", ""))


@pytest.mark.parametrize("name", ["songs.json", "songs.txt"])
def test_names_are_saved_and_loaded_in_their_order(tmp_path: Path, name: str) -> None:
    songs = Vocabulary(("zoë", "a b", "007"))
    save_vocabulary(songs, tmp_path / name)
    again = load_vocabulary(tmp_path / name)
    assert (again.names, again.digest) == (songs.names, songs.digest)
    assert Vocabulary.from_bytes(songs.to_bytes()).names == songs.names
    assert Vocabulary(("a b", "zoë", "007")).digest != songs.digest


def test_a_name_of_two_lines_is_saved_as_json_only(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"save the names as .json"):
        save_vocabulary(Vocabulary(("a\nb",)), tmp_path / "songs.txt")
    assert not list(tmp_path.iterdir())


def test_items_of_a_log_may_be_text_without_a_list_of_names() -> None:
    log = LoggedDataset.from_columns(
        session=["s", "t"], step=[0, 0], slate=[["y", "x"], ["z"]], propensity=[0.5, 0.25],
        reward=[1, 0], consumed=["x", ""], n_items=3,
    )  # fmt: skip
    assert log.slate.tolist() == [[1, 0], [2, -1]]
    assert log.consumed is not None
    assert log.consumed.tolist() == [0, -1]
    assert log.names_of("item", [0, 1, 2]) == ["x", "y", "z"]

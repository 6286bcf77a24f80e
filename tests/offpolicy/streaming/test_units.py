"""A unit in two places is noticed whatever its id, and whatever the memory; none is accused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offpolicy import LogError
from offpolicy.streaming import stream, units
from offpolicy.streaming.stream import StreamSpec, stream_estimates

SNIPS = StreamSpec(horizon="one_step", estimators=("snips",))


def files_of(folder: Path, *files: list[object]) -> Path:
    """A file for each list of session ids, two rows to an id."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for k, ids in enumerate(files):
        n = 2 * len(ids)
        columns = {"session": np.repeat(ids, 2), "reward": rng.random(n), "weight": rng.random(n)}
        pq.write_table(pa.table(columns), folder / f"{k}.parquet")
    return folder


def hashed(n: int, seed: int = 0) -> list[int]:
    """Different ids in no order."""
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(rng.integers(-(2**62), 2**62, n).tolist()))


@pytest.mark.parametrize("kept", [units.KEPT, 30])
@pytest.mark.parametrize("keys", [units.KEYS, 64])
@pytest.mark.parametrize("named", [False, True])
def test_hashed_ids_pass_and_one_that_comes_again_is_named(
    tmp_path: Path, kept: int, keys: int, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 64 keys to a look, 600 ids are spread over temporary files."""
    monkeypatch.setattr(units, "KEYS", keys)
    monkeypatch.setattr(units, "ROWS", 100)
    monkeypatch.setattr(stream, "KEPT", kept)
    monkeypatch.setattr(stream, "BATCH", 150)
    every: list[object] = [f"u{k}" for k in hashed(600)] if named else list(hashed(600))
    third = [every[k::3] for k in range(3)]
    total, _ = stream_estimates(files_of(tmp_path / "good", *third), SNIPS)
    assert total.units == 600
    third[2].insert(50, third[0][3])  # in another file
    with pytest.raises(LogError, match=rf"unit {third[0][3]} stands in several .*0.parquet.*2.par"):
        stream_estimates(files_of(tmp_path / "bad", *third), SNIPS)
    again = [*every[:300], every[7], *every[300:]]  # in the same file
    with pytest.raises(LogError, match=f"unit {every[7]} stands in several places"):
        stream_estimates(files_of(tmp_path / "one", again), SNIPS)


def test_ids_that_increase_in_ranges_apart_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the ids were read again")

    good = files_of(tmp_path / "good", [5, 6, 9], [20, 21], [1, 2, 4])
    shared = files_of(tmp_path / "shared", [1, 2, 5], [5, 6, 7])
    with pytest.raises(LogError, match="unit 5 stands in several places"):
        stream_estimates(shared, SNIPS)
    monkeypatch.setattr(units, "_heads", never)
    assert stream_estimates(good, SNIPS)[0].units == 8


def test_names_that_share_a_key_are_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "_key", lambda heads: np.zeros(len(heads), np.uint64))
    good = files_of(tmp_path / "good", ["b", "a"], ["c", "d"])
    assert stream_estimates(good, SNIPS)[0].units == 4
    bad = files_of(tmp_path / "bad", ["b", "a"], ["c", "a"])
    with pytest.raises(LogError, match="unit a stands in several"):
        stream_estimates(bad, SNIPS)


def test_floats_that_merge_ids_and_files_that_name_differently_are_refused(tmp_path: Path) -> None:
    whole = files_of(tmp_path / "whole", [3.0, 1.0], [2.0])
    assert stream_estimates(whole, SNIPS)[0].units == 3
    for odd in (2.0**53, 1.5, float("nan"), float("inf")):
        with pytest.raises(LogError, match=r"0.parquet: session holds .*Write ids as integers"):
            stream_estimates(files_of(tmp_path / "odd", [odd, 1.0]), SNIPS)
    with pytest.raises(LogError, match=r"by a name in session, .* by a number in session"):
        stream_estimates(files_of(tmp_path / "mixed", [1, 2], ["a", "b"]), SNIPS)

"""Logs on disk come back as they were, or a clear refusal does."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offpolicy import LogError, LoggedDataset, append_log, read_log, write_log
from offpolicy.storage import claims
from offpolicy.storage.arrow import log_from_tables, table_from_log
from offpolicy.streaming.stream import StreamSpec, stream_estimates
from tests.offpolicy.storage.kills import killed_at_every_step

ONE_STEP = StreamSpec(horizon="one_step", estimators=("ips",), columns={"target": "propensity"})


def build(seed: int = 0, **changes: Any) -> LoggedDataset:
    rng = np.random.default_rng(seed)
    n, s = 60, 20
    every: dict[str, Any] = {
        "session": np.tile(np.arange(s) + 100 * seed, 3), "step": np.repeat(np.arange(3), s),
        "slate": np.column_stack([rng.integers(0, 5, n), rng.integers(5, 9, n)]),
        "position_propensity": np.full((n, 2), 0.5), "propensity": np.full(n, 0.25),
        "position_reward": rng.random((n, 2)), "reward": rng.random(n), "n_items": 9,
        "user": np.tile(np.arange(s) // 2, 3), "terminated": np.repeat([0, 0, 1], s),
        "truncated": np.zeros(n), "logger": np.tile(["a", "b"], n // 2),
        "candidates": np.tile(np.arange(9), (n, 1)), "candidate_propensity": np.full((n, 9), 1 / 9),
        "consumed": rng.integers(-1, 9, n), "responses": rng.random((n, 3)),
        "context": rng.random((n, 4)), "prior_items": rng.integers(-1, 9, (s, 5)),
        "prior_responses": rng.random((s, 5, 3)),
    }  # fmt: skip
    return LoggedDataset.from_columns(**(every | changes))


@pytest.mark.parametrize("name", ["log", "log.parquet"])
def test_every_column_comes_back(tmp_path: Path, name: str) -> None:
    log = build()
    write_log(log, tmp_path / name)
    again = read_log(tmp_path / name)
    assert again.hash() == log.hash()
    assert set(again.columns()) == set(log.columns())
    np.testing.assert_array_equal(again.histories(4)[1], log.histories(4)[1])
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_bare_log_and_a_log_without_responses_come_back(tmp_path: Path) -> None:
    bare = LoggedDataset.from_columns(
        session=[0], step=[0], slate=[1], propensity=[1.0], reward=[0.0], n_items=3,
        consumed=[1], responses=np.zeros((1, 0)), prior_items=np.zeros((1, 0), int),
    )  # fmt: skip
    write_log(bare, tmp_path / "log")
    assert read_log(tmp_path / "log").hash() == bare.hash()


def test_parts_are_appended_and_writing_replaces(tmp_path: Path) -> None:
    write_log(build(0), tmp_path / "log")
    append_log(build(1), tmp_path / "log")
    both = read_log(tmp_path / "log")
    assert both.hash() == LoggedDataset.concat([build(0), build(1)]).hash()
    write_log(build(2), tmp_path / "log")
    assert read_log(tmp_path / "log").hash() == build(2).hash()
    with pytest.raises(LogError, match="over 9 items, the new part over 12"):
        append_log(
            build(3, n_items=12, candidates=None, candidate_propensity=None), tmp_path / "log"
        )


def test_prior_histories_of_older_logs_are_read_beside_new_ones() -> None:
    old, new = table_from_log(build(0)), table_from_log(build(1))
    for name, width in (("prior_items", 5), ("prior_responses", 15)):
        at, lists = old.schema.get_field_index(name), old.column(name).combine_chunks()
        dense = np.zeros((60, width), lists.type.value_type.to_pandas_dtype())
        dense[:20] = lists.flatten().to_numpy().reshape(20, width)
        absent = pa.array(np.arange(60) >= 20)
        sized = pa.FixedSizeListArray.from_arrays(pa.array(dense.ravel()), width, mask=absent)
        old = old.set_column(at, name, sized)
    both = log_from_tables([old, new], "log")
    assert both.hash() == LoggedDataset.concat([build(0), build(1)]).hash()


def test_prior_histories_of_another_width_than_said_are_refused() -> None:
    table = table_from_log(build())
    lists = [[1, 2], *([None] * 18), *([[1, 2, 3, 4, 5]] * 41)]
    at = table.schema.get_field_index("prior_items")
    table = table.set_column(at, "prior_items", pa.array(lists, pa.large_list(pa.int32())))
    with pytest.raises(LogError, match=r"prior_items has lists of 2..5 entries, .* says 5"):
        log_from_tables([table], "log")


def test_nothing_there() -> None:
    with pytest.raises(LogError, match="there is no log at"):
        read_log("nowhere")


def test_a_folder_without_manifest_is_half_written(tmp_path: Path) -> None:
    (tmp_path / "part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(LogError, match="half-written or no Longplay log"):
        read_log(tmp_path)
    with pytest.raises(LogError, match="not overwritten"):
        write_log(build(), tmp_path)


def test_a_cut_part_is_named(tmp_path: Path) -> None:
    write_log(build(), tmp_path / "log")
    part = tmp_path / "log" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-200])
    with pytest.raises(LogError, match=r"part-00000.parquet cannot be read"):
        read_log(tmp_path / "log")
    part.unlink()
    with pytest.raises(LogError, match="misses its part"):
        read_log(tmp_path / "log")


def test_foreign_parquet_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "x.parquet")
    with pytest.raises(LogError, match=r"no Longplay log \(columns a, b\)"):
        read_log(tmp_path / "x.parquet")
    (tmp_path / "y.parquet").write_text("hello")
    with pytest.raises(LogError, match=r"y.parquet cannot be read"):
        read_log(tmp_path / "y.parquet")


def test_another_schema_is_refused_by_number(tmp_path: Path) -> None:
    write_log(build(), tmp_path / "log")
    manifest = tmp_path / "log" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema_version": 99}))
    with pytest.raises(LogError, match="log schema 99"):
        read_log(tmp_path / "log")


def test_a_failed_write_leaves_the_old_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(build(0), tmp_path / "log")

    def no_space(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(pq, "write_table", no_space)
    with pytest.raises(OSError, match="No space"):
        write_log(build(1), tmp_path / "log")
    assert read_log(tmp_path / "log").hash() == build(0).hash()
    assert [p.name for p in tmp_path.iterdir()] == ["log"]


def later(log: LoggedDataset, by: int = 1000) -> LoggedDataset:
    """The same decisions in sessions of other ids."""
    return replace(log, session=log.session + by)


def flipped(raw: bytes, rng: np.random.Generator) -> bytes:
    """One bit changed."""
    b = bytearray(raw)
    b[int(rng.integers(len(b)))] ^= 1 << int(rng.integers(8))
    return bytes(b)


@pytest.mark.parametrize("name", ["part-00000.parquet", "manifest.json"])
def test_a_flipped_bit_changes_no_log_in_silence(tmp_path: Path, name: str) -> None:
    log, rng = build(), np.random.default_rng(0)
    write_log(log, tmp_path / "log")
    file = tmp_path / "log" / name
    raw, refused = file.read_bytes(), 0
    for _ in range(120):
        file.write_bytes(flipped(raw, rng))
        try:
            assert read_log(tmp_path / "log").hash() == log.hash()
        except LogError:
            refused += 1
    assert refused > 60


def test_a_part_of_another_log_is_refused_and_the_same_decisions_are_not(tmp_path: Path) -> None:
    log, part = build(), tmp_path / "log" / "part-00000.parquet"
    write_log(log, tmp_path / "log")
    write_log(replace(log, reward=log.reward + 1e-9), tmp_path / "other")
    part.write_bytes((tmp_path / "other" / part.name).read_bytes())
    with pytest.raises(LogError, match=r"part-00000.parquet holds other decisions .*Copy it again"):
        read_log(tmp_path / "log")
    with pytest.raises(LogError, match=r"part-00000.parquet holds other decisions"):
        stream_estimates(tmp_path / "log", ONE_STEP)
    assert len(read_log(tmp_path / "log", verify=False)) == 60
    pq.write_table(table_from_log(log.take(np.arange(60) // 3 + np.arange(60) % 3 * 20)), part)
    assert read_log(tmp_path / "log").n_sessions == 20


def test_a_log_of_an_older_version_is_verified_by_its_contents(tmp_path: Path) -> None:
    """Its manifest has the hash of the columns, and of rows in the order they were written."""
    log, manifest = build(), tmp_path / "log" / "manifest.json"
    write_log(log, tmp_path / "log")
    entry = {"file": "part-00000.parquet", "rows": 60, "sha256": log.hash()}
    old = {"schema_version": 1, "n_items": 9, "parts": [entry]}
    manifest.write_text(json.dumps(old))
    assert read_log(tmp_path / "log").hash() == log.hash()
    append_log(later(log), tmp_path / "log")
    assert len(read_log(tmp_path / "log")) == 120
    entry["sha256"] = later(log).hash()
    manifest.write_text(json.dumps(old))
    with pytest.raises(LogError, match="holds other decisions"):
        read_log(tmp_path / "log")


def test_a_damaged_page_is_refused_where_there_is_no_manifest(tmp_path: Path) -> None:
    write_log(build(), tmp_path / "log.parquet")
    at = pq.read_metadata(tmp_path / "log.parquet").row_group(0).column(4)
    raw = bytearray((tmp_path / "log.parquet").read_bytes())
    raw[at.data_page_offset + at.total_compressed_size - 20] ^= 1
    (tmp_path / "log.parquet").write_bytes(raw)
    with pytest.raises(LogError, match=r"log.parquet cannot be read .*CRC"):
        read_log(tmp_path / "log.parquet")


def test_a_flipped_bit_of_the_footer_changes_no_single_file_in_silence(tmp_path: Path) -> None:
    log, file, rng = build(), tmp_path / "log.parquet", np.random.default_rng(0)
    write_log(log, file)
    raw, refused = file.read_bytes(), 0
    begin = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    for _ in range(120):
        file.write_bytes(raw[:begin] + flipped(raw[begin:], rng))
        try:
            assert read_log(file).hash() == log.hash()
        except LogError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (lambda log: log, "session 0 of the new part is in the log .* already"),
        (lambda log: replace(later(log), context=None), "do not both carry context"),
        (lambda log: replace(later(log), logger=np.ones(60, int)), "differs .* in logger"),
        (lambda log: replace(later(log), context=log.context[:, :2]), "differs .* in context"),
        (lambda log: later(log).with_estimated_propensities(), "propensities .logged, now est"),
        (lambda log: log.take(log.step == 2), "with prior histories a session stands in one"),
    ],
)  # fmt: skip
def test_a_part_that_would_make_the_log_unreadable_is_refused(
    tmp_path: Path, second: Callable[[LoggedDataset], LoggedDataset], said: str
) -> None:
    log = build()
    first = log.take(log.step < 2) if said.startswith("with prior") else log
    write_log(first, tmp_path / "log")
    with pytest.raises(LogError, match=said):
        append_log(second(log), tmp_path / "log")
    assert read_log(tmp_path / "log").hash() == first.hash()
    assert len(list((tmp_path / "log").iterdir())) == 2


def test_sessions_go_on_in_the_next_part(tmp_path: Path) -> None:
    log = replace(build(), prior_items=None, prior_responses=None)
    write_log(log.take(log.step < 2), tmp_path / "log")
    append_log(log.take(log.step == 2), tmp_path / "log")
    assert read_log(tmp_path / "log").hash() == log.hash()
    with pytest.raises(LogError, match="out of order"):
        append_log(log.take(log.step == 2), tmp_path / "log")
    fresh = later(log.take(log.step == 0))
    append_log(fresh, tmp_path / "log")
    with pytest.raises(LogError, match="a second user"):
        append_log(replace(fresh, step=fresh.step + 1, user=fresh.user + 1), tmp_path / "log")


def test_two_appenders_lose_nothing(tmp_path: Path) -> None:
    write_log(build(0), tmp_path / "log")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: append_log(build(k), tmp_path / "log"), range(1, 9)))
    assert len(read_log(tmp_path / "log")) == 9 * 60
    assert len(list((tmp_path / "log").glob("*.parquet"))) == 9


def test_only_longplay_logs_are_replaced_and_only_their_own_files(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for said in (
        {"name": "an app"},
        {"schema_version": 1, "n_items": 2, "parts": [{"file": "../x"}]},
    ):
        (site / "manifest.json").write_text(json.dumps(said))
        (site / "thesis.txt").write_text("years of work")
        with pytest.raises(LogError, match=r"no Longplay log; it is not overwritten"):
            write_log(build(), site)
        assert (site / "thesis.txt").read_text() == "years of work"
    pq.write_table(pa.table({"precious": [1]}), tmp_path / "mine.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    for name in ("mine.parquet", "text.parquet"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(LogError, match="is not overwritten; move it"):
            write_log(build(), tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    write_log(build(0), tmp_path / "log")
    (tmp_path / "log" / "NOTES.md").write_text("where it comes from")
    (tmp_path / "link").symlink_to(tmp_path / "log")
    write_log(build(1), tmp_path / "link")
    assert read_log(tmp_path / "log").hash() == build(1).hash()
    assert (tmp_path / "log" / "NOTES.md").exists()
    assert len(list((tmp_path / "log").iterdir())) == 3  # the old part is gone


@pytest.mark.parametrize("writer", ["write_log", "append_log"])
def test_a_killed_writer_loses_no_log_and_leaves_no_copy(
    tmp_path: Path, writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(build(0), tmp_path / "before" / "it")
    act = (
        f"from tests.offpolicy.storage.test_parquet import build\nfrom offpolicy import {writer}\n"
    )
    killed = killed_at_every_step(tmp_path, f"{act}def act(path): {writer}(build(1), path)")
    monkeypatch.setattr(claims, "JUST", 0.0)
    whole = build(1) if writer == "write_log" else LoggedDataset.concat([build(0), build(1)])
    assert {read_log(p).hash() for p in killed} == {build(0).hash(), whole.hash()}
    for where in killed:
        append_log(build(5), where)
        assert len(list(where.iterdir())) == 1 + len(read_log(where)) // 60

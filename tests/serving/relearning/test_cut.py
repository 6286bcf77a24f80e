"""A cut is the same decisions for good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, write_log
from offpolicy.storage.parquet import append_log
from policies import build, collect
from serving import ContractError
from serving.relearning.cut import Cut, cut_of, part_of, read_cut, read_part, write_cut
from tests.factories import make_env


def log_of(seed: int) -> LoggedDataset:
    env = make_env(4, max_steps=3)
    log = collect(env, build("uniform", env), n_sessions=8, seed=seed)
    columns = log.columns() | {"session": log.session + 100 * seed}
    return LoggedDataset.from_columns(n_items=log.n_items, **columns)


def test_a_cut_is_read_again_from_a_log_that_grew(tmp_path: Path) -> None:
    first, more = log_of(1), log_of(2)
    write_log(first, tmp_path / "log")
    cut = cut_of(first, "monday", time=np.linspace(5.0, 9.0, len(first)))
    assert (cut.rows, cut.sessions, cut.first, cut.last) == (len(first), 8, 5.0, 9.0)
    append_log(more, tmp_path / "log")
    again = read_part(tmp_path / "log", cut)
    assert again.hash() == first.hash() == cut.hash
    assert Cut.from_json(cut.to_json()) == cut
    assert cut_of(first).name == f"cut-{cut.hash[:12]}"


def test_a_changed_log_is_refused() -> None:
    log = log_of(1)
    cut = cut_of(log, "monday")
    with pytest.raises(LogError, match="rows were removed"):
        part_of(log.take(slice(0, len(log) - 1)), cut)
    with pytest.raises(LogError, match="other sha256"):
        part_of(log.take(np.argsort(-log.session, kind="stable")), cut)


def test_a_name_is_given_once(tmp_path: Path) -> None:
    cut, other = cut_of(log_of(1), "monday"), cut_of(log_of(2), "monday")
    file = write_cut(tmp_path, cut)
    assert write_cut(tmp_path, cut) == file
    assert read_cut(tmp_path, "monday") == cut
    with pytest.raises(ValueError, match="never changes"):
        write_cut(tmp_path, other)
    assert read_cut(tmp_path, "monday") == cut
    with pytest.raises(FileNotFoundError, match="there are monday"):
        read_cut(tmp_path, "tuesday")
    with pytest.raises(ContractError, match="name"):
        cut_of(log_of(1), "../monday")

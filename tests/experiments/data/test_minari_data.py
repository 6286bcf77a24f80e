"""A log becomes a Minari dataset and comes back the same."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.data.minari_data import from_minari, to_minari
from offpolicy import LogError, LoggedDataset

EVERYTHING = pytest.mark.filterwarnings("ignore")  # of Minari's own libraries


def rich_log() -> LoggedDataset:
    """Sessions of 1 to 4 steps with every kind of column."""
    rng = np.random.default_rng(0)
    size = [1, 4, 2, 3]
    n = sum(size)
    slate = np.array([rng.permutation(6)[:2] for _ in range(n)])
    places = rng.uniform(0.2, 0.9, (n, 2))
    last = np.isin(np.arange(n), np.cumsum(size) - 1)
    return LoggedDataset.from_columns(
        session=np.repeat([0, 1, 2, 3], size), step=np.concatenate([np.arange(k) for k in size]),
        slate=slate, propensity=places.prod(1), position_propensity=places,
        position_reward=rng.random((n, 2)), reward=rng.random(n), n_items=9, terminated=last,
        user=np.repeat([7, 7, 8, 9], size), logger=np.repeat(["a", "b", "a", "b"], size),
        consumed=slate[:, 0], responses=rng.random((n, 2)), context=rng.random((n, 3)),
        prior_items=rng.integers(0, 9, (4, 2)), prior_responses=rng.random((4, 2, 2)),
    )  # fmt: skip


@EVERYTHING
@pytest.mark.parametrize("estimated", [False, True])
@pytest.mark.parametrize("context", [False, True])
def test_a_log_comes_back_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: bool, estimated: bool
) -> None:
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    log = rich_log()
    if not context:
        kept = {k: v for k, v in log.columns().items() if k != "context"}
        log = LoggedDataset.from_columns(n_items=9, **kept)
    log = log.with_estimated_propensities() if estimated else log
    dataset = to_minari(log, "longplay/test-v0")
    assert dataset.total_episodes == 4
    assert [len(e) for e in dataset.iterate_episodes()] == [1, 4, 2, 3]
    assert from_minari(dataset).hash() == log.hash()


@EVERYTHING
def test_a_dataset_without_propensities_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minari = pytest.importorskip("minari")
    spaces = pytest.importorskip("gymnasium.spaces")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    episode = minari.data_collector.EpisodeBuffer(
        observations=np.zeros((3, 1), np.float32), actions=np.array([0, 1]), rewards=[1.0, 0.0],
        terminations=[False, True], truncations=[False, False],
    )  # fmt: skip
    foreign = minari.create_dataset_from_buffers(
        "foreign-v0", [episode], observation_space=spaces.Box(-1, 1, (1,), np.float32),
        action_space=spaces.Discrete(2),
    )  # fmt: skip
    with pytest.raises(LogError, match="hold no propensity"):
        from_minari(foreign)


def test_sessions_with_holes_and_a_missing_extra_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ImportError, match=r"pip install 'longplay\[minari\]'"):
        to_minari(rich_log(), "x-v0")

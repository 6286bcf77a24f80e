"""A log becomes a Minari dataset and comes back the same."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

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


class Episode:
    """As Minari's EpisodeData: one observation and info more than decisions."""

    def __init__(self, number: int, observations: Any, actions: Any, **infos: Any) -> None:
        n = len(actions)
        self.id, self.observations, self.actions = number, observations, np.asarray(actions)
        self.rewards, self.terminations = np.ones(n), np.arange(n) == n - 1
        self.truncations, self.infos = np.zeros(n, bool), {"propensity": [0.5] * (n + 1)} | infos

    def __len__(self) -> int:
        return len(self.actions)


class Dataset:
    """As Minari's MinariDataset, of a stranger who says nothing of Longplay."""

    def __init__(self, action_space: Any, episodes: list[Episode]) -> None:
        self.action_space, self._episodes = action_space, episodes
        self.storage = SimpleNamespace(metadata={"description": "robots"})

    def iterate_episodes(self) -> list[Episode]:
        return self._episodes


def foreign(space: Any, actions: Any, observe: Any = None, **infos: Any) -> Dataset:
    seen = np.arange(8.0).reshape(4, 2) if observe is None else observe
    return Dataset(space, [Episode(k, seen, actions, **infos) for k in range(2)])


@pytest.mark.parametrize(
    ("space", "actions", "n_items", "slates"),
    [
        (spaces.Discrete(4), [0, 3, 1], 4, [[0], [3], [1]]),
        (spaces.Discrete(2, start=1), [1, 2, 1], 2, [[0], [1], [0]]),
        (spaces.MultiDiscrete([9, 9]), [[0, 8], [4, 5], [2, 1]], 9, [[0, 8], [4, 5], [2, 1]]),
        (
            spaces.Box(-1, 5, (2,), np.int32),
            [[0, -1], [4, 5], [2, 1]],
            6,
            [[0, -1], [4, 5], [2, 1]],
        ),
        (spaces.Box(1, 5, (1,), np.int64), [[1], [5], [2]], 5, [[0], [4], [1]]),
    ],
)
def test_items_of_foreign_action_spaces(
    space: Any, actions: Any, n_items: int, slates: list[list[int]]
) -> None:
    log = from_minari(foreign(space, actions))
    assert (log.n_items, log.slate.tolist()) == (n_items, slates * 2)


def test_item_columns_are_shifted_with_the_actions() -> None:
    log = from_minari(foreign(spaces.Discrete(2, start=1), [1, 2, 1], consumed=[1, -1, 1, -1]))
    assert log.consumed is not None
    assert log.consumed.tolist() == [0, -1, 0] * 2


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (spaces.Box(-np.inf, np.inf, (1,), np.float32), "continuous actions are weighed by"),
        (spaces.Box(0, 1, (1,), np.float64), "kernel_terms"),
        (spaces.MultiDiscrete([9, 5]), "places of different choices"),
        (spaces.MultiBinary(3), "actions of MultiBinary are no items"),
        (spaces.Dict(a=spaces.Discrete(2)), "actions of Dict are no items"),
    ],
)
def test_actions_that_are_no_items_are_refused_by_name(space: Any, said: str) -> None:
    with pytest.raises(LogError, match=said):
        from_minari(foreign(space, [[0, 1]] * 3))


@pytest.mark.parametrize(
    ("seen", "width"),
    [
        (np.arange(4), 1),
        (np.zeros((4, 2, 3), np.float32), 6),
        ({"user": np.ones((4, 2)), "age": np.arange(4), "deep": {"x": np.zeros((4, 1))}}, 4),
        ((np.zeros((4, 2)), np.zeros(4, bool)), 3),
    ],
)
def test_observations_of_any_shape_are_one_vector(seen: Any, width: int) -> None:
    log = from_minari(foreign(spaces.Discrete(2), [0, 1, 0], seen))
    assert log.context is not None
    assert log.context.shape == (6, width)
    if isinstance(seen, dict):  # age, deep, user
        np.testing.assert_array_equal(log.context[:3], [[0, 0, 1, 1], [1, 0, 1, 1], [2, 0, 1, 1]])


def test_observations_that_are_no_numbers_are_named() -> None:
    seen = {"query": np.array(["a"] * 4), "user": np.ones((4, 2))}
    with pytest.raises(LogError, match=r"observations\['query'\] hold <U1, no numbers"):
        from_minari(foreign(spaces.Discrete(2), [0, 1, 0], seen))


def test_slates_that_repeat_items_and_no_episodes() -> None:
    twice = foreign(spaces.MultiDiscrete([3, 3]), [[1, 1], [0, 2], [2, 2]])
    with pytest.raises(LogError, match="repeats an item"):
        from_minari(twice)
    assert from_minari(twice, repeats=True).repeats
    with pytest.raises(LogError, match="holds no episodes"):
        from_minari(Dataset(spaces.Discrete(2), []))

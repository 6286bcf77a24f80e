"""Logs as Minari datasets and back: sessions are episodes, what Minari has no place for is infos.

An episode has one observation more than decisions; a log does not hold what the user looked like
after the last one, so that the last observation is repeated there. Infos are padded the same way.
Needs the extra `minari`.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.data.minari_spaces import Items, context_of, items_of
from offpolicy import LogError, LoggedDataset
from offpolicy.log.dataset import PRIOR_COLUMNS, ROW_COLUMNS

IN_EPISODE = ("step", "slate", "reward", "terminated", "truncated", "context")  # have a place
FORMAT = 1


def to_minari(log: LoggedDataset, dataset_id: str) -> Any:
    """Write the log as a new local Minari dataset ("folder/name-v0") and return that.

    Observations are the context (D,), or the step where there is none; actions are slates (K,).

    Raises:
        LogError: a session has missing steps.
        ImportError: Minari is not installed.
    """
    minari, spaces = _minari(), import_module("gymnasium.spaces")
    log.require_whole_sessions("an episode is a session from its first step.")
    width = 1 if log.context is None else log.context.shape[1]
    described = {
        "longplay": FORMAT,
        "n_items": log.n_items,
        "context": log.context is not None,
        "propensity_source": log.propensity_source,
        "repeats": log.repeats,
    }
    rows = np.split(np.lexsort((log.step, log.sessions)), np.cumsum(np.bincount(log.sessions))[:-1])
    return minari.create_dataset_from_buffers(
        dataset_id,
        [_episode(log, own, k) for k, own in enumerate(rows)],
        observation_space=spaces.Box(-np.inf, np.inf, (width,), np.float32),
        action_space=spaces.Box(-1, log.n_items - 1, (log.slate_size,), np.int32),
        description=json.dumps(described),
        data_format="arrow",
    )


def from_minari(dataset: Any, *, repeats: bool = False) -> LoggedDataset:
    """A dataset that `to_minari` wrote, or any whose actions are item ids and whose infos hold the
    `propensity` of every decision. Items of a space that starts at 1 become 0, 1 …; Dict and Tuple
    observations become one vector. `repeats` says that a slate may show an item several times.

    Raises:
        LogError: there is no propensity, the actions are no items, or a rule of the log is broken.
    """
    described = _description(dataset)
    items = described.get("items") or items_of(dataset.action_space)
    episodes = list(dataset.iterate_episodes())
    if not episodes:
        raise LogError("the dataset holds no episodes; record one at least.")
    infos = episodes[0].infos or {}
    if "propensity" not in infos:
        raise LogError(
            "the dataset's infos hold no propensity, so it cannot be weighed: log, at serve time, "
            "the probability the serving policy gave each action."
        )
    size = [len(e) for e in episodes]
    columns: dict[str, Any] = {
        "session": np.repeat([e.id for e in episodes], size),
        "step": np.concatenate([np.arange(n) for n in size]),
        "slate": items.ids(np.concatenate([e.actions for e in episodes])),
        "reward": np.concatenate([e.rewards for e in episodes]),
        "terminated": np.concatenate([e.terminations for e in episodes]),
        "truncated": np.concatenate([e.truncations for e in episodes]),
    }
    if described["context"]:
        columns["context"] = np.concatenate([context_of(e.observations, len(e)) for e in episodes])
    for name in infos:
        if name in ROW_COLUMNS:
            columns[name] = np.concatenate([e.infos[name][: len(e)] for e in episodes])
            if name in ("candidates", "consumed"):
                columns[name] = items.ids(columns[name])
        elif name in PRIOR_COLUMNS:
            columns[name] = np.stack([e.infos[name][0] for e in episodes])
    repeats = repeats or bool(described.get("repeats", False))
    log = LoggedDataset.from_columns(n_items=items.n_items, repeats=repeats, **columns)
    return (
        log.with_estimated_propensities() if described["propensity_source"] == "estimated" else log
    )


def _episode(log: LoggedDataset, rows: NDArray[np.int64], session: int) -> Any:
    """Minari's record of one session."""
    padded = np.append(rows, rows[-1])
    seen = log.step[:, None].astype(np.float32) if log.context is None else log.context
    infos = {
        name: list(np.repeat(x[session][None], len(padded), axis=0))
        if name in PRIOR_COLUMNS
        else _plain(x[padded])
        for name, x in log.columns().items()
        if name not in IN_EPISODE
    }
    return import_module("minari.data_collector").EpisodeBuffer(
        id=session,
        observations=seen[padded],
        actions=log.slate[rows],
        rewards=log.reward[rows],
        terminations=log.terminated[rows],
        truncations=log.truncated[rows],
        infos=infos,
    )


def _plain(x: NDArray[Any]) -> Any:
    """Scalars travel as a list, vectors as an array."""
    return x.tolist() if x.ndim == 1 else x


def _description(dataset: Any) -> dict[str, Any]:
    """What `to_minari` wrote of the log; of a foreign dataset what it may assume."""
    text = dataset.storage.metadata.get("description") or ""
    described = json.loads(text) if text.startswith('{"longplay"') else {}
    if described and described["longplay"] != FORMAT:
        raise LogError(f"the dataset has log format {described['longplay']}, this reads {FORMAT}")
    own: dict[str, Any] = {"context": True, "propensity_source": "logged"}
    if "n_items" in described:
        own["items"] = Items(int(described["n_items"]), 0)
    return own | described


def _minari() -> Any:
    try:
        return import_module("minari")
    except ImportError:
        raise ImportError(
            "Minari datasets need the extra: pip install 'longplay[minari]'"
        ) from None

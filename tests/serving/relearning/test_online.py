"""A bandit that follows the log learns what one update teaches, and serves only after the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset
from offpolicy.log.splitting import split_sessions
from policies import build
from policies.saving.folders import content_hash
from serving.relearning.lineage import lineage_of
from serving.relearning.online import OnlineLearner
from tests.factories import make_observation, make_serving
from tests.serving.relearning.factories import ITEMS, TERMS, registry_of, served

SETTINGS: dict[str, dict[str, Any]] = {
    "linucb": {"temperature": 0.5},
    "ucb1": {"temperature": 0.5},
    "epsilon_greedy": {"epsilon": 0.3},
    "lints": {"width": 0.0, "epsilon": 0.3},  # the draws are of their own seed after each update
}


def bandit(name: str) -> Any:
    return build(name, make_serving(ITEMS, slate_size=1), **SETTINGS[name])


def increments(log: LoggedDataset, cuts: tuple[int, ...]) -> list[LoggedDataset]:
    """The log after so many sessions, and whole; rows in the order of sessions."""
    ordered = log.take(np.lexsort((log.step, log.session)))
    return [ordered.take(ordered.session < cut) for cut in (*cuts, log.n_sessions)]


@pytest.mark.parametrize("name", SETTINGS)
def test_row_after_row_equals_a_batch(name: str) -> None:
    _, log = served()
    parts = increments(log, (1, 30, 31, 500))
    online, whole = OnlineLearner(bandit(name), name=name, terms=TERMS), bandit(name)
    learnt = [online.follow(part) for part in parts]
    teach, _ = split_sessions(parts[-1], TERMS.split)
    whole.update(teach)
    assert sum(learnt) == len(teach)
    assert online.follow(parts[-1]) == 0
    obs = make_observation(np.random.default_rng(0).integers(-1, ITEMS, (50, 3)))
    mine, batch = (p.distribution(obs).first_place() for p in (online.policy, whole))
    np.testing.assert_allclose(mine, batch, atol=1e-6)
    np.testing.assert_array_equal(online.taught, np.unique(teach.unit))


def test_it_resumes_where_it_was(tmp_path: Path) -> None:
    _, log = served()
    early, late = increments(log, (400,))
    through, first = (OnlineLearner(bandit("linucb"), name="linucb", terms=TERMS) for _ in "ab")
    through.follow(early)
    first.follow(early)
    first.keep(tmp_path / "online", early)
    again = OnlineLearner.resume(tmp_path / "online", name="linucb", terms=TERMS)
    other = late.take(late.session >= 400)
    with pytest.raises(LogError, match="other sha256"):
        OnlineLearner.resume(tmp_path / "online", name="linucb").follow(
            LoggedDataset.concat([other, early])
        )
    assert again.follow(late) == through.follow(late)
    assert content_hash(again.policy) == content_hash(through.policy)  # type: ignore[arg-type]
    with pytest.raises(LogError, match="another log"):
        again.follow(early)
    half = OnlineLearner(bandit("linucb"), name="linucb")
    half.follow(late.take(slice(0, 4)))
    with pytest.raises(LogError, match="goes on"):
        half.follow(late)


def test_snapshots_pass_the_same_gate_and_nothing_serves(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    pointer = registry.pointer()
    early, late = increments(log, (400,))
    source = bandit("linucb")
    before = content_hash(source)
    online = OnlineLearner(source, name="linucb", terms=TERMS, every=1_000)
    online.follow(early)
    assert online.offer(registry, early) is None
    online.follow(late)
    with pytest.raises(LogError, match="follow it first"):
        online.offer(registry, early)
    found = online.offer(registry, late)
    assert found is not None
    assert found.version is not None
    assert content_hash(source) == before
    assert registry.pointer() == pointer
    assert online.offer(registry, late) is None
    lineage = lineage_of(registry.find(found.version))
    assert lineage is not None
    assert lineage.settings == {"online": True, "rows": len(log)}
    held = registry.load(found.version, warmed=False).policy
    frozen = content_hash(held)  # type: ignore[arg-type]
    online.policy.update(late)
    assert content_hash(registry.load(found.version, warmed=False).policy) == frozen  # type: ignore[arg-type]


def test_a_snapshot_that_the_judges_taught_is_refused(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    online = OnlineLearner(bandit("ucb1"), name="ucb1", terms=TERMS, every=1)
    online.follow(log)
    online.taught = np.unique(log.unit)
    with pytest.raises(LogError, match="taught version the snapshot"):
        online.offer(registry, log)

"""A server follows its registry: under load, past versions that are no good, and back at once."""

from __future__ import annotations

import itertools
import logging
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from policies import Observation, ScorePolicy
from serving import Catalogue, Decision, Engine, MemoryLog, Registry, Request, Watcher, open_engine
from serving.contracts.events import read_event
from serving.contracts.starts import Start
from tests.serving.factories import names_of
from tests.serving.registry.factories import CATALOGUE, A, make_registry, saved


def ask(i: int) -> Request:
    return Request(request_id=f"r{i}", user=f"u{i}", session="s", context=(0.0,))


def watched(folder: Path, count: int = 2) -> tuple[Registry, list[str], Engine, Watcher]:
    """The first of some versions is live and served; nobody looks yet."""
    registry, versions = make_registry(folder, count)
    registry.promote(versions[0], by="ann")
    engine = open_engine(registry, MemoryLog())
    engine.announce()
    return registry, versions, engine, Watcher(registry, engine, poll=0.005)


def starts(engine: Engine) -> list[Start]:
    events = (read_event(e.event) for w in engine.events.writers() for e in engine.events.read(w))
    return [event for event in events if isinstance(event, Start)]


def test_a_swap_under_load_loses_and_fails_no_request(tmp_path: Path) -> None:
    """Threads ask while the registry changes six times. Each slate is the keyed draw of the version
    that it names: what an engine that serves this version alone gives."""
    registry, (a, b), engine, watcher = watched(tmp_path)
    numbers, done, ended = itertools.count(), list[list[Decision]](), threading.Event()

    def user(nth: int) -> None:
        mine: list[Decision] = []
        done.append(mine)
        while not ended.is_set():
            batch = [ask(next(numbers)) for _ in range(1 + nth)]
            mine += engine.decide_many(batch)

    threads = [threading.Thread(target=user, args=(nth,)) for nth in range(4)]
    with watcher:
        for thread in threads:
            thread.start()
        for change in range(6):
            before = sum(map(len, done))
            wanted = (registry.rollback() if change % 2 else registry.promote(b)).live
            deadline = time.monotonic() + 60
            while engine.version != wanted or sum(map(len, done)) < before + 40:
                assert time.monotonic() < deadline, watcher.status()
                time.sleep(0.001)
        ended.set()
        for thread in threads:
            thread.join()
    decisions = {d.decision_id: d for d in itertools.chain(*done)}
    assert len(decisions) == sum(map(len, done)) == next(numbers) >= 240  # none is lost
    assert {d.policy for d in decisions.values()} == {a, b}
    assert all(d.fallback is None for d in decisions.values())  # none failed
    hashes = {v: registry.find(v).contents.sha256 for v in (a, b)}
    for version in (a, b):
        alone = open_engine(registry, MemoryLog(), version=version)
        mine = [d for d in decisions.values() if d.policy == version]
        requests = [ask(int(d.decision_id[1:])) for d in mine]
        expected = alone.decide_many(requests)
        assert [d.slate for d in mine] == [d.slate for d in expected]
        assert [d.propensity for d in mine] == [d.propensity for d in expected]
        assert {d.policy_sha256 for d in mine} == {hashes[version]}
    assert watcher.status().swaps == 6
    assert [s.policy for s in starts(engine)] == [a, b, a, b, a, b, a]


def test_to_roll_back_takes_no_file_of_the_version(tmp_path: Path) -> None:
    registry, (a, b), engine, watcher = watched(tmp_path)
    first = engine.policy
    assert not watcher.check()
    registry.promote(b)
    assert watcher.check()
    shutil.rmtree(registry.folder / "versions")
    (registry.folder / "versions").mkdir()
    registry.rollback()
    assert watcher.check()
    assert (engine.version, watcher.status().error) == (a, None)
    assert engine.policy is first


def test_a_version_that_is_no_good_leaves_the_old_one_serving(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry, (a, b, c), engine, watcher = watched(tmp_path, 3)
    registry.promote(b)
    weights = registry.folder / "versions" / b / "policy" / "weights.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1])
    with caplog.at_level(logging.ERROR, "serving"):
        for _ in range(5):
            assert not watcher.check()
    assert len(caplog.records) == 1  # said once
    status = watcher.status()
    assert (status.serves, status.wanted, status.failures, status.swaps) == (a, b, 1, 0)
    assert status.error is not None
    assert f"version {b} cannot be served; {a} goes on" in status.error
    assert engine.decide(ask(1)).policy == a
    weights.write_bytes(good)
    assert not watcher.check()  # until the pointer changes
    registry.promote(c)
    assert watcher.check()
    registry.promote(b)
    assert watcher.check()
    assert (engine.version, watcher.status().error, watcher.status().swaps) == (b, None, 2)


def test_a_version_of_other_items_waits_for_a_restart(tmp_path: Path) -> None:
    registry, (a, _), engine, watcher = watched(tmp_path)
    turned = registry.add(saved(tmp_path), catalogue=Catalogue(names_of(A)[::-1]))
    plain = registry.add(saved(tmp_path), catalogue=CATALOGUE, retrieval="none")
    wide = registry.add(saved(tmp_path, 7, history_length=9), catalogue=CATALOGUE)
    for version, said in (
        (turned, "item 0 is 'item-23', not 'item-0'.*restart"),
        (plain, "has no retrieval, unlike what serves: restart"),
        (wide, "history_length 9, not 4"),
    ):
        registry.promote(version)
        assert not watcher.check()
        with pytest.raises(AssertionError, match=said):
            raise AssertionError(watcher.status().error)
        assert engine.version == a
        assert open_engine(registry, MemoryLog()).version == version


def test_a_pointer_that_cannot_be_read_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry, (a, b), engine, watcher = watched(tmp_path)
    file = registry.folder / "pointer.json"
    good = file.read_bytes()
    with caplog.at_level(logging.ERROR, "serving"):
        for content in (b"{", None):
            file.unlink()
            if content is not None:
                file.write_bytes(content)
            for _ in range(3):
                assert not watcher.check()
            assert "pointer cannot be read" in str(watcher.status().error)
    assert len(caplog.records) == 2
    assert engine.version == a
    file.write_bytes(good)
    assert not watcher.check()
    assert watcher.status().error is None
    file.rename(file.with_suffix(".away"))
    assert not watcher.check()
    file.with_suffix(".away").rename(file)
    assert not watcher.check()
    assert watcher.status().error is None
    registry.promote(b)
    assert watcher.check()


def test_a_swap_is_announced_once_the_event_log_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, (a, b), engine, watcher = watched(tmp_path)
    registry.promote(b)

    def full(event: bytes) -> int:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(engine.events, "append", full)
        assert watcher.check()
        assert not watcher.check()
        assert "event log does not hold" in str(watcher.status().error)
    assert engine.version == b
    assert not watcher.check()
    assert [s.policy for s in starts(engine)] == [a, b]
    assert watcher.status().error is None


def test_an_engine_opened_from_a_registry_says_what_it_serves(tmp_path: Path) -> None:
    registry, (a, _), engine, _ = watched(tmp_path)
    (start,) = starts(engine)
    assert (start.policy, start.policy_sha256) == (a, registry.find(a).contents.sha256)
    assert start.item_names == CATALOGUE.names
    assert engine.decide(ask(0)).policy_sha256 == start.policy_sha256


def test_loading_answers_as_the_saved_policy(tmp_path: Path) -> None:
    registry, versions = make_registry(tmp_path)
    for nth, version in enumerate(versions):
        release = registry.load(version)
        obs: Observation = release.golden.obs
        counts = np.exp(np.random.default_rng(nth).normal(size=A))
        inner = release.policy.policy  # type: ignore[attr-defined]
        assert isinstance(inner, ScorePolicy)
        share = np.where(obs.candidates < 0, 0.0, 1.0 + counts[obs.candidates])  # type: ignore[index, operator]
        np.testing.assert_allclose(
            release.golden.first_place, share / share.sum(axis=1, keepdims=True), rtol=1e-2
        )

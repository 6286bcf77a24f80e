"""A watcher follows the arms of the pointer: beside what is live, from memory, and back at once."""

from __future__ import annotations

import itertools
import logging
import shutil
import threading
import time
from pathlib import Path

import pytest

from serving import Catalogue, Decision, Engine, MemoryLog, Registry, Request, Watcher, open_engine
from serving.arms import arm_point
from serving.events.reading import starts_of
from tests.serving.factories import names_of
from tests.serving.registry.factories import A, make_registry, saved

ROLLOUT = {"rollout": "try", "salt": "salt"}


def ask(i: int, user: int) -> Request:
    return Request(request_id=f"r{i}", user=f"u{user}", session="s", context=(0.0,))


def watched(folder: Path, count: int = 3) -> tuple[Registry, list[str], Engine, Watcher]:
    """The first of some versions is live and served; nobody looks yet."""
    registry, versions = make_registry(folder, count)
    registry.promote(versions[0], by="ann")
    engine = open_engine(registry, MemoryLog())
    engine.announce()
    watcher = Watcher(registry, engine, poll=0.005, share=1.0)
    assert not watcher.check()
    return registry, versions, engine, watcher


def take_files_away(registry: Registry) -> None:
    """From now on, only what is in memory can be served."""
    shutil.rmtree(registry.folder / "versions")
    (registry.folder / "versions").mkdir()


def arms(engine: Engine) -> tuple[str, str | None, float | None, str | None]:
    served = engine.served
    return (
        served.live.version,
        None if served.canary is None else served.canary.version,
        None if served.split is None else served.split.weight,
        None if served.shadow is None else served.shadow.version,
    )


def test_a_rollout_of_the_pointer_from_shadow_to_live(tmp_path: Path) -> None:
    registry, (a, b, _), engine, watcher = watched(tmp_path)
    registry.shadow(b)
    assert watcher.check()
    assert arms(engine) == (a, None, None, b)
    engine.decide_many([ask(i, i) for i in range(5)])
    assert engine.run_shadow() == 5
    shadow = engine.served.shadow
    assert shadow is not None
    registry.canary(b, weight=0.25, **ROLLOUT)
    take_files_away(registry)
    assert watcher.check()
    assert arms(engine) == (a, b, 0.25, None)
    assert engine.served.canary is not None
    assert engine.served.canary.answers.policy is shadow.answers.policy, "not loaded again"
    status = watcher.status()
    assert (status.canary, status.weight, status.rollout, status.error) == (b, 0.25, "try", None)
    made = engine.decide_many([ask(i, i) for i in range(100, 160)])
    for d in made:
        assert d.arm == ("canary" if arm_point("salt", d.user) < 0.25 else "control")
        assert d.policy == (b if d.arm == "canary" else a)
        assert d.rollout == "try@0.25"
    registry.weigh(0.75)
    assert watcher.check()
    assert not watcher.check()
    assert arms(engine) == (a, b, 0.75, None)
    assert [(s.policy, s.canary, s.weight, s.shadow) for s in starts_of(engine.events)] == [
        (a, None, None, None), (a, None, None, b), (a, b, 0.25, None), (a, b, 0.75, None),
    ]  # fmt: skip


def test_to_promote_a_canary_and_to_roll_it_back_takes_no_file(tmp_path: Path) -> None:
    registry, (a, b, _), engine, watcher = watched(tmp_path)
    first = engine.policy
    registry.canary(b, weight=0.5, **ROLLOUT)
    assert watcher.check()
    assert engine.served.canary is not None
    policy = engine.served.canary.answers.policy
    registry.promote("canary")
    take_files_away(registry)
    assert watcher.check()
    assert (arms(engine), watcher.status().error) == ((b, None, None, None), None)
    assert engine.policy is policy
    assert watcher.status().swaps == 1
    registry.rollback()
    assert watcher.check()
    assert (arms(engine), engine.policy is first) == ((a, None, None, None), True)


def test_a_rollback_ends_the_canary_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, (a, b, c), engine, watcher = watched(tmp_path)
    registry.canary(b, weight=0.5, **ROLLOUT)
    watcher.check()
    registry.rollback(why="complaints")
    registry.shadow(c)

    def slow(version: str, **settings: float) -> None:
        assert arms(engine) == (a, None, None, None)
        raise OSError("a disk that is away")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "load", slow)
        assert watcher.check()
    assert "shadow" in str(watcher.status().error)
    registry.shadow(None)
    assert not watcher.check()
    assert watcher.status().error is None


def test_a_canary_that_is_no_good_changes_nothing_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry, (a, b, c), engine, watcher = watched(tmp_path)
    registry.canary(b, weight=0.5, **ROLLOUT)
    weights = registry.folder / "versions" / b / "policy" / "weights.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1])
    before = engine.served
    with caplog.at_level(logging.ERROR, "serving"):
        for _ in range(5):
            assert not watcher.check()
    assert len(caplog.records) == 1
    assert engine.served is before
    status = watcher.status()
    assert (status.serves, status.canary, status.failures) == (a, None, 1)
    assert f"the canary {b} cannot be served; {a} serves all users" in str(status.error)
    weights.write_bytes(good)
    registry.shadow(c)  # the pointer changed: it is tried again
    assert watcher.check()
    assert (arms(engine), watcher.status().error) == ((a, b, 0.5, c), None)
    weights.write_bytes(good[:-1])
    registry.weigh(0.6)
    assert watcher.check(), "what is in memory serves on"
    assert arms(engine) == (a, b, 0.6, c)


def test_arms_of_a_live_version_that_cannot_be_loaded_are_not_served(tmp_path: Path) -> None:
    """The rollout compares its canary with what the pointer names."""
    registry, (a, b, c), engine, watcher = watched(tmp_path)
    registry.canary(b, weight=0.5, **ROLLOUT)
    watcher.check()
    turned = registry.add(saved(tmp_path), catalogue=Catalogue(names_of(A)[::-1]))
    registry.promote(turned)
    assert watcher.check()
    assert arms(engine) == (a, None, None, None), "a rollout that ended is not served on"
    assert "another catalogue" in str(watcher.status().error)
    registry.promote(c)
    registry.canary(b, weight=0.5, **ROLLOUT | {"rollout": "again"})
    assert watcher.check()
    assert (arms(engine), watcher.status().error) == ((c, b, 0.5, None), None)
    registry.promote("canary")
    registry.canary(a, weight=0.1, **ROLLOUT | {"rollout": "once more"})
    assert watcher.check()
    assert arms(engine) == (b, a, 0.1, None)


def test_a_rollout_under_load_keeps_every_user_in_an_arm(tmp_path: Path) -> None:
    """Threads ask while the weight grows, the canary is promoted and all is rolled back. Each
    decision is of the version of its arm, and of a user's decisions in a rollout none is of the
    live version after one of the canary."""
    registry, (a, b, _), engine, watcher = watched(tmp_path)
    numbers, done, ended = itertools.count(), list[list[Decision]](), threading.Event()

    def users(nth: int) -> None:
        mine: list[Decision] = []
        done.append(mine)
        while not ended.is_set():
            mine += engine.decide_many([ask(next(numbers), 50 * nth + i) for i in range(8)])

    threads = [threading.Thread(target=users, args=(nth,)) for nth in range(3)]
    steps = [
        lambda: registry.canary(b, weight=0.1, **ROLLOUT),
        lambda: registry.weigh(0.5),
        lambda: registry.weigh(1.0),
        lambda: registry.promote("canary"),
        lambda: registry.rollback(),
    ]
    with watcher:
        for thread in threads:
            thread.start()
        for step in steps:
            before, pointer = sum(map(len, done)), step()
            deadline = time.monotonic() + 60
            wanted = (pointer.live, pointer.canary, pointer.weight, None)
            while arms(engine) != wanted or sum(map(len, done)) < before + 60:
                assert time.monotonic() < deadline, watcher.status()
                time.sleep(0.001)
        ended.set()
        for thread in threads:
            thread.join()
    everything = [d for mine in done for d in mine]
    assert {d.fallback for d in everything} == {None}
    assert len({d.decision_id for d in everything}) == len(everything) == next(numbers)
    assert {(d.arm, d.policy) for d in everything} == {
        ("live", a), ("control", a), ("canary", b), ("live", b),
    }  # fmt: skip
    for mine in done:
        exposed = set[str]()
        for d in (one for one in mine if one.rollout):
            assert d.arm == "canary" or d.user not in exposed
            if d.arm == "canary":
                exposed.add(d.user)
    assert watcher.status().swaps == 2

"""Run by itself: forks processes that change registries, has each killed, and looks at what is
left. Prints how many were killed at a step, how many met a full disk there, and how many were
killed at random; an AssertionError tells what that broke. With N, at every Nth step alone: a kill
at the first, a full disk at the second.

    python -m tests.serving.registry.kills FOLDER [N]
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from serving import Registry
from serving.registry import registry as registries
from serving.registry.versions import verify
from tests.serving.registry.factories import CATALOGUE, make_registry, saved

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod"}
KILLED, FAILED, PASSED_BY, TORN = 9, 3, 4, 5
WHOLE = re.compile(r"^(?!.*\.writing-).*\.(json|safetensors)$|/secret$")  # never written in place
AS_GIVEN: dict[str, Any] = {"retrieval": "auto", "kinds": (), "limit": registries.LIMIT}


class Fault:
    """Happens at the nth change of the disk, once."""

    def __init__(self, at: int, kill: bool) -> None:
        self.left, self.kill = at, kill
        sys.addaudithook(self._hook)
        for name in ("fsync", "pwrite"):
            setattr(os, name, self._wrapped(getattr(os, name)))

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        writes = (
            event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if event in CHANGES or writes:
            self._happens()
        if writes and WHOLE.search(str(args[0])):
            os._exit(TORN)  # a kill between this and the write would leave an empty file

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if self.left == 0 and function.__name__ == "pwrite":
                function(args[0], args[1][: len(args[1]) // 2], args[2])  # half of it is written
            self._happens()
            return function(*args)

        return call

    def _happens(self) -> None:
        self.left -= 1
        if self.left == -1:
            if self.kill:
                os._exit(KILLED)
            raise OSError(errno.ENOSPC, "no space left, says the test")


def forked(work: Callable[[], int]) -> int:
    """Process id of a child that does the work and ends with the status that it returns."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        status = work()
    except OSError as error:
        status = FAILED if error.errno == errno.ENOSPC else 1
        if status == 1:
            raise
    finally:
        sys.stderr.flush()
        os._exit(status)


def check(folder: Path, policies: list[Path]) -> None:
    """A registry that loads, with a history without a gap, whose next change works."""
    registry = Registry(folder)
    pointer, history = registry.pointer(), registry.history()
    assert [c.revision for c in history] == list(range(1, pointer.revision + 1)), history
    assert all(b.before == a.after for a, b in pairwise(history)), history
    assert history[-1].after == pointer.live
    for version in registry.versions():
        verify(version)
    assert registry.load(warmed=False).version == pointer.live
    other = next(v.version for v in registry.versions() if v.version != pointer.live)
    assert registry.promote(other).revision == pointer.revision + 1
    assert len(registry.secret()) == 32
    added = registry.add(policies[2], catalogue=CATALOGUE)
    assert registry.find(added).version == added
    assert len(registry.versions()) == 3
    left = [p for p in folder.glob("*/.*.writing-*") if any(p.iterdir())]  # young empty ones stay
    assert left == [], left


def at_every_step(
    base: Path, folder: Path, policies: list[Path], *, kill: bool, steps: range
) -> int:
    """The same change again and again, with a fault one step later each time."""
    first, _ = (v.version for v in Registry(base).versions())
    changes: list[Callable[[Registry], object]] = [
        lambda r: r.add(policies[2], catalogue=CATALOGUE),
        lambda r: r.add(policies[1], catalogue=CATALOGUE, note="a better one"),
        lambda r: r.promote(first),
        lambda r: r.rollback(),
        lambda r: r.secret(),
    ]
    faults = 0
    for change in changes:
        for at in steps:
            tried = folder / "tried"
            shutil.rmtree(tried, ignore_errors=True)
            shutil.copytree(base, tried)

            def work(change: Any = change, at: int = at, tried: Path = tried) -> int:
                registry = Registry(tried)
                fault = Fault(at, kill)
                change(registry)
                return 0 if fault.left >= 0 else PASSED_BY  # nobody had to know

            _, status = os.waitpid(forked(work), 0)
            code = os.waitstatus_to_exitcode(status)
            assert code in ((0, KILLED) if kill else (0, FAILED, PASSED_BY)), (code, at)
            check(tried, policies)
            if code == 0:
                break
            faults += 1
    return faults


def at_random(base: Path, policies: list[Path], kills: int) -> int:
    """Two processes that change the registry as fast as they can, each killed at a moment."""
    rng, parent = random.Random(0), os.getpid()
    versions = [v.version for v in Registry(base).versions()]

    def work() -> int:
        registry, mine = Registry(base), random.Random(os.getpid())
        while os.getppid() == parent:
            nth = mine.randrange(4)
            if nth == 3:
                registry.add(policies[2], catalogue=CATALOGUE, note=str(mine.random()))
            elif nth == 2 and registry.pointer().previous is not None:
                try:
                    registry.rollback()
                except ValueError:
                    continue  # the other one was first
            else:
                registry.promote(versions[nth % 2])
        return 0

    for _ in range(kills // 2):
        children = [forked(work), forked(work)]
        for child in children:
            time.sleep(rng.uniform(0.01, 0.12))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        check(base, policies)
    return kills


def main(folder: Path, nth: int = 1) -> None:
    registry, (a, b) = make_registry(folder)
    policies = [saved(folder, nth) for nth in range(3)]
    registry.promote(a, by="ann")
    registry.promote(b, by="ann")
    prepare = registries.prepare  # reads alone, the same each time
    known = {str(one): prepare(one, catalogue=CATALOGUE, **AS_GIVEN) for one in policies}
    registries.prepare = lambda source, **given: known[str(source)]  # type: ignore[assignment]
    for first, kill in enumerate((True, False)):
        steps = range(first % nth, 1_000, nth)
        print(at_every_step(registry.folder, folder, policies, kill=kill, steps=steps))
    print(at_random(registry.folder, policies, 20))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

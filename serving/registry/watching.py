"""A server follows its registry: it sees the pointer change, loads, checks and warms the version
beside what serves, and then swaps the engine between two batches."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, NamedTuple, Self

from policies.base import Policy
from policies.validation import POSITIVE
from serving.engine import Engine
from serving.registry.loading import Release
from serving.registry.pointer import POINTER, Pointer, parse_pointer
from serving.registry.registry import Registry
from serving.retrieval import Retrieval

logger = logging.getLogger("serving")
REST = 2.0  # seconds for every second of warm-up: requests that wait for it are fewer and shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStatus:
    """What a watcher did."""

    serves: str  # the engine's version
    wanted: str | None  # the registry's live version, as far as it could be read
    since: float  # when the engine began to serve it, s of the clock
    swaps: int
    failures: int  # versions that could not be served, and pointers that could not be read
    error: str | None  # why what is wanted is not served; None where it is


class _Held(NamedTuple):
    """A version that served."""

    version: str
    sha256: str
    policy: Policy
    retrieval: Retrieval | None


class Watcher:
    """Looks at a registry's pointer every `poll` seconds, in a thread between `start` and `stop`.

        with Watcher(registry, engine):
            ...

    A version that cannot be loaded, fails its checks or does not fit the engine changes nothing:
    what serves goes on, `status` and the log say why, once, and it is tried again only after the
    pointer changed. The version that served before is held in memory, so that to roll back takes
    no disk but the pointer's.

    max_steps: after which sessions end by design, as `Engine.announce` says it in the event log.

    Raises ValueError for a poll that is not above 0.
    """

    def __init__(
        self, registry: Registry, engine: Engine, *, poll: float = 1.0, max_steps: int | None = None
    ) -> None:
        POSITIVE.check("poll", poll)
        self.registry, self.engine, self.poll, self.max_steps = registry, engine, poll, max_steps
        self._file = registry.folder / POINTER
        self._handled: bytes | None = None  # content of the pointer that was acted upon
        self._before: _Held | None = None
        self._fallback: tuple[str, ...] | None = None
        self._unannounced = False
        self._status = WatchStatus(
            serves=engine.version, wanted=engine.version, since=engine.clock(),
            swaps=0, failures=0, error=None,
        )  # fmt: skip
        self._one = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Begin to look."""
        self._ending.clear()
        self._thread = threading.Thread(target=self._run, name="registry-watcher", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Look no more; returns when a version that is being loaded is loaded."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def status(self) -> WatchStatus:
        """Read at any time, by any thread."""
        return self._status

    def check(self) -> bool:
        """Look once, now; True where the engine serves another version than before."""
        with self._one:
            self._announce()
            try:
                content = self._file.read_bytes()
            except OSError as error:
                self._handled = None  # once it is back, it is read anew
                self._failed("the registry's pointer cannot be read", error)
                return False
            if content == self._handled:
                return False
            self._handled = content
            try:
                pointer = parse_pointer(content, self._file)
            except ValueError as error:
                self._failed("the registry's pointer cannot be read", error)
                return False
            return self._follow(pointer)

    def _follow(self, pointer: Pointer) -> bool:
        if self._fallback not in (None, pointer.fallback):
            logger.warning("the fallback's items changed; they are drawn from after a restart")
        self._fallback, wanted = pointer.fallback, pointer.live
        serves = _Held(
            self.engine.version, self.engine.sha256, self.engine.policy, self.engine.retrieval
        )
        if wanted is None or wanted == serves.version:
            self._now(wanted=wanted, error=None)
            return False
        self._now(wanted=wanted)
        began = time.perf_counter()
        try:
            after = self._loaded(wanted)
            self.engine.swap(
                after.policy,
                version=after.version,
                sha256=after.sha256,
                retrieval=after.retrieval,
            )
        except Exception as error:  # noqa: BLE001  (what serves goes on, whatever is wrong)
            self._failed(f"version {wanted} cannot be served; {serves.version} goes on", error)
            return False
        self._before, self._unannounced = serves, True
        self._now(
            serves=wanted, since=self.engine.clock(), swaps=self._status.swaps + 1, error=None
        )
        took = time.perf_counter() - began
        logger.warning("version %s serves instead of %s (%.2f s)", wanted, serves.version, took)
        self._announce()
        return True

    def _loaded(self, version: str) -> _Held:
        if self._before is not None and self._before.version == version:
            return self._before
        release = self.registry.load(version, rest=REST)
        check_fits(release, self.engine)
        return _Held(release.version, release.sha256, release.policy, release.retrieval)

    def _announce(self) -> None:
        """Tell the event log of the swap; where it is out of order, at the next look."""
        if not self._unannounced:
            return
        try:
            self.engine.announce(max_steps=self.max_steps)
        except Exception as error:  # noqa: BLE001  (tried again, and said)
            self._failed("the event log does not hold yet which version serves", error)
        else:
            self._unannounced = False
            self._now(error=None)

    def _failed(self, what: str, error: Exception) -> None:
        """Report something, once for as long as it goes on."""
        said = f"{what}: {error}"
        if said != self._status.error:
            logger.error(said, exc_info=error)
            self._now(failures=self._status.failures + 1, error=said)

    def _now(self, **changed: Any) -> None:
        self._status = replace(self._status, **changed)

    def _run(self) -> None:
        while not self._ending.wait(self.poll):
            self.check()


def check_fits(release: Release, engine: Engine) -> None:
    """Raise ValueError for a version of other items, or one that retrieves where the engine's does
    not or the reverse: an engine is opened for these."""
    new, old = release.catalogue.names, engine.catalogue.names
    if new != old:
        first = next((i for i, (a, b) in enumerate(zip(new, old, strict=False)) if a != b), None)
        where = (
            f"item {first} is {new[first]!r}, not {old[first]!r}"
            if first is not None
            else (f"{len(new)} items, not {len(old)}")
        )
        raise ValueError(f"another catalogue ({where}): restart the server to serve it")
    if (release.retrieval is None) != (engine.retrieval is None):
        has = "has no" if release.retrieval is None else "has a"
        raise ValueError(f"it {has} retrieval, unlike what serves: restart the server to serve it")

"""A server follows its registry: it sees the pointer change, loads, checks and warms versions
beside what serves, and then changes the engine between two batches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from policies.validation import POSITIVE, SHARE
from serving.engine import Engine
from serving.live import Served, arms_of
from serving.registry.following import Failure, Follower
from serving.registry.pointer import POINTER, Pointer, parse_pointer
from serving.registry.registry import Registry

logger = logging.getLogger("serving")
UNREADABLE = "the registry's pointer cannot be read"
UNANNOUNCED = "the event log does not hold yet which version serves"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStatus:
    """What a watcher did."""

    serves: str  # the engine's version
    wanted: str | None  # the registry's live version, as far as it could be read
    since: float  # when the engine began to serve it, s of the clock
    swaps: int
    failures: int  # versions that could not be served, and pointers that could not be read
    error: str | None  # why what is wanted is not served; None where it is
    canary: str | None = None  # that some users get
    weight: float | None = None  # their share
    rollout: str | None = None  # its id
    shadow: str | None = None  # that is asked


class Watcher:
    """Looks at a registry's pointer every `poll` seconds, in a thread between `start` and `stop`.

        with Watcher(registry, engine):
            ...

    A version that cannot be loaded, fails its checks or does not fit the engine changes nothing:
    what serves goes on, `status` and the log say why, once, and it is tried again only after the
    pointer changed. The same holds for the canary and the shadow, which are loaded once what is
    live serves. A canary that the pointer does not name any more ends before anything is loaded.
    The version that served before is held in memory, as those of all arms are, so that to roll
    back, or to promote the canary, takes no disk but the pointer's.

    max_steps: after which sessions end by design, as `Engine.announce` says it in the event log.
    share: of the live version's decisions, about which a shadow is asked.

    Raises ValueError for a poll that is not above 0 and a share outside 0..1.
    """

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        *,
        poll: float = 1.0,
        max_steps: int | None = None,
        share: float = 0.1,
    ) -> None:
        POSITIVE.check("poll", poll)
        SHARE.check("share", share)
        self.registry, self.engine, self.poll, self.max_steps = registry, engine, poll, max_steps
        self._follower = Follower(registry, engine, share)
        self._file = registry.folder / POINTER
        self._handled: bytes | None = None  # content of the pointer that was acted upon
        self._fallback: tuple[str, ...] | None = None
        self._unannounced = False
        self._failures: dict[str, Failure] = {}  # by what fails, as long as it does
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

    def __exit__(self, *error: object) -> None:
        self.stop()

    def status(self) -> WatchStatus:
        """Read at any time, by any thread."""
        return self._status

    def check(self) -> bool:
        """Look once, now; True where the engine serves otherwise than before."""
        with self._one:
            self._announce()
            try:
                content = self._file.read_bytes()
                if content == self._handled:
                    return False
                self._handled = content
                pointer = parse_pointer(content, self._file)
            except OSError as error:
                self._handled = None  # once it is back, it is read anew
                self._report({"pointer": Failure(UNREADABLE, error)})
                return False
            except ValueError as error:
                self._report({"pointer": Failure(UNREADABLE, error)})
                return False
            return self._follow(pointer)

    def _follow(self, pointer: Pointer) -> bool:
        if self._fallback not in (None, pointer.fallback):
            logger.warning("the fallback's items changed; they are drawn from after a restart")
        self._fallback = pointer.fallback
        before, began = self.engine.served, time.perf_counter()
        self._now(wanted=pointer.live)
        failed = self._follower.follow(pointer)
        after = self.engine.served
        if after is not before:
            logger.warning("%s (%.2f s)", told(before, after), time.perf_counter() - began)
        if after.live is not before.live:
            self._now(since=self.engine.clock(), swaps=self._status.swaps + 1)
        self._now(serves=after.live.version, **arms_of(after))
        self._report(dict.fromkeys(("pointer", "live", "canary", "shadow")) | failed)
        self._unannounced = self._unannounced or after is not before
        self._announce()
        return after is not before

    def _announce(self) -> None:
        """Tell the event log of the change; where it is out of order, at the next look."""
        if not self._unannounced:
            return
        try:
            self.engine.announce(max_steps=self.max_steps)
        except Exception as error:  # noqa: BLE001  (tried again, and said)
            self._report({"log": Failure(UNANNOUNCED, error)})
        else:
            self._unannounced = False
            self._report({"log": None})

    def _report(self, parts: Mapping[str, Failure | None]) -> None:
        """Say of each part what fails, once for as long as it goes on; None = nothing does."""
        for part, failure in parts.items():
            before = self._failures.pop(part, None)
            if failure is None:
                continue
            self._failures[part] = failure
            if str(failure) != str(before):
                logger.error(str(failure), exc_info=failure.error)
                self._now(failures=self._status.failures + 1)
        self._now(error="; ".join(map(str, self._failures.values())) or None)

    def _now(self, **changed: Any) -> None:
        self._status = replace(self._status, **changed)

    def _run(self) -> None:
        while not self._ending.wait(self.poll):
            self.check()


def told(before: Served, after: Served) -> str:
    """What changed, for a person."""
    said = []
    if after.live is not before.live:
        said.append(f"version {after.live.version} serves instead of {before.live.version}")
    old, new = arms_of(before), arms_of(after)
    if new["canary"] is not None and new != old:
        share = f"{new['weight']:.6g} of users, in rollout {new['rollout']}"
        said.append(f"canary {new['canary']} serves {share}")
    elif old["canary"] != new["canary"] and old["canary"] != after.live.version:
        said.append(f"canary {old['canary']} serves nobody")
    if new["shadow"] != old["shadow"]:
        said.append(f"the shadow is {new['shadow']}")
    return "; ".join(said)

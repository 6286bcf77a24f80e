"""An engine comes to serve what a pointer says, arm by arm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from serving.engine import Engine
from serving.live import Live
from serving.registry.loading import Release
from serving.registry.pointer import Pointer
from serving.registry.registry import Registry

REST = 2.0  # seconds for every second of warm-up: requests that wait for it are fewer and shorter


class Failure(NamedTuple):
    """Why a part of what a pointer says is not served."""

    what: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.what}: {self.error}"


class Follower:
    """Loads what a pointer names and the engine does not have, and changes the engine. Versions of
    all arms, and the one that was live before, are in memory, and are not loaded again.

    share: of the live version's decisions, about which a shadow is asked.
    """

    def __init__(self, registry: Registry, engine: Engine, share: float) -> None:
        self.registry, self.engine, self.share = registry, engine, share
        self._before: Live | None = None  # what was live

    def follow(self, pointer: Pointer) -> dict[str, Failure]:
        """What of the pointer could not be done, by part: live, canary, shadow. What the pointer
        does not name any more ends first; arms come once what is live serves."""
        served = self.engine.served
        if served.canary is not None and served.canary.version not in (
            pointer.canary,
            pointer.live,  # it is promoted, and goes on without a gap
        ):
            self.engine.clear_canary()
        if served.shadow is not None and served.shadow.version != pointer.shadow:
            self.engine.clear_shadow()
        held = [self._before, served.live, served.canary, served.shadow]
        memory = {one.version: one for one in held if one is not None}
        steps: dict[str, tuple[str, Callable[[], None]]] = {
            "live": (
                f"version {pointer.live} cannot be served; {served.live.version} goes on",
                lambda: self._live(pointer, memory),
            ),
            "canary": (
                f"the canary {pointer.canary} cannot be served; {pointer.live} serves all users",
                lambda: self._canary(pointer, memory),
            ),
            "shadow": (
                f"the shadow {pointer.shadow} cannot be asked",
                lambda: self._shadow(pointer, memory),
            ),
        }
        failed: dict[str, Failure] = {}
        for part, (what, step) in steps.items():
            if "live" not in failed:
                try:
                    step()
                except Exception as error:  # noqa: BLE001  (what serves goes on; it is returned)
                    failed[part] = Failure(what, error)
        return failed

    def _live(self, pointer: Pointer, memory: dict[str, Live]) -> None:
        before = self.engine.served.live
        if pointer.live in (None, before.version):
            return
        self.engine.swap(**self._version(str(pointer.live), memory))
        self._before = before

    def _canary(self, pointer: Pointer, memory: dict[str, Live]) -> None:
        split, served = pointer.split, self.engine.served
        now = None if served.canary is None else served.canary.version
        if split is None or (now, served.split) == (pointer.canary, split):
            return
        self.engine.set_canary(
            **self._version(str(pointer.canary), memory),
            weight=split.weight,
            salt=split.salt,
            rollout=split.rollout,
        )

    def _shadow(self, pointer: Pointer, memory: dict[str, Live]) -> None:
        now = self.engine.served.shadow
        if pointer.shadow is None or (now is not None and now.version == pointer.shadow):
            return
        self.engine.set_shadow(**self._version(pointer.shadow, memory), share=self.share)

    def _version(self, version: str, memory: dict[str, Live]) -> dict[str, Any]:
        """What an engine wants to know of a version."""
        held = memory.get(version)
        if held is not None:
            policy, retrieval, sha256 = held.answers.policy, held.answers.retrieval, held.sha256
        else:
            release = self.registry.load(version, rest=REST)
            check_fits(release, self.engine)
            policy, retrieval, sha256 = release.policy, release.retrieval, release.sha256
        return {"policy": policy, "version": version, "sha256": sha256, "retrieval": retrieval}


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

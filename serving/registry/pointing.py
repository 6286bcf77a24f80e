"""What of a registry's versions serves: the pointer, and every change of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from offpolicy.storage.claims import held
from serving.arms import Split
from serving.catalogue import Catalogue
from serving.offers import fallback_pool
from serving.registry.changes import (
    check_beside,
    check_expected,
    promoted,
    rolled_back,
    signed,
    with_canary,
    with_shadow,
    with_weight,
    without_canary,
)
from serving.registry.pointer import (
    Change,
    Pointer,
    next_revision,
    read_history,
    read_pointer,
    write_pointer,
)
from serving.registry.versions import ITEMS, Version, find_version, read_version, verify

VERSIONS = "versions"
NAMED = ("live", "previous", "canary", "shadow")  # by the pointer


class Pointing:
    """The pointer of a registry, its history, and the lock under which both are changed."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self.folder, self.clock = folder, clock

    def pointer(self) -> Pointer:
        """Raises FileNotFoundError where there is no registry, ValueError for a damaged pointer."""
        self._check_there()
        return read_pointer(self.folder)

    def history(self) -> list[Change]:
        """What was live when, the oldest change first."""
        self._check_there()
        return read_history(self.folder)

    def promote(
        self,
        version: str,
        *,
        by: str | None = None,
        why: str | None = None,
        fallback: Sequence[str] | None = None,
        expect: int | None = None,
    ) -> Pointer:
        """Make a version live; what was live is then `previous`, and a canary is none any more.
        Servers that watch the registry follow.

        fallback: the items that may always be shown, from now on; as before if None.
        expect: the revision of the pointer that the caller saw, as in all changes of arms.

        Raises ValueError for a version that is not there or damaged, or items that do not fit it,
        and PointerMovedError, which is one, where the pointer has another revision.
        """

        def change(now: Pointer) -> tuple[str, Pointer]:
            found = self._verified(version, now)
            items = now.fallback if fallback is None else tuple(fallback)
            fallback_pool(found.contents.sizes, Catalogue.from_file(found.folder / ITEMS), items)
            action = "fallback" if found.version == now.live else "promote"
            return action, promoted(now, found.version, items)

        return self._change(change, by, why, expect)

    def rollback(
        self, *, by: str | None = None, why: str | None = None, expect: int | None = None
    ) -> Pointer:
        """Where a canary runs, stop it; else make the version live that was before. No file of it
        is looked at: servers that served it have it in memory. A second rollback is refused, so
        that two people who roll back at once do not undo each other's.

        Raises ValueError where there is nothing to go back to, and PointerMovedError.
        """
        return self._change(lambda now: ("rollback", rolled_back(now)), by, why, expect)

    def canary(
        self,
        version: str,
        *,
        weight: float,
        rollout: str,
        salt: str,
        by: str | None = None,
        why: str | None = None,
        expect: int | None = None,
    ) -> Pointer:
        """Serve a version to a share `weight` of users, beside the live one.

        rollout: an id, which decisions of both arms carry. salt: of the hash that says which users
        these are; a new one for each rollout.

        Raises ValueError for a version that is not there, damaged, live, or of other items or sizes
        than the live one, where another rollout runs, and for the id of one that ended; and
        PointerMovedError.
        """
        split = Split(weight=float(weight), salt=salt, rollout=rollout)

        def change(now: Pointer) -> tuple[str, Pointer]:
            if now.rollout != rollout and any(one.rollout == rollout for one in self.history()):
                raise ValueError(
                    f"there was a rollout {rollout!r} already: its decisions would be taken for "
                    "those of this one; give another id, and a new salt"
                )
            return "canary", with_canary(now, self._beside_live(version, now), split)

        return self._change(change, by, why, expect)

    def weigh(
        self,
        weight: float,
        *,
        by: str | None = None,
        why: str | None = None,
        expect: int | None = None,
    ) -> Pointer:
        """Serve the canary to another share of users; of those who had it they keep it who stand
        below both. Raises ValueError where there is no canary, and PointerMovedError."""
        return self._change(lambda now: ("weigh", with_weight(now, weight)), by, why, expect)

    def stop_canary(
        self, *, by: str | None = None, why: str | None = None, expect: int | None = None
    ) -> Pointer:
        """Serve what is live to all users. Raises PointerMovedError."""
        return self._change(lambda now: ("stop_canary", without_canary(now)), by, why, expect)

    def shadow(
        self,
        version: str | None,
        *,
        by: str | None = None,
        why: str | None = None,
        expect: int | None = None,
    ) -> Pointer:
        """Ask a version what it would show, and show nothing of it; None: ask none any more.

        Raises ValueError as `canary` does, and PointerMovedError.
        """

        def change(now: Pointer) -> tuple[str, Pointer]:
            wanted = None if version is None else self._beside_live(version, now)
            return "shadow", with_shadow(now, wanted)

        return self._change(change, by, why, expect)

    @property
    def _versions(self) -> Path:
        return self.folder / VERSIONS

    def _check_there(self) -> None:
        if not self._versions.is_dir():
            raise FileNotFoundError(
                f"{self.folder} is no registry: longplay release add POLICY --registry "
                f"{self.folder} makes one"
            )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Nobody else changes the registry meanwhile."""
        with held(self.folder, wait=True) as alone:
            if not alone:
                raise OSError(f"{self.folder} cannot be locked: its file system knows no locks")
            yield

    def _verified(self, version: str, now: Pointer) -> Version:
        found = find_named(self._versions, version, now)
        verify(found)
        return found

    def _beside_live(self, version: str, now: Pointer) -> str:
        found = self._verified(version, now)
        check_beside(find_named(self._versions, "live", now), found)
        return found.version

    def _change(
        self,
        change: Callable[[Pointer], tuple[str, Pointer]],
        by: str | None,
        why: str | None,
        expect: int | None,
    ) -> Pointer:
        """Make what `change` makes of the pointer, if that is another one."""
        self._check_there()
        with self._changing():
            now = self.pointer()
            check_expected(now, expect)
            action, then = change(now)
            if then == now:
                return now
            revision, time = next_revision(self.folder, now), self.clock()
            then = signed(now, then, action, revision=revision, time=time, by=by, why=why)
            write_pointer(self.folder, then)
            return then


def find_named(folder: Path, name: str, pointer: Pointer) -> Version:
    """By what the pointer calls it, else as `find_version` does."""
    if name not in NAMED:
        return find_version(folder, name)
    version = getattr(pointer, name)
    if version is None:
        what = "canary" if name == "canary" else "promote"
        fix = f"longplay release {what} VERSION --registry {folder.parent}"
        raise ValueError(f"{folder.parent} has no {name} version: {fix}")
    return read_version(folder / version)

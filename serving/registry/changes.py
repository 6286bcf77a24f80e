"""Changes of the pointer: what is live after them, and who made them."""

from __future__ import annotations

import getpass
import os
from dataclasses import replace

from serving.contracts.fields import text
from serving.registry.pointer import Change, Pointer, as_kept


def promoted(now: Pointer, version: str, fallback: tuple[str, ...]) -> Pointer:
    """The version is live, with these fallback items; what was live is `previous`."""
    previous = now.previous if version == now.live else now.live
    return replace(now, live=version, previous=previous, fallback=fallback)


def rolled_back(now: Pointer) -> Pointer:
    """The previous version is live, and none is previous: a second rollback has nowhere to go, so
    that two people who roll back at once do not undo each other's.

    Raises ValueError where there is no previous version.
    """
    if now.previous is None:
        change = now.change
        said = "no version was live before"
        if change is not None and change.action == "rollback":
            said = f"{now.live} came by a rollback from {change.before}, by {change.by}"
        raise ValueError(f"nothing to roll back to: {said}; promote one by its name")
    return replace(now, live=now.previous, previous=None)


def signed(
    now: Pointer,
    then: Pointer,
    action: str,
    *,
    revision: int,
    time: float,
    by: str | None,
    why: str | None,
) -> Pointer:
    """The pointer `then` with the change that makes it of `now`."""
    change = Change(
        revision=revision,
        time=time,
        action=action,
        before=now.live,
        after=then.live,
        by=who(by),
        why=why,
    )
    return replace(then, revision=revision, changed=as_kept(change))


def who(by: str | None) -> str:
    """Who does it: the name given, else that of the process's owner."""
    if by is not None:
        return str(text("by", by))
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an owner without a name
        return f"uid {os.getuid()}"

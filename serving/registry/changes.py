"""Changes of the pointer: what is live after them, in which arms, and who made them."""

from __future__ import annotations

import getpass
import os
from dataclasses import replace

from serving.arms import Split, check_weight
from serving.contracts.fields import text
from serving.registry.pointer import Change, Pointer, PointerMovedError, as_kept
from serving.registry.versions import ITEMS, Version


def promoted(now: Pointer, version: str, fallback: tuple[str, ...]) -> Pointer:
    """The version is live, with these fallback items; what was live is `previous`. A rollout ends,
    also one of another version: it compared its canary with what was live."""
    if version == now.live:
        return replace(now, fallback=fallback)
    shadow = None if now.shadow == version else now.shadow
    then = replace(now, live=version, previous=now.live, fallback=fallback, shadow=shadow)
    return without_canary(then)


def rolled_back(now: Pointer) -> Pointer:
    """Where a canary runs, it does no more, and what is live stays. Else the previous version is
    live, and none is previous: a second rollback has nowhere to go, so that two people who roll
    back at once do not undo each other's.

    Raises ValueError where there is no previous version.
    """
    if now.canary is not None:
        return without_canary(now)
    if now.previous is None:
        change = now.change
        said = "no version was live before"
        if change is not None and change.action == "rollback" and change.before != change.after:
            said = f"{now.live} came by a rollback from {change.before}, by {change.by}"
        other = "" if now.shadow is None else (
            f". {now.shadow} is asked in the shadow alone, and longplay release stop ends that"
        )  # fmt: skip
        raise ValueError(f"nothing to roll back to: {said}; promote one by its name{other}")
    shadow = None if now.shadow == now.previous else now.shadow
    return replace(now, live=now.previous, previous=None, shadow=shadow)


def with_canary(now: Pointer, version: str, split: Split) -> Pointer:
    """Some users get the version, which is no shadow any more.

    Raises ValueError where it is live, or another rollout runs.
    """
    if version == now.live:
        raise ValueError(f"{version} is live: a canary is another version")
    then = replace(
        now,
        canary=version,
        weight=split.weight,
        salt=split.salt,
        rollout=split.rollout,
        shadow=None if now.shadow == version else now.shadow,
    )
    if now.canary is not None and now != then:
        raise ValueError(
            f"{now.canary} is the canary already, of rollout {now.rollout!r}, at weight "
            f"{now.weight:g}: stop it before another one, or weigh it"
        )
    return then


def with_weight(now: Pointer, weight: float) -> Pointer:
    """The canary gets another share of users. Raises ValueError where there is none."""
    check_weight(weight)
    if now.canary is None:
        raise ValueError("there is no canary to weigh: start one first")
    return replace(now, weight=float(weight))


def without_canary(now: Pointer) -> Pointer:
    """What is live serves all users."""
    return replace(now, canary=None, weight=None, salt=None, rollout=None)


def with_shadow(now: Pointer, version: str | None) -> Pointer:
    """The version is asked and not shown. Raises ValueError where it is shown."""
    if version is not None and version in (now.live, now.canary):
        arm = "live" if version == now.live else "the canary"
        raise ValueError(f"{version} is {arm}: a shadow is a version that nobody is shown")
    return replace(now, shadow=version)


def check_beside(live: Version, version: Version) -> None:
    """Raise ValueError for a version that no server could serve beside the live one."""
    new, old = version.contents, live.contents
    if new.serving != old.serving:
        differ = [k for k in new.serving if new.serving[k] != old.serving.get(k)]
        what = f"it has another {', '.join(differ) or 'shape'}"
    elif new.files[ITEMS]["sha256"] != old.files[ITEMS]["sha256"]:
        what = "it has another catalogue"
    elif (new.retrieval is None) != (old.retrieval is None):
        what = "one of them has a retrieval, and the other has none"
    else:
        return
    raise ValueError(f"{version.version} cannot be served beside {live.version}: {what}")


def check_expected(now: Pointer, expect: int | None) -> None:
    """Raise PointerMovedError unless the pointer has the revision that a caller saw (None: any)."""
    if expect is not None and now.revision != expect:
        change = now.change
        last = "" if change is None else f" ({change.action} by {change.by})"
        raise PointerMovedError(
            f"the pointer has revision {now.revision}{last}, and {expect} was expected: read it "
            "again and decide anew"
        )


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
        canary=then.canary,
        weight=then.weight,
        rollout=then.rollout,
        shadow=then.shadow,
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

"""Versions of a policy as they are served, in arms: what a hot swap, or a step of a rollout,
replaces in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from policies.base import Policy
from policies.observation import Serving, check_same_world
from policies.validation import SHARE
from serving.answers import Answers
from serving.arms import CANARY, CONTROL, LIVE, Split
from serving.contracts.fields import label, text
from serving.contracts.starts import Start
from serving.hashes import rules_hash
from serving.retrieval import Retrieval

FALLBACK = "fallback"  # the policy that a decision of the fallback names


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A policy, the fallback under its rules, and what the log calls it."""

    answers: Answers
    version: str
    sha256: str
    rules: str  # hash of the rules


class Arm(NamedTuple):
    """What serves some users, and what their decisions call it."""

    live: Live
    name: str = LIVE
    rollout: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """All that is served at a moment."""

    live: Live
    canary: Live | None = None
    split: Split | None = None  # who gets the canary
    shadow: Live | None = None  # it is asked for its probabilities, and nothing of it is shown
    share: float = 0.0  # of decisions of `live`, that the shadow is asked about

    @property
    def shown(self) -> tuple[Live, ...]:
        """The versions whose slates users may get."""
        return (self.live,) if self.canary is None else (self.live, self.canary)

    def arms(self, user_keys: Sequence[str]) -> list[tuple[Arm, Sequence[int]]]:
        """Those that serve some of the users, and whom: numbers of `user_keys`."""
        if self.canary is None or self.split is None:
            return [(Arm(self.live), range(len(user_keys)))]
        to_canary, stratum = self.split.canary(user_keys), self.split.stratum
        both = (
            (Arm(self.live, CONTROL, stratum), np.flatnonzero(~to_canary).tolist()),
            (Arm(self.canary, CANARY, stratum), np.flatnonzero(to_canary).tolist()),
        )
        return [(arm, users) for arm, users in both if users]

    def swapped(self, after: Live) -> Served:
        """Another version is live: a rollout ends, since it compared its canary with what was."""
        if after.version == self.live.version:
            return replace(self, live=after)
        return Served(after)._with_shadow_of(self)

    def with_canary(self, canary: Live, split: Split) -> Served:
        """Some users get the canary, which is no shadow any more."""
        self._check_other(canary, self.live)
        return Served(self.live, canary, split)._with_shadow_of(self)

    def with_shadow(self, shadow: Live, share: float) -> Served:
        """The shadow is asked about a share of decisions."""
        for one in self.shown:
            self._check_other(shadow, one)
        return replace(self, shadow=shadow, share=share)

    def _with_shadow_of(self, other: Served) -> Served:
        if other.shadow is None or other.shadow.version in {one.version for one in self.shown}:
            return self
        return replace(self, shadow=other.shadow, share=other.share)

    def _check_other(self, one: Live, shown: Live) -> None:
        if one.version == shown.version:
            raise ValueError(f"version {one.version!r} is served already, to users of another arm")


def make_live(
    policy: Policy, retrieval: Retrieval | None, *, version: str, sha256: str, tables: bool
) -> Live:
    """Raises ValueError for a version or hash that the log could not hold."""
    if text("version", version) == FALLBACK:
        raise ValueError(f"version {FALLBACK!r} is what the fallback's decisions name")
    answers = Answers(policy, retrieval, tables=tables)
    return Live(answers, version, label("sha256", sha256), rules_hash(answers.rules))


def check_follows(served: Served, after: Live, serving: Serving) -> None:
    """Raise ValueError where a policy cannot be served under way: it has other sizes, or is another
    policy under a version that is served, from which draws are keyed."""
    check_same_world(after.answers.policy.serving, serving, "the new policy")
    for before in (*served.shown, *([] if served.shadow is None else [served.shadow])):
        if after.version == before.version and after.sha256 != before.sha256:
            raise ValueError(
                f"version {after.version!r} is served already, of another sha256: give each policy "
                "a version of its own, by which its slates are drawn"
            )


def start_of(
    served: Served,
    serving: Serving,
    names: Sequence[str] | None,
    max_steps: int | None,
    keyed_by: str,
    now: float,
) -> Start:
    """What is served from now on, as the event log keeps it."""
    live, canary, shadow = served.live, served.canary, served.shadow
    beside: dict[str, Any] = {}
    if canary is not None and served.split is not None:
        beside |= {"canary": canary.version, "canary_sha256": canary.sha256}
        beside |= {"canary_rules": canary.rules, "weight": served.split.weight}
        beside |= {"rollout": served.split.rollout}
    if shadow is not None:
        beside |= {"shadow": shadow.version, "shadow_sha256": shadow.sha256}
    return Start(
        time=now,
        policy=live.version,
        policy_sha256=live.sha256,
        rules=live.rules,
        n_items=serving.n_items,
        slate_size=serving.slate_size,
        history_length=serving.history_length,
        response_names=serving.response_names,
        item_names=None if names is None else tuple(names),
        max_steps=max_steps,
        keyed_by=keyed_by,
        **beside,
    )


def arms_of(served: Served) -> dict[str, Any]:
    """What is served beside the live version, by name; None = nothing."""
    split = served.split
    return {
        "canary": None if served.canary is None else served.canary.version,
        "weight": None if split is None else split.weight,
        "rollout": None if split is None else split.rollout,
        "shadow": None if served.shadow is None else served.shadow.version,
    }


class Serves:
    """What an engine serves, and the changes of it, each of which takes hold at the next batch.

    tables: as the engine takes it. Raises ValueError for a version that the log could not hold.
    """

    def __init__(
        self,
        policy: Policy,
        retrieval: Retrieval | None,
        *,
        version: str,
        sha256: str,
        tables: bool,
    ) -> None:
        self.serving, self._tables = policy.serving, tables
        live = make_live(policy, retrieval, version=version, sha256=sha256, tables=tables)
        self.served = Served(live)  # all versions; replaced in one piece, and a batch reads it once

    @property
    def policy(self) -> Policy:
        """What is served."""
        return self.served.live.answers.policy

    @property
    def retrieval(self) -> Retrieval | None:
        """What gives candidates where a request has none."""
        return self.served.live.answers.retrieval

    @property
    def version(self) -> str:
        """Of the policy that is served."""
        return self.served.live.version

    @property
    def sha256(self) -> str:
        """Of the policy's files; empty where none was given."""
        return self.served.live.sha256

    def swap(
        self, policy: Policy, *, version: str, sha256: str = "", retrieval: Retrieval | None = None
    ) -> None:
        """Serve another policy of the same sizes from the next batch on; one under way is decided
        as it began. Requests that were answered are answered the same when they are sent again. A
        canary ends, where the version is another one.

        retrieval: the one so far where it is None.

        Raises ValueError, and changes nothing, where the policy has other sizes, or is another one
        of the same version.
        """
        after = self._made(policy, version, sha256, retrieval)
        self.served = self.served.swapped(after)

    def set_canary(
        self,
        policy: Policy,
        *,
        version: str,
        sha256: str = "",
        retrieval: Retrieval | None = None,
        weight: float,
        salt: str,
        rollout: str,
    ) -> None:
        """Serve a policy to a share `weight` of users beside the live one, from the next batch on;
        given again with another weight, users keep their arm as far as they can.

        salt: of the hash that says which users. rollout: an id, for the decisions of both arms.
        The rest as in `swap`.

        Raises ValueError, and changes nothing, for what `swap` refuses, the live version, and a
        weight that is no share.
        """
        split = Split(weight=float(weight), salt=salt, rollout=rollout)
        after = self._made(policy, version, sha256, retrieval)
        self.served = self.served.with_canary(after, split)

    def clear_canary(self) -> None:
        """Serve the live version to all users."""
        self.served = replace(self.served, canary=None, split=None)

    def set_shadow(
        self,
        policy: Policy,
        *,
        version: str,
        sha256: str = "",
        retrieval: Retrieval | None = None,
        share: float = 0.1,
    ) -> None:
        """Ask a policy what it would show, about a share of the live version's decisions: see
        `run_shadow`. Raises ValueError as `set_canary` does."""
        SHARE.check("share", share)
        after = self._made(policy, version, sha256, retrieval)
        self.served = self.served.with_shadow(after, share)

    def clear_shadow(self) -> None:
        """Ask none any more."""
        self.served = replace(self.served, shadow=None, share=0.0)

    def _made(self, policy: Policy, version: str, sha256: str, retrieval: Retrieval | None) -> Live:
        retrieval = self.retrieval if retrieval is None else retrieval
        after = make_live(policy, retrieval, version=version, sha256=sha256, tables=self._tables)
        check_follows(self.served, after, self.serving)
        return after

"""A version of a policy as it is served: what a hot swap replaces, in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policies.base import Policy
from policies.observation import Serving, check_same_world
from serving.answers import Answers
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


def make_live(
    policy: Policy, retrieval: Retrieval | None, *, version: str, sha256: str, tables: bool
) -> Live:
    """Raises ValueError for a version or hash that the log could not hold."""
    if text("version", version) == FALLBACK:
        raise ValueError(f"version {FALLBACK!r} is what the fallback's decisions name")
    answers = Answers(policy, retrieval, tables=tables)
    return Live(answers, version, label("sha256", sha256), rules_hash(answers.rules))


def check_follows(before: Live, after: Live, serving: Serving) -> None:
    """Raise ValueError where a policy cannot take another one's place under way: it has other
    sizes, or is another policy under the same version, from which draws are keyed."""
    check_same_world(after.answers.policy.serving, serving, "the new policy")
    if after.version == before.version and after.sha256 != before.sha256:
        raise ValueError(
            f"version {after.version!r} is served already, of another sha256: give each policy a "
            "version of its own, by which its slates are drawn"
        )


def start_of(
    live: Live,
    serving: Serving,
    names: Sequence[str] | None,
    max_steps: int | None,
    keyed_by: str,
    now: float,
) -> Start:
    """What is served from now on, as the event log keeps it."""
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
    )

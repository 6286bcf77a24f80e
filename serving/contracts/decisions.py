"""A decision: the answer to a request, and the one event that the log keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.contracts.fields import (
    from_json,
    label,
    many,
    maybe,
    number,
    of,
    text,
    to_json,
    whole,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Everything that a row of the decision log needs but what came of it. K places, C candidates.

    User and session are keyed hashes: no id of a caller's user is in it.
    """

    decision_id: str = of(text)  # the request's id
    time: float = of(number)  # s
    user: str = of(text)
    session: str = of(text)
    began: str = of(text)  # decision_id of the session's step 0: one that was idle or forgotten
    # begins anew under the caller's same id
    step: int = of(whole)  # of the session, from 0; -1 = unknown, the decision is not logged
    slate: tuple[int, ...] = of(many(whole))  # (K,) numbers of the catalogue, -1 = empty place
    items: tuple[str, ...] = of(many(text))  # the same by the caller's ids, without empty places
    propensity: float = of(number)  # of the whole ordered slate
    position_propensity: tuple[float, ...] = of(many(number))  # (K,) given the places above
    candidates: tuple[int, ...] | None = of(maybe(many(whole)))  # (C,) -1 = empty or closed by a
    # rule; None = the whole catalogue
    candidate_propensity: tuple[float, ...] | None = of(maybe(many(number)))  # (C,) to stand first
    context: tuple[float, ...] = of(many(number))
    policy: str = of(text)  # name and version of what drew the slate
    rules: str = of(text)  # hash of the rules that it was under
    history_version: int = of(whole)  # items that the user had taken
    history_hash: str = of(text)  # of the history that the policy saw
    history_age: float | None = of(maybe(number))  # s since the history last changed
    prior_items: tuple[int, ...] = of(many(whole))  # the history at step 0, empty at later steps
    prior_responses: tuple[tuple[float, ...], ...] = of(many(many(number)))  # of each item
    unknown_items: int = of(whole)  # of the given history, skipped
    fallback: str | None = of(maybe(text))  # why, if it was
    worked_ms: float = of(number)  # until the event was written, of the whole batch
    waited_ms: float = of(number, 0.0)  # before the batch began
    policy_sha256: str = of(label, "")  # of the release that was served, also where it failed
    arm: str = of(text, "live")  # `control` or `canary` of a rollout; `live` where there is none
    rollout: str = of(label, "")  # its id@weight: arms are compared where it is the same

    @property
    def session_key(self) -> str:
        """The session's name in the decision log."""
        return f"{self.session}/{self.began}"

    def to_json(self) -> bytes:
        return to_json(self, "decision")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Decision:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "decision")

"""What a caller sends for a simulated user: one request a step, and outcomes of what happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serving import Outcome, Request

HAPPENED = ("consumed", "responses", "position_reward")  # what the simulator says of a step
PAID = "paid"  # the kind of outcome that carries the reward of a place
REWARD = {PAID: 1.0}  # for JoinRule: the rewards of the world


def request_of(
    request_id: str,
    user: str,
    session: str,
    obs: Mapping[str, Any],
    row: int,
    names: Sequence[str],
) -> Request:
    """The request of the user in one row of an observation; names (A,) are the caller's."""
    offered = obs.get("candidates")
    return Request(
        request_id=request_id,
        user=user,
        session=session,
        candidates=None if offered is None else tuple([names[i] for i in offered[row].tolist()]),
        context=tuple(obs["user"][row].tolist()),
    )


def happened_in(
    row: int, terminated: Any, truncated: Any, info: Mapping[str, Any]
) -> dict[str, Any]:
    """What a step of a world did to one row, in plain numbers."""
    happened = {name: info[name][row].tolist() for name in HAPPENED}
    return happened | {"terminated": bool(terminated[row]), "truncated": bool(truncated[row])}


def outcomes_of(
    user: str,
    decision_id: str,
    items: Sequence[str],
    happened: Mapping[str, Any],
    names: Sequence[str],
    response_names: Sequence[str],
) -> Iterator[Outcome]:
    """What a caller reports of one decision that showed `items`, in the order of its kinds: taken,
    paid, terminated, truncated."""

    def outcome(kind: str, n: int = 0, item: str | None = None, **told: Any) -> Outcome:
        return Outcome(
            outcome_id=f"{decision_id}/{kind}/{n}",
            decision_id=decision_id,
            user=user,
            kind=kind,
            item=item,
            **told,
        )

    if happened["consumed"] >= 0:
        responses = dict(zip(response_names, happened["responses"], strict=True))
        yield outcome("taken", item=names[happened["consumed"]], responses=responses)
    for place, paid in enumerate(happened["position_reward"]):
        if paid:
            yield outcome(PAID, place, item=items[place], value=paid)
    for kind in ("terminated", "truncated"):
        if happened[kind]:
            yield outcome(kind)

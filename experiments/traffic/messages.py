"""Bodies of requests and outcomes, as the server's contract has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from experiments.traffic.served import Served
from experiments.traffic.visits import Reactions, Visits


class Report(NamedTuple):
    """One call that reports what came of a decision."""

    ids: tuple[str, ...]  # of its outcomes
    body: bytes


class Answer(NamedTuple):
    """What the generator reads of an answer."""

    items: list[str]
    policy: str
    fallback: str | None


@dataclass(slots=True)
class Messages:
    """Writes and reads JSON for one run. Needs the extra `serve` (msgspec).

    names: the catalogue, of which histories and candidates are drawn; () = neither is sent.
    history: items with the first request of each session; of a user they are always the same.
    candidates: items with every request; 0 = the server finds them itself.
    """

    run: str
    served: Served
    visits: Visits
    reactions: Reactions
    rng: np.random.Generator
    names: Sequence[str] = ()
    history: int = 0
    candidates: int = 0
    deadline_ms: float | None = None
    _contexts: list[list[float]] = field(init=False)
    _from: list[int] = field(init=False)
    _encode: Any = field(init=False)
    _decode: Any = field(init=False)

    def __post_init__(self) -> None:
        try:
            from msgspec import json
        except ImportError as error:
            raise ImportError("traffic needs msgspec: pip install 'longplay[serve]'") from error
        self._encode, self._decode = json.Encoder().encode, json.Decoder().decode
        for name in ("history", "candidates"):
            if not 0 <= getattr(self, name) <= len(self.names):
                raise ValueError(
                    f"{name} is {getattr(self, name)} of {len(self.names)} item names: give the "
                    "catalogue's file as --items"
                )
        size, n = self.served.context, len(self.visits)
        kinds = min(n, 1_000)  # different user vectors
        self._contexts = np.round(self.rng.standard_normal((kinds, size)), 3).tolist()
        self.names = [self.names[i] for i in self.rng.permutation(len(self.names))]
        self._from = self.rng.integers(max(1, len(self.names)), size=n).tolist()

    def decide(self, n: int) -> bytes:
        """The request of a visit."""
        user = int(self.visits.user[n])
        body: dict[str, Any] = {
            "request_id": f"{self.run}/{n}",
            "user": f"user {user}",
            "session": f"{self.run}/{self.visits.session[n]}",
        }
        if self.served.context:
            body["context"] = self._contexts[user % len(self._contexts)]
        if self.history and not self.visits.step[n]:
            body["history"] = self._some(user * self.history, self.history)
        if self.candidates:
            body["candidates"] = self._some(self._from[n], self.candidates)
        if self.deadline_ms is not None:
            body["deadline_ms"] = self.deadline_ms
        encoded: bytes = self._encode(body)
        return encoded

    def answer(self, body: bytes) -> Answer | None:
        """None for what is no answer."""
        try:
            said = self._decode(body)
            return Answer(list(said["items"]), str(said["policy"]), said.get("fallback"))
        except (KeyError, TypeError, AttributeError, ValueError):
            return None

    def kept(self, body: bytes) -> int:
        """Outcomes that the server says it keeps; -1 for what does not say it."""
        try:
            return int(self._decode(body)["kept"])
        except (KeyError, TypeError, ValueError):
            return -1

    def report(self, n: int, items: Sequence[str]) -> Report | None:
        """What comes of the slate of a visit; None where nothing does."""
        known = {"decision_id": f"{self.run}/{n}", "user": f"user {self.visits.user[n]}"}
        outcomes: list[dict[str, Any]] = []
        if self.reactions.taken[n] and items:
            item = items[min(int(self.reactions.place[n]), len(items) - 1)]
            value = float(self.reactions.value[n])
            responses = dict.fromkeys(self.served.response_names, value)
            outcomes.append({"kind": "taken", "item": item, "responses": responses})
            if self.reactions.liked[n]:
                outcomes.append({"kind": "liked", "item": item})
        if self.visits.last[n]:
            outcomes.append({"kind": "terminated"})
        if not outcomes:
            return None
        ids = tuple(f"{self.run}/{n}/{one['kind']}" for one in outcomes)
        whole = [
            {"outcome_id": name, **known, **one} for name, one in zip(ids, outcomes, strict=True)
        ]
        return Report(ids, self._encode(whole))

    def _some(self, first: int, count: int) -> list[str]:
        """So many different names."""
        first %= len(self.names)
        some = list(self.names[first : first + count])
        return some + list(self.names[: count - len(some)])

"""The door: from the caller's ids to numbers of the catalogue and keyed hashes, all checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.observation import Serving
from serving.catalogue import Catalogue
from serving.contracts.fields import ContractError
from serving.contracts.outcomes import TAKEN, TERMINATED, TRUNCATED, Outcome, OutcomeEvent
from serving.contracts.requests import Request
from serving.keys import Keys
from serving.sessions.store import Taken, Visit

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """A request in numbers."""

    visit: Visit
    candidates: I32 | None  # (n,)
    context: tuple[float, ...]
    unknown_items: int  # of its history


@dataclass(frozen=True, slots=True)
class Door:
    """What may come in, for the sizes of a policy. `retrieves` = candidates may be left out."""

    serving: Serving
    catalogue: Catalogue
    keys: Keys
    retrieves: bool

    def admit(self, request: Request) -> Admitted:
        """Raises ContractError, which names the request, the field and the fix."""
        try:
            candidates = self._candidates(request.candidates)
            context = self._context(request.context)
        except ContractError as error:
            raise error.within(f"request {request.request_id!r}") from None
        given = request.history or ()
        items = np.array(self.catalogue.known(given), np.int32)
        visit = Visit(
            self.keys.user(request.user),
            self.keys.session(request.user, request.session),
            request.request_id,
            items,
            np.zeros((len(items), len(self.serving.response_names)), np.float32),
        )
        return Admitted(visit, candidates, context, len(given) - len(items))

    def outcome(self, outcome: Outcome, now: float) -> OutcomeEvent:
        """Raises ContractError, which names the outcome, the field and the fix."""
        try:
            item = None
            if outcome.item is not None:
                item = self.catalogue.numbers("item", [outcome.item])[0]
            if (outcome.kind == TAKEN) > (item is not None):
                raise ContractError(
                    "item is missing: an outcome `taken` names the item", field="item"
                )
            if outcome.kind in (TERMINATED, TRUNCATED) and item is not None:
                raise ContractError(
                    f"item is given, and {outcome.kind!r} is of no item", field="item"
                )
            responses = self._responses(outcome)
            _check_float32("value", [outcome.value])
        except ContractError as error:
            raise error.within(f"outcome {outcome.outcome_id!r}") from None
        return OutcomeEvent(
            outcome_id=outcome.outcome_id,
            decision_id=outcome.decision_id,
            user=self.keys.user(outcome.user),
            kind=outcome.kind,
            item=item,
            value=outcome.value,
            responses=responses,
            client_time=outcome.client_time,
            time=now,
        )

    def _candidates(self, names: Sequence[str] | None) -> I32 | None:
        most = self.serving.columns
        if names is None:
            if not self.retrieves:
                raise ContractError(
                    f"candidates is missing: give up to {most} items, or the engine a retrieval",
                    field="candidates",
                )
            return None
        if not 0 < len(names) <= most:
            raise ContractError(
                f"candidates has {len(names)} items; give 1 to {most}",
                field="candidates",
                limit=most,
            )
        numbers = self.catalogue.numbers("candidates", names)
        if len(set(numbers)) < len(numbers):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            raise ContractError(
                f"candidates has {twice!r} twice; give each item once", field="candidates"
            )
        return np.array(numbers, np.int32)

    def _context(self, context: Sequence[float] | None) -> tuple[float, ...]:
        values, size = tuple(context or ()), self.serving.user_size
        if len(values) != size:
            raise ContractError(
                f"context has {len(values)} numbers; the policy's user vector has {size}",
                field="context",
                limit=size,
            )
        _check_float32("context", values)
        return values

    def _responses(self, outcome: Outcome) -> tuple[float, ...]:
        """Of an item taken all that the policy reads; zeros would be taken for responses."""
        names, given = self.serving.response_names, outcome.responses or {}
        wanted = names if outcome.kind == TAKEN else ()
        if given.keys() != set(wanted):
            raise ContractError(
                f"responses has {', '.join(sorted(given)) or 'nothing'}; an outcome "
                f"{outcome.kind!r} has {', '.join(wanted) or 'none'}",
                field="responses",
            )
        values = tuple(given[name] for name in wanted)
        _check_float32("responses", values)
        return values


def taken_of(events: Sequence[OutcomeEvent]) -> list[Taken]:
    """What goes into histories."""
    return [
        Taken(event.user, event.decision_id, event.item, event.responses)
        for event in events
        if event.kind == TAKEN and event.item is not None
    ]


def _check_float32(field: str, values: Sequence[float]) -> None:
    for i, value in enumerate(values):
        if abs(value) > LARGEST:
            raise ContractError(
                f"{field}[{i}] is {value}, more than float32 can hold",
                field=f"{field}[{i}]",
                limit=LARGEST,
            )

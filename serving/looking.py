"""What a policy would see of a request, without serving it: for explanations and dry runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policies.base import Policy
from policies.observation import Observation
from policies.rules.constraints import Rule
from serving.catalogue import Catalogue
from serving.door import Admitted
from serving.sessions.store import Known, Seen


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """B requests as the live policy would see them."""

    obs: Observation
    policy: Policy
    rules: tuple[Rule, ...]  # the outermost first
    names: tuple[str, ...]  # (A,) of the catalogue
    version: str  # of the policy


def seen_of(admitted: Sequence[Admitted], known: Sequence[Known | None]) -> list[Seen]:
    """Histories that a store would give out; a user whom it does not know has the request's."""
    return [
        Seen(one.visit.items, one.visit.responses, len(one.visit.items), None, 0, "")
        if user is None
        else Seen(*user, 0, "")
        for one, user in zip(admitted, known, strict=True)
    ]


def typed_histories(
    histories: Sequence[Sequence[str]], catalogue: Catalogue, responses: int
) -> list[Known | None]:
    """Histories of item names, with responses of 0.

    Raises ContractError, which names them, for items that the catalogue does not have.
    """
    found: list[Known | None] = []
    for i, names in enumerate(histories):
        items = np.array(catalogue.numbers(f"histories[{i}]", names), np.int32)
        empty = np.zeros((len(items), responses), np.float32)
        found.append(Known(items, empty, len(items), None))
    return found

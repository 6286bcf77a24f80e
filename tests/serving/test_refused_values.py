"""Values of the wrong kind are refused at the doors of the live side, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from serving import JoinRule, Request, TopVectors

VECTORS = np.eye(3, dtype=np.float32)
CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "no windows": (lambda: JoinRule(windows=None), "windows is None"),  # type: ignore[arg-type]
    "a list of rewards": (lambda: JoinRule(reward=["liked"]), "reward is .* for each kind"),  # type: ignore[arg-type]
    "no text": (lambda: Request.from_json(()), "the body is tuple"),  # type: ignore[arg-type]
    "words for vectors": (lambda: TopVectors("1", 1), "item vectors are <U1"),  # type: ignore[arg-type]
    "half an item": (lambda: TopVectors(VECTORS, 1)(np.full((1, 2), 0.5)), "must be .* item ids"),  # type: ignore[arg-type]
    "an item that is not there": (
        lambda: TopVectors(VECTORS, 1)(np.array([[0, 3]], np.int32)),
        "item 3, and there are vectors of items 0..2",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_values_of_another_kind_are_refused(name: str) -> None:
    call, says = CALLS[name]
    with pytest.raises(ValueError, match=says):
        call()


def test_lists_of_items_are_read() -> None:
    assert TopVectors(VECTORS, 1)([[0, 0], [-1, 2]]).tolist() == [[0], [2]]  # type: ignore[arg-type]

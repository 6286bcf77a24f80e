"""Objectives and distributions of no numbers are refused when they are made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from policies import Mixture, PlackettLuce, TopK, build, reranked
from policies.rules.rerank import MMR, FairExposure, Fresh
from tests.factories import make_serving

DUE = np.array([0.5, 0.5])
MADE: dict[str, tuple[Callable[[], object], str]] = {
    "ages of nobody": (lambda: Fresh([[]], 1.0, 1.0), "Fresh.age is float64 of shape"),  # type: ignore[arg-type]
    "a weight that overflows": (lambda: Fresh(np.ones(3), 1.0, 1e308), "above 1e[+]30 in size"),
    "half providers": (lambda: FairExposure(np.full(3, 0.5), DUE, 1.0, DUE), "provider is float64"),  # type: ignore[arg-type]
    "half an update": (
        lambda: FairExposure(np.zeros(3, np.int32), DUE, 1.0, DUE, updates=0.5),  # type: ignore[arg-type]
        "updates is 0.5",
    ),
    "vectors of no item": (
        lambda: reranked(build("uniform", make_serving(3)), MMR(np.zeros((0, 2), np.float32), 1.0)),
        "entries for 0 items",
    ),
    "one row of logits": (lambda: PlackettLuce(np.zeros(3), 1), "logits must be an array"),
    "no columns": (lambda: TopK(np.zeros((2, 0)), 1), "scores must be an array"),
    "a word for a weight": (lambda: Mixture((), ("1",)), "needs weights"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", MADE)
def test_what_holds_no_numbers_is_refused(name: str) -> None:
    make, says = MADE[name]
    with pytest.raises(ValueError, match=says):
        make()

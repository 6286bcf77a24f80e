"""What a policy is asked about is checked before compiled code reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from policies import POLICIES
from policies.learning import observed
from tests.factories import make_observation, make_serving

SERVING = make_serving(5, slate_size=1, n_candidates=3)
SEEN = make_observation([[-1, 0, 4]], candidates=[[0, 1, 4]])


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("candidates", [[0, 1, 5]], r"candidates\[0, 2\] = 5 is outside -1..4"),
        ("candidates", [[0, 1, 2**40]], "is outside -1..4"),
        ("candidates", [[0, 1, 0.5]], "candidates must be whole numbers"),
        ("candidates", np.zeros((1, 0), int), "candidates has no columns"),
        ("history_items", [[-2, 0, 0]], r"history_items\[0, 0\] = -2"),
        ("history_responses", np.zeros((1, 2, 1)), "history_responses must be numbers"),
        ("user", [[np.nan]], r"user\[0, 0\] is not a finite number"),
        ("eligible", [[True, False]], "eligible must be true or false"),
    ],
)
@pytest.mark.parametrize("name", ["uniform", "linucb", "lints", "bc"])
def test_what_is_no_observation_is_refused(name: str, field: str, value: Any, says: str) -> None:
    policy = POLICIES[name].load()(SERVING)
    with pytest.raises(ValueError, match=says):
        policy.distribution(replace(SEEN, **{field: value}))


def test_a_right_observation_is_itself_and_other_types_become_its_own() -> None:
    assert observed(SEEN, SERVING) is SEEN
    wide = replace(SEEN, candidates=np.array([[0, 1, 4]], ">i8"), user=[[0]])
    read = observed(wide, SERVING)
    assert read.candidates is not None
    assert (read.candidates.dtype, read.user.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(read.candidates, SEEN.candidates)

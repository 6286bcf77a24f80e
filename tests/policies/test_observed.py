"""What a policy is asked about is checked before compiled code reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from policies import POLICIES, Cap, ScorePolicy, constrained
from policies.base import act
from policies.learning import observed
from policies.slates.distributions import PlackettLuce
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


class Careless:
    """A policy of a stranger's, which looks at nothing it is given."""

    serving = SERVING

    def distribution(self, obs: Any) -> PlackettLuce:
        return PlackettLuce(np.zeros((1, 3)), 1)

    def update(self, log: Any) -> dict[str, float]:
        return {}


RULED = constrained(POLICIES["uniform"].load()(SERVING), Cap("two", np.zeros(5, np.int32), 2))


@pytest.mark.parametrize("policy", [Careless(), POLICIES["uniform"].load()(SERVING), RULED])
def test_whoever_acts_is_shown_checked_ids_alone(policy: Any) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"candidates\[0, 2\] = 5 is outside -1..4"):
        act(policy, replace(SEEN, candidates=np.array([[0, 1, 5]])), rng)
    with pytest.raises(ValueError, match=r"history_items\[0, 0\] = -2"):
        act(policy, replace(SEEN, history_items=np.array([[-2, 0, 0]])), rng)
    with pytest.raises(ValueError, match="a policy chooses for an Observation"):
        act(policy, {"user": [[0]]}, rng)
    shown = act(policy, replace(SEEN, candidates=[[0, 1, 4]]), rng).slate  # type: ignore[arg-type]
    assert shown.dtype == np.int32
    assert shown[0, 0] in (0, 1, 4)


def test_a_policy_of_scores_is_asked_about_ids_that_are_checked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def counted(obs: Any, serving: Any) -> Any:
        calls.append(obs)
        return observed(obs, serving)

    monkeypatch.setattr("policies.base.observed", counted)
    monkeypatch.setattr("policies.score_policy.observed", counted)
    act(POLICIES["uniform"].load()(SERVING), SEEN, np.random.default_rng(0))
    assert len(calls) == 1


def test_a_subclass_that_chooses_by_itself_is_looked_at_for() -> None:
    """That its parent's `distribution` checks says nothing of its own."""

    class Own(ScorePolicy):
        def distribution(self, obs: Any) -> PlackettLuce:
            return PlackettLuce(np.zeros((len(obs), 3)), 1)

    inner = POLICIES["greedy_reward"].load()(SERVING)
    own = Own(inner.score_model, inner.exploration)
    bad = replace(SEEN, candidates=np.array([[0, 1, 5]]))
    with pytest.raises(ValueError, match="= 5 is outside"):
        act(own, bad, np.random.default_rng(0))

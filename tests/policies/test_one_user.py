"""One user's recommendations: the policy's own ranking of what may be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies import build, recommend, serving_of
from policies.baselines.popularity import Popularity
from policies.slates.distributions import Mixture, PlackettLuce, TopK
from tests.factories import env_of

make_env = env_of(2, n_items=12, history_length=3)


@pytest.fixture(params=[6, None])
def popular(request: pytest.FixtureRequest) -> Any:
    """Item 11 is the most popular, 0 the least."""
    policy: Any = build("popularity", make_env(n_candidates=request.param))
    assert isinstance(policy.score_model, Popularity)
    policy.score_model.counts = np.arange(12.0)
    return policy


def test_the_best_of_the_catalogue_or_of_the_candidates(popular: Any) -> None:
    assert popular.recommend([1, 2], 3).tolist() == [11, 10, 9]
    assert popular.recommend([], 2, candidates=[3, 0, 7]).tolist() == [7, 3]
    assert recommend(popular, [11, 9], 3, exclude_history=True).tolist() == [10, 8, 7]
    assert recommend(popular, [0, 1, 2, 3, 4]).tolist() == [11, 10]  # its own slate size


def test_what_cannot_be_had_is_said(popular: Any) -> None:
    with pytest.raises(ValueError, match="k is 4 and 3 items can be shown"):
        recommend(popular, [], 4, candidates=[3, 0, 7])
    with pytest.raises(ValueError, match=r"history\[1\] = 12 is outside 0\.\.11"):
        recommend(popular, [0, 12])
    with pytest.raises(ValueError, match="list of item ids"):
        recommend(popular, [[0, 1]])
    with pytest.raises(ValueError, match=r"reads responses, context.*recommend"):
        recommend(build("greedy_reward", make_env()), [0, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k is 0: give a whole number"),
        ({"k": 2.5}, r"k is 2\.5: give a whole number"),
        ({"k": "3"}, "k is '3': give a whole number"),
        ({"k": 10**12}, "k is 1000000000000 and 12 items can be shown"),
        ({"candidates": []}, "candidates is empty"),
        ({"candidates": [5, 3, 5]}, r"candidates\[2\] = 5 stands there twice"),
        ({"candidates": [5, 12]}, r"candidates\[1\] = 12 is outside 0\.\.11"),
        ({"history": [[0], [1, 2]]}, "history must be a list of item ids, got lists of several"),
        ({"responses": [1, 2]}, r"quality, must be numbers of shape \(2, 3\), got shape \(2,\)"),
        ({"responses": [["a"] * 3] * 2}, r"must be numbers of shape \(2, 3\): could not convert"),
        ({"user": [0.5]}, r"user must be numbers of shape \(3,\), got shape \(1,\)"),
        ({"user": 0.5}, r"user must be numbers of shape \(3,\), got shape \(\)"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str, popular: Any) -> None:
    with pytest.raises(ValueError, match=message):
        popular.recommend(**{"history": [0, 1]} | arguments)


def test_the_last_events_stand_where_a_log_would_have_them() -> None:
    """Padded on the left, the newest last, responses beside their items."""
    from policies.one_user import observation_of_user

    serving = serving_of(make_env())
    r = len(serving.response_names)
    responses = np.arange(2 * r).reshape(2, r)
    obs = observation_of_user(serving, [4, 5], responses, None, None)
    assert obs.history_items.tolist() == [[-1, 4, 5]]
    np.testing.assert_array_equal(obs.history_responses[0, 1:], responses)
    assert observation_of_user(serving, [1, 2, 3, 4], None, None, None).history_items.tolist() == [
        [2, 3, 4]
    ]


def test_rankings_are_of_the_best_part() -> None:
    scores = np.array([[0.0, 3.0, 1.0, -np.inf]])
    flat = PlackettLuce(np.zeros((1, 4)), 2)
    assert PlackettLuce(scores, 1).ranking(3).tolist() == [[1, 2, 0]]
    assert TopK(scores, 1).ranking(4).tolist() == [[1, 2, 0, -1]]
    assert Mixture((flat, TopK(scores, 2)), (0.3, 0.7)).ranking(2).tolist() == [[1, 2]]

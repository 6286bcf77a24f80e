"""What once kept the learners from a log below a regression on it: each cause alone, small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import POLICIES, Policy
from policies.rl.data.logged import credit_of
from tests.factories import make_observation, make_serving

A, K = 4, 2
START = make_observation(np.full((1, 3), -1), user=np.zeros((1, 1)))


def made(name: str, slate_size: int = K, **settings: Any) -> Policy:
    serving = make_serving(A, slate_size=slate_size, history_length=3, user_size=1)
    policy: Policy = POLICIES[name].load()(serving, **settings)
    return policy


def columns(slate: np.ndarray, consumed: np.ndarray, reward: np.ndarray) -> dict[str, Any]:
    """One decision a session under uniform ordered slates of two."""
    n = len(slate)
    return {
        "session": np.arange(n), "step": np.zeros(n, int), "terminated": np.ones(n, bool),
        "slate": slate, "consumed": consumed, "reward": reward, "responses": np.ones((n, 1)),
        "propensity": np.full(n, 1 / (A * (A - 1))), "context": np.zeros((n, 1)), "n_items": A,
    }  # fmt: skip


def bait(n: int = 4000) -> LoggedDataset:
    """Item 0 is taken wherever it is shown and pays 1, the others pay 1.5; deviation 1."""
    rng = np.random.default_rng(0)
    slate = rng.random((n, A)).argsort(axis=1)[:, :K]
    taken = np.where((slate == 0).any(axis=1), 0, slate[:, 0])
    paid = 1.0 + 0.5 * (taken > 0) + rng.normal(size=n)
    return LoggedDataset.from_columns(**columns(slate, taken, paid))


def test_conservatism_stays_with_the_logger_not_with_what_users_take() -> None:
    """All items are shown alike, so none is to be held up; item 0 is taken 3 times as often."""
    policy = made("cql", epochs=10, batch_size=64)
    policy.update(bait())
    assert policy.distribution(START).ranking(A)[0, -1] == 0


def test_conservatism_is_in_units_of_q_whatever_the_number_on_offer() -> None:
    """Item 1 stands first in 7 slates of 10 and pays least, a deviation or so below the others."""
    rng = np.random.default_rng(0)
    n, others = 4000, np.array([0, 2, 3])
    often = rng.random(n) < 0.7
    first = np.where(often, 1, others[rng.integers(3, size=n)])
    rest = rng.random((n, A)).argsort(axis=1)
    second = rest[np.arange(n), (rest == first[:, None]).argmin(axis=1)]
    worth = np.array([1.0, 0.4, 0.9, 0.8])
    paid = worth[first] + 0.5 * rng.normal(size=n)
    log = LoggedDataset.from_columns(**columns(np.stack([first, second], 1), first, paid))
    policy = made("cql", epochs=10, batch_size=64)
    policy.update(log)
    assert policy.distribution(START).ranking(A)[0, -1] == 1


def after_effects(n: int = 300, length: int = 8) -> LoggedDataset:
    """Whoever was shown item 0 at first earns 1 at the last of `length` decisions."""
    rng = np.random.default_rng(0)
    item = rng.integers(A, size=(n, length))
    step = np.tile(np.arange(length), (n, 1))
    good = np.repeat(item[:, :1] == 0, length, axis=1) & (step > 0)
    state = np.where(step > 0, 1.0 + 2.0 * good + 0.2 * step, 0.0)
    paid = good & (step == length - 1)
    return LoggedDataset.from_columns(
        session=np.repeat(np.arange(n), length), step=step.ravel(), slate=item.ravel(),
        consumed=item.ravel(), responses=np.ones((n * length, 1)), reward=paid.ravel() * 1.0,
        terminated=(step == length - 1).ravel(), context=state.reshape(-1, 1),
        propensity=np.full(n * length, 1 / A), n_items=A,
    )  # fmt: skip


def test_values_travel_back_over_a_session() -> None:
    """A target network that follows too slowly leaves the first decision without what it does."""
    policy = made("cql", slate_size=1, epochs=10, batch_size=64, learning_rate=5e-3)
    policy.update(after_effects())
    scores = policy.score_model.scores(START)[0]  # type: ignore[attr-defined]
    assert scores[0] - scores[1:].max() > 0.5


def test_credit_by_hand() -> None:
    """Taken, not taken, alone and not taken, nothing shown; and nobody knows what was taken."""
    shown, place = np.array([[2, 0], [1, 3], [1, -1], [-1, -1]]), np.array([1, 2, 2, 2])
    assert credit_of(shown, place).tolist() == [[0, 1], [0, 0], [1, 0], [0, 0]]
    assert credit_of(shown, None).tolist() == [[1, 1], [1, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize(("credit", "moved"), [("taken", False), ("slate", True)])
def test_an_item_that_nobody_takes_gets_no_credit_for_others(credit: str, moved: bool) -> None:
    """Users take the lower id of a slate, so that item 3 only looks on. By accident its slates paid
    more: where every place gets the credit that is item 3's doing, else it is not."""
    rng = np.random.default_rng(0)
    slate = rng.random((6000, A)).argsort(axis=1)[:, :K]
    taken = slate.min(axis=1)
    paid = np.where((slate == 3).any(axis=1), 1.0, 0.0)
    policy = made("reinforce", credit=credit, entropy=0.0, batch_size=128)
    policy.update(LoggedDataset.from_columns(**columns(slate, taken, paid)))
    chance = policy.distribution(START).first_place()[0]
    assert (chance[3] > 0.3) == moved, chance


def test_an_unknown_credit_is_refused() -> None:
    with pytest.raises(ValueError, match="credit = 'first': choose taken or slate"):
        made("reinforce", credit="first")


def test_empty_places_beside_a_closed_first_column_leave_numbers() -> None:
    """An empty place stands for no column, also where column 0 is closed and its value is -inf."""
    n = 64
    slate = np.column_stack([np.arange(n) % 2 + 1, np.full(n, -1)])
    log = LoggedDataset.from_columns(
        **columns(slate, slate[:, 0], 1.0 + np.arange(n) % 3),
        candidates=np.tile([-1, 1, 2, -1], (n, 1)),
    )
    assert np.isfinite(made("cql", epochs=1).update(log)["loss"])

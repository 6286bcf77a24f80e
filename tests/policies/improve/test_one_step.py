"""Planning from a log: what an item pays now, and what it does to the rest of the session."""

from __future__ import annotations

from typing import Any

import numpy as np

from offpolicy import LoggedDataset
from policies.improve.one_step import rest_of_session, seen_to_the_end
from tests.factories import make_serving


def two_items(sessions: int = 400, seed: int = 0) -> LoggedDataset:
    """Two decisions: item 0 pays 1 now and makes the second decision pay 0; item 1 pays 0 now and
    makes the second one pay 3, whatever is taken there."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 2, (sessions, 2))
    first = np.where(item[:, 0] == 0, 1.0, 0.0)
    second = np.where(item[:, 0] == 0, 0.0, 3.0)
    return LoggedDataset.from_columns(
        session=np.repeat(np.arange(sessions), 2),
        step=np.tile([0, 1], sessions),
        slate=item.ravel(),
        consumed=item.ravel(),
        responses=np.ones((2 * sessions, 1)),
        context=np.zeros((2 * sessions, 1)),
        reward=np.stack([first, second], axis=1).ravel(),
        terminated=np.tile([False, True], sessions),
        propensity=np.full(2 * sessions, 0.5),
        n_items=2,
    )


def test_an_item_that_pays_later_is_preferred() -> None:
    policy: Any = build_for(two_items())
    worth = policy.score_model.values()
    assert worth[1] > worth[0]


def build_for(log: LoggedDataset, **settings: Any) -> Any:
    from policies import POLICIES

    policy = POLICIES["one_step"].load()(make_serving(log.n_items, slate_size=1), **settings)
    policy.update(log)
    return policy


def test_rest_of_session_by_hand() -> None:
    log = LoggedDataset.from_columns(
        session=[0, 0, 0, 1],
        step=[0, 1, 2, 0],
        slate=[0, 1, 0, 1],
        propensity=np.full(4, 0.5),
        reward=[1.0, 2.0, 4.0, 8.0],
        truncated=[False, False, True, False],
        terminated=[False, False, False, True],
        n_items=2,
    )
    assert rest_of_session(log).tolist() == [6.0, 4.0, 0.0, 0.0]
    assert seen_to_the_end(log).tolist() == [False, False, False, True]
    assert seen_to_the_end(log.with_max_steps(3)).all()

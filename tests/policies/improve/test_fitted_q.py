"""Fitted-Q iteration: values of the best slates, not of what served."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import POLICIES, ScorePolicy
from policies.improve.fitted_q import FittedQ
from policies.observation import observation_of_log
from tests.factories import make_observation, make_serving

SERVING = make_serving(4, slate_size=1, history_length=2, item_features=np.eye(4), user_size=2)


def corridor(sessions: int, seed: int) -> LoggedDataset:
    """Two decisions, and the user vector says which. Item 0 pays 2 and ends the session; item 1
    pays nothing; at the second decision item 2 pays 5 and item 3 pays -4, and whatever else
    nothing. Uniform slates earn 1/4 there on average, the best slates 5."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {
        k: [] for k in ("session", "step", "slate", "reward", "terminated", "context")
    }
    pays = ({0: 2.0}, {2: 5.0, 3: -4.0})
    for session in range(sessions):
        for step in (0, 1):
            item = int(rng.integers(0, 4))
            over = step == 1 or item == 0
            context = [float(step == 0), float(step == 1)]
            row = (session, step, item, pays[step].get(item, 0.0), over, context)
            for name, value in zip(rows, row, strict=True):
                rows[name].append(value)
            if over:
                break
    n = len(rows["session"])
    return LoggedDataset.from_columns(
        **{k: np.array(v) for k, v in rows.items()},
        consumed=np.array(rows["slate"]),
        responses=np.ones((n, 1)),
        propensity=np.full(n, 0.25),
        n_items=4,
    )


def planned(name: str, log: LoggedDataset, **settings: Any) -> ScorePolicy:
    policy = POLICIES[name].load()(SERVING, **settings)
    assert isinstance(policy, ScorePolicy)
    policy.update(log)
    return policy


def test_what_the_best_slates_earn_later_counts() -> None:
    """Under uniform slates item 0's 2 beat the 1/4 that follows item 1; under the best slates more
    follows item 1 than item 0 pays."""
    log = corridor(4000, seed=0)
    start = make_observation([[-1, -1]], user=[[1.0, 0.0]])
    one = planned("one_step", log).score_model.scores(start)[0]
    assert one[0] > one[1]
    more = planned("fitted_q", log).score_model.scores(start)[0]
    assert more[1] - more[0] > one[1] - one[0] + 0.5, (
        "later pays more than it did to uniform slates"
    )


def test_the_number_of_sweeps_is_how_far_it_looks() -> None:
    log = corridor(1500, seed=1)
    obs = observation_of_log(log, SERVING)
    few, many = (planned("fitted_q", log, sweeps=s).score_model for s in (1, 8))
    assert isinstance(few, FittedQ)
    assert isinstance(many, FittedQ)
    more = planned("fitted_q", log, sweeps=16).score_model
    near = np.abs(more.scores(obs) - many.scores(obs)).max()
    assert near < 0.05 * np.ptp(many.scores(obs)), "it converges in a session of two decisions"
    with pytest.raises(ValueError, match="sweeps is 0"):
        planned("fitted_q", log, sweeps=0)


def test_of_many_items_fewer_states_are_kept() -> None:
    """Each holds a number for every item."""
    serving = make_serving(
        200_000, slate_size=1, history_length=2, item_features=np.ones((200_000, 1))
    )
    model = POLICIES["fitted_q"].load()(serving).score_model
    assert isinstance(model, FittedQ)
    assert model.sample.size < 100
    small = POLICIES["fitted_q"].load()(SERVING).score_model
    assert isinstance(small, FittedQ)
    assert small.sample.size == 4000

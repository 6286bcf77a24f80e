"""Columns and settings that are none are refused by name, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from offpolicy import (
    LoggedDataset,
    Terms,
    action_terms,
    bootstrap,
    cressie_read,
    estimate,
    estimate_propensity,
    gamma_interval,
    mips_terms,
    score_estimators,
    trial_uplift,
)
from offpolicy.intervals.inference import check_level
from tests.offpolicy.factories import flat, log_of

TABLE = np.full((2, 2), 0.5)


def both(rows: slice) -> tuple[Any, Any]:
    return TABLE[rows], TABLE[rows]


def strata(last: int) -> Terms:
    return Terms(np.ones(2), np.ones(2), None, None, np.arange(2), stratum=np.array([0, last]))


CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "a word for a column": (lambda: log_of(step="nan"), r"step has shape \(\): it is a single str"),
    "no sessions": (lambda: log_of(session=None), "the log has no session"),
    "an endless catalogue": (lambda: log_of(n_items=np.inf), "n_items = inf"),
    "a missing item": (
        lambda: log_of(consumed=[None] * 40),
        r"consumed\[0\] = None is not a whole",
    ),
    "a row too far": (lambda: log_of().take([40]), r"rows\[0\] = 40 is none of the log's 40 rows"),
    "half a mask": (lambda: log_of().take([True]), "the mask of rows has 1 entries for 40"),
    "no row's number": (lambda: log_of().take([0.5]), "rows is float64"),
    "no log": (lambda: LoggedDataset.concat([log_of(), None]), r"logs\[1\] is NoneType"),  # type: ignore[list-item]
    "no estimator": (lambda: bootstrap(flat(9), ["best"]), "no estimator 'best'"),
    "none to redraw for": (lambda: score_estimators(log_of(), ["best"]), "no estimator 'best'"),
    "a level without a width": (lambda: check_level(5e-324), "is outside"),
    "one size of two": (lambda: gamma_interval(estimate(flat(9), "snips"), unseen=(0.0,)), "two"),  # type: ignore[arg-type]
    "half a range": (
        lambda: cressie_read(flat(9), weight_range="", reward_range=(0, 1)),  # type: ignore[arg-type]
        "weight_range = ''; it is two numbers",
    ),
    "steps without end": (lambda: strata(2**31), "stratum runs from 0 to 2147483648"),
    "a row weight of nothing": (
        lambda: Terms([1.0], [1.0], None, None, [0], row_weight=[5e-324]),
        r"row_weight\[0\] = 4.94",
    ),
    "a setting that overflows": (
        lambda: estimate(flat(9), "clipped_ips", cap=1e308),
        "cap = 1e[+]308 of clipped_ips overflows",
    ),
    "an item far outside": (
        lambda: estimate_propensity([0, 2**31], np.ones((2, 1)), n_items=2),
        "action 2147483648 is outside the catalogue",
    ),
    "no actions": (lambda: estimate_propensity(None, np.ones((2, 1)), n_items=2), "action"),  # type: ignore[arg-type]
    "no table": (
        lambda: mips_terms(
            both, embedding=np.zeros((2, 1), int), embedding_given_action=[], reward=np.ones(2)
        ),
        "embedding_given_action has tables of shapes",
    ),
    "no number of actions": (
        lambda: action_terms(both, action=np.zeros(2, int), n_actions=0, reward=np.ones(2)),
        "n_actions = 0",
    ),
    "a table of returns": (
        lambda: trial_uplift(np.ones((1, 4)), [0, 1, 0, 1], np.arange(4)),
        r"returns \(1, 4\)",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_none_is_refused_by_name(name: str) -> None:
    call, says = CALLS[name]
    with pytest.raises(ValueError, match=says):
        call()


def test_what_is_right_stays_right() -> None:
    log = log_of()
    assert len(log.take([0, -1])) == 2
    assert len(log.take(np.zeros(40, bool) | (np.arange(40) < 3))) == 3
    assert estimate(strata(1), "ips").value == 1
    assert action_terms(both, action=[0, 1], n_actions=2, reward=[1.0, 2.0]).weight.tolist() == [
        1,
        1,
    ]  # type: ignore[arg-type]

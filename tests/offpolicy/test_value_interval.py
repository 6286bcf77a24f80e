"""Bounds for terms of one's own are those of a report, and hold where events are rare."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import Terms, estimate, evaluate, interval, value_interval
from offpolicy import terms as horizon_terms
from tests.offpolicy.factories import sessions_log, target


@pytest.mark.parametrize("name", ["ips", "snips", "clipped_ips"])
def test_they_are_the_bounds_of_evaluate(name: str) -> None:
    log = sessions_log()
    scores = target(log)
    line = evaluate(log, scores, horizon="one_step", model=None)[name]
    own = value_interval(horizon_terms(log, scores, horizon="one_step"), name)
    assert own == line.value


def test_settings_reach_the_estimator() -> None:
    log = sessions_log()
    t = horizon_terms(log, target(log), horizon="one_step")
    cut = value_interval(t, "clipped_ips", settings={"cap": 1.2})
    assert cut.value == estimate(t, "clipped_ips", cap=1.2).value
    assert cut.bias[1] > 0 == value_interval(t, "clipped_ips", settings={"cap": 1e9}).bias[1]


def test_rare_events_are_held_where_a_t_interval_misses_them() -> None:
    rng, n, rate = np.random.default_rng(5), 1000, 0.004
    held = {"t": 0, "own": 0}
    for _ in range(300):
        chosen = rng.random(n) < 0.5
        weight = np.where(chosen, 1.8, 0.2)
        t = Terms(weight, rng.random(n) < rate, None, None, np.arange(n))
        for key, i in (("t", interval(estimate(t, "ips"))), ("own", value_interval(t, "ips"))):
            held[key] += i.low <= rate <= i.high
    assert held["own"] >= 279  # .95 of 300, less two standard errors
    assert held["t"] < 279

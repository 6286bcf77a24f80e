"""Moments of shards add up to what one reading in memory says."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import (
    Terms,
    adjust,
    diagnose,
    difference,
    estimate,
    estimate_all,
    interval,
    on_policy,
)
from offpolicy.bootstrap import bootstrap
from offpolicy.estimators.engine import estimate_forms
from offpolicy.estimators.sequential import martingale, pdis
from offpolicy.moments import Moments, merge, partial
from tests.offpolicy.estimators.test_contract import decisions, uneven_sessions

NAMES = ["pdis", "snpdis", "seq_dr", "wdr", "sntis"]


def part(t: Terms, keep: np.ndarray) -> Terms:
    stratum = None if t.stratum is None else t.stratum[keep]
    session = None if t.session is None else t.session[keep]
    return Terms(
        t.weight[keep], t.reward[keep], t.q_logged[keep], t.v_target[keep], t.unit[keep],
        t.weight_before[keep], t.discount[keep], stratum, session,
    )  # fmt: skip


def sharded(t: Terms, names: list[str]) -> Moments:
    """Units dealt to three shards whose longest sessions differ."""
    return merge(*(partial(part(t, t.unit % 3 == k), names) for k in range(3)))


def test_shards_of_sessions_of_different_length_add_up() -> None:
    t = uneven_sessions(3, sessions=60, longest=7)
    short = part(t, ~((t.unit % 3 == 1) & (t.stratum > 2)))  # type: ignore[operator]
    found = sharded(short, NAMES)
    for name, e in estimate_all(short, NAMES).items():
        here, there = interval(e), found.interval(name)
        assert (there.value, there.se) == pytest.approx((here.value, here.se), abs=1e-10)
        control = estimate_forms(short, {"c": martingale})["c"]
        logged = estimate_forms(on_policy(short), {"l": pdis})["l"]
        paired = interval(adjust(difference(e, logged), control))
        uplift = found.uplift(name)
        assert (uplift.value, uplift.low) == pytest.approx((paired.value, paired.low), abs=1e-9)
    assert found.ess == pytest.approx(diagnose(short).ess)
    assert found.sessions == 60
    assert found.names == tuple(NAMES)


def test_shards_of_decisions_add_up() -> None:
    t = decisions(1, 200)
    names = ["ips", "clipped_ips", "snips", "dr", "sndr"]
    found = sharded(t, names)
    for name, e in estimate_all(t, names).items():
        assert found.interval(name).low == pytest.approx(interval(e).low, abs=1e-10)


def test_bootstrap_agrees_with_the_delta_method() -> None:
    t = uneven_sessions(5, sessions=600, longest=5)
    for name, b in bootstrap(t, ["pdis", "snpdis", "wdr"], draws=2000).items():
        a = interval(estimate(t, name))
        assert b.value == pytest.approx(a.value)
        assert b.se == pytest.approx(a.se, rel=0.12)
        assert b.low == pytest.approx(a.low, abs=0.4 * a.se)


def test_bootstrap_repeats_by_seed_and_differs_by_seed() -> None:
    t = decisions(1, 100)
    first = bootstrap(t, ["snips"], draws=50)["snips"]
    assert bootstrap(t, ["snips"], draws=50)["snips"] == first
    assert bootstrap(t, ["snips"], draws=50, seed=1)["snips"] != first


def test_what_needs_all_terms_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="magic needs all terms at once"):
        partial(uneven_sessions(), ["magic"])

"""Moments of shards add up to what one reading in memory says."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import Terms, diagnose, difference, estimate, estimate_all, interval, on_policy
from offpolicy.estimators import unit_totals
from offpolicy.estimators.engine import estimate_forms
from offpolicy.estimators.formulas import pdis
from offpolicy.intervals.bootstrap import bootstrap
from offpolicy.streaming.merging import merge, partial
from offpolicy.streaming.moments import Moments
from offpolicy.uplift import compare, logged_value
from tests.offpolicy.factories import decisions, uneven_sessions

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
    merged = sharded(short, NAMES)
    for name, e in estimate_all(short, NAMES).items():
        here, there = interval(e), merged.interval(name)
        assert (there.value, there.se) == pytest.approx((here.value, here.se), abs=1e-10)
        logged = estimate_forms(on_policy(short), {"l": pdis})["l"]
        paired = interval(difference(e, logged))  # 30 users: too few for a control variate
        uplift = merged.uplift(name)
        assert (uplift.value, uplift.low) == pytest.approx((paired.value, paired.low), abs=1e-9)
    assert merged.ess == pytest.approx(diagnose(short).ess)
    assert merged.sessions == 60
    assert merged.names == tuple(NAMES)


def test_shards_of_decisions_add_up() -> None:
    t = decisions(1, 200)
    names = ["ips", "clipped_ips", "snips", "dr", "sndr"]
    merged = sharded(t, names)
    for name, e in estimate_all(t, names).items():
        assert merged.interval(name).low == pytest.approx(interval(e).low, abs=1e-10)


def test_uplifts_of_weights_that_can_be_trusted_use_the_control_variate_as_evaluate_does() -> None:
    rng = np.random.default_rng(0)
    n, steps = 900, 3
    ratio = rng.uniform(0.5, 1.5, (n, steps))
    w = np.cumprod(ratio, axis=1)
    before = np.column_stack([np.ones(n), w[:, :-1]])
    t = Terms(
        w.ravel(), rng.normal(1, 1, n * steps), None, None, np.repeat(np.arange(n), steps),
        before.ravel(), None, np.tile(np.arange(steps), n), np.repeat(np.arange(n), steps),
    )  # fmt: skip
    merged, by_name = sharded(t, ["pdis", "snpdis"]), dict.fromkeys(["pdis", "snpdis"], t)
    lines = compare(estimate_all(t, by_name), by_name, {}, 0.95, controlled=True)
    for line in lines:
        uplift = merged.uplift(line.estimator)
        assert (uplift.value, uplift.se) == pytest.approx((line.uplift.value, line.uplift.se))
    plain = interval(difference(estimate(t, "pdis"), logged_value(t)))
    assert merged.uplift("pdis").se < 0.9 * plain.se


@pytest.mark.parametrize("name", ["clipped_ips", "dros", "log_smoothing_ips"])
def test_a_changed_weight_moves_the_bounds_of_shards_and_draws_too(name: str) -> None:
    """A clipped value stood bare wherever it was streamed or bootstrapped."""
    t = decisions(1, 200)
    hyper = {"clipped_ips": {"cap": 0.5}, "dros": {"shrinkage": 0.1}}
    parts = [partial(part(t, t.unit % 3 == k), [name], hyper) for k in range(3)]
    e = estimate(t, name, **hyper.get(name, {}))
    assert e.bias[1] > 0.03
    here, there = interval(e), merge(*parts).interval(name)
    assert there.bias == pytest.approx(here.bias)
    assert (there.low, there.high) == pytest.approx((here.low, here.high))
    line = compare({name: e}, {name: t}, hyper, 0.95, controlled=True)[0]
    uplift = merge(*parts).uplift(name)
    if merge(*parts).ess >= 100:
        assert (uplift.low, uplift.high) == pytest.approx((line.uplift.low, line.uplift.high))
        assert uplift.bias == pytest.approx(line.uplift.bias)
    drawn = bootstrap(t, [name], hyper=hyper)[name]
    assert drawn.bias == pytest.approx(here.bias)
    assert drawn.high - drawn.value > e.bias[1]


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sessions may be long, fewer rows are looked at together."""
    t = uneven_sessions(3, sessions=60, longest=7)
    whole = partial(t, NAMES)
    monkeypatch.setattr(unit_totals, "ENTRIES", 200)
    parts = partial(t, NAMES)
    np.testing.assert_allclose(parts.cross, whole.cross, rtol=1e-12, atol=1e-12)


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


@pytest.mark.parametrize("mean", [1e6, 1e8, 1.7e9])
def test_rewards_far_from_0_cancel_in_no_standard_error(mean: float) -> None:
    """Times in seconds, balances: large numbers of small spread, in one shard and in several."""
    rng = np.random.default_rng(0)
    n = 3000
    w, r = rng.uniform(0.5, 1.5, n), rng.normal(size=n)
    near = partial(Terms(w, r, None, None, np.arange(n)), ["snips", "ips"])
    t = Terms(w, r + mean, None, None, np.arange(n))
    shards = [partial(part(t, np.arange(n) % 5 == k), ["snips", "ips"]) for k in range(5)]
    for far in (partial(t, ["snips", "ips"]), merge(*shards), merge(*reversed(shards))):
        here = interval(estimate(t, "snips"))
        there = far.interval("snips")
        assert (there.value - mean, there.se) == pytest.approx(
            (here.value - mean, here.se), rel=1e-5, abs=mean * 1e-15
        )
        assert there.se == pytest.approx(near.interval("snips").se, rel=1e-5)
        assert far.uplift("snips").se == pytest.approx(near.uplift("snips").se, rel=1e-5)
        assert far.uplift("snips").value == pytest.approx(near.uplift("snips").value, abs=1e-6)
        assert far.interval("ips").se == pytest.approx(interval(estimate(t, "ips")).se)


def test_long_sessions_of_large_rewards_agree_with_one_reading_in_any_grouping() -> None:
    t = uneven_sessions(3, sessions=60, longest=7)
    far = Terms(
        t.weight, t.reward + 1e8, None, None, t.unit, t.weight_before, t.discount, t.stratum,
        t.session,
    )  # fmt: skip
    names = ["snpdis", "sntis"]
    a, b, c = (partial(part(far, t.unit % 3 == k), names) for k in range(3))
    first, then = merge(merge(a, b), c), merge(c, merge(b, a))
    for name, e in estimate_all(far, names).items():
        for m in (first, then):
            assert m.interval(name).se == pytest.approx(interval(e).se, rel=1e-6)
    np.testing.assert_allclose(first.sums, then.sums, rtol=1e-12)
    np.testing.assert_allclose(first.cross, then.cross, rtol=1e-12)


def test_moments_that_carry_the_shifts_of_those_before_are_added_and_nothing_else() -> None:
    t = uneven_sessions(3, sessions=60, longest=7)
    one = partial(part(t, t.unit % 2 == 0), NAMES)
    two = partial(part(t, t.unit % 2 == 1), NAMES, like=one)
    seen = one.shift != 0
    assert seen.any()
    np.testing.assert_array_equal(two.shift[: len(seen)][seen], one.shift[seen])
    whole, both = partial(t, NAMES), merge(one, two)
    for name in NAMES:
        assert both.interval(name).low == pytest.approx(whole.interval(name).low, abs=1e-12)


def test_the_logging_policy_itself_has_an_uplift_of_exactly_0() -> None:
    rng = np.random.default_rng(0)
    r = rng.normal(5, 1, 500)
    same = partial(Terms(np.ones(500), r, None, None, np.arange(500)), ["snips", "ips"])
    for name in ("snips", "ips"):
        u = same.uplift(name)
        assert (u.value, u.low, u.high, u.se) == (0.0, 0.0, 0.0, 0.0)

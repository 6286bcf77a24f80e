"""CR(-2): the value, and the interval that knows what it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import Terms, cressie_read, estimate, interval

B, E = np.array([0.05, 0.05, 0.1, 0.3, 0.5]), np.array([0.5, 0.3, 0.1, 0.05, 0.05])
CLICK = np.array([0.1, 0.3, 0.5, 0.4, 0.2])


def five_arms(n: int, seed: int) -> Terms:
    rng = np.random.default_rng(seed)
    arm = rng.choice(5, n, p=B)
    return Terms((E / B)[arm], rng.random(n) < CLICK[arm], None, None, np.arange(n))


def least_squares_shares(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Slow twin: the shares nearest to 1 / n whose sums with the columns of `rows` are `wanted`."""
    n = len(rows)
    gap = wanted - rows.mean(0)
    return np.asarray(1 / n + np.linalg.lstsq(rows.T, gap, rcond=None)[0])


def test_by_hand_and_against_the_shares_themselves() -> None:
    """Weights 0, 1, 3 average 4/3 and rewards pay 0, 1, 6 of w r: the slope of w r on w is
    (1 * -1/3 + 6 * 5/3) / (14/3) = 29/14, so 7/3 - 29/14 / 3 = 23/14."""
    t = Terms([0.0, 1.0, 3.0], [5.0, 1.0, 2.0], None, None, np.arange(3))
    assert estimate(t, "cr").value == pytest.approx(23 / 14, abs=1e-12)
    t = five_arms(40, 0)
    shares = least_squares_shares(np.column_stack([np.ones(40), t.weight]), np.ones(2))
    assert estimate(t, "cr").value == pytest.approx(shares @ (t.weight * t.reward), abs=1e-12)


def test_equal_weights_say_no_more_than_their_mean() -> None:
    t = Terms(np.full(7, 0.3), np.arange(7.0), None, None, np.arange(7))
    assert estimate(t, "cr").value == pytest.approx(0.9, abs=1e-12)
    with pytest.raises(ValueError, match="all weights are 0"):
        estimate(Terms(np.zeros(3), np.ones(3), None, None, np.arange(3)), "cr")


def test_a_bound_is_the_value_whose_shares_are_just_likely_enough() -> None:
    """Slow twin: at each bound the best unseen row's least sum (n q - 1)^2 meets the limit."""
    from scipy import stats

    t = five_arms(200, 3)
    found = cressie_read(t, weight_range=(0, 10), reward_range=(0, 1))
    w, x = t.weight, t.weight * t.reward

    def cost(value: float | None, unseen_w: float, unseen_x: float) -> float:
        rows = [np.ones(201), np.append(w, unseen_w)]
        wanted = [1.0, 1.0]
        if value is not None:
            rows, wanted = [*rows, np.append(x, unseen_x)], [*wanted, value]
        q = least_squares_shares(np.column_stack(rows), np.array(wanted))
        return float(((201 * q - 1) ** 2).sum())

    limit = min(cost(None, f, 0.0) for f in (0, 1, 10)) + stats.f(1, 199).ppf(0.95)
    for value in (found.low, found.high):
        cheapest = min(cost(value, f, f * r) for f in (0.0, 1.0, 10.0) for r in (0, 1))
        assert cheapest == pytest.approx(limit, rel=1e-9)
    assert 0 < found.low < found.value < found.high < 1  # neither is cut to the range


def test_rewards_that_were_never_seen_are_not_ruled_out() -> None:
    """30 rows without a click do not show that there is none: a bound of about 3 / n."""
    t = Terms(np.ones(30), np.zeros(30), None, None, np.arange(30))
    found = cressie_read(t, weight_range=(0, 5), reward_range=(0, 1))
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(0.097, abs=0.002)
    assert interval(estimate(t, "ips")).high == 0


def test_it_covers_where_few_heavy_weights_make_the_t_interval_too_short() -> None:
    """60 rows, the best arms logged in 5 % each: the upper bound of IPS misses one time in four."""
    held, plain, truth = 0, 0, float(E @ CLICK)
    for seed in range(300):
        t = five_arms(60, seed)
        found = cressie_read(t, weight_range=(0, 10), reward_range=(0, 1))
        held += found.low <= truth <= found.high
        i = interval(estimate(t, "ips"))
        plain += i.low <= truth <= i.high
    assert held / 300 >= 0.95
    assert plain / 300 < 0.85


def test_rows_of_a_unit_count_once_and_ranges_are_kept() -> None:
    t = five_arms(80, 1)
    twice = Terms(
        np.repeat(t.weight, 2), np.repeat(t.reward, 2), None, None, np.repeat(np.arange(80), 2)
    )
    one, two = (cressie_read(x, weight_range=(0, 10), reward_range=(0, 1)) for x in (t, twice))
    np.testing.assert_allclose([one.low, one.high], [two.low, two.high], atol=1e-12)
    with pytest.raises(ValueError, match=r"weight\[\d+\] = 10 is outside weight_range \(0, 2\)"):
        cressie_read(t, weight_range=(0, 2), reward_range=(0, 1))
    with pytest.raises(ValueError, match="must hold 1"):
        cressie_read(t, weight_range=(0, 0.5), reward_range=(0, 1))
    with pytest.raises(ValueError, match="must be two finite numbers"):
        cressie_read(t, weight_range=(0, np.inf), reward_range=(0, 1))

"""Estimators that change their weights: the bound on their bias is an estimate, with its noise."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Terms, difference, estimate, estimate_all, interval
from offpolicy.estimators.forms import Rows
from offpolicy.estimators.registry import estimator
from offpolicy.intervals.inference import standard_error
from offpolicy.intervals.multiplicity import simultaneous
from offpolicy.uplift import compare, logged_value
from tests.offpolicy.factories import decisions

CHANGED = [
    name
    for name in ESTIMATORS
    if not ESTIMATORS[name].whole
    and estimator(name)(Rows(decisions(), slice(0, 1))).used is not None
]
IDENTITY = {
    "clipped_ips": np.inf, "clipped_dr": np.inf, "switch_dr": np.inf, "dros": np.inf,
    "subgaussian_ips": 0.0, "subgaussian_dr": 0.0, "log_smoothing_ips": 0.0, "exponential_ips": 1.0,
}  # fmt: skip


def test_all_of_them_are_looked_at() -> None:
    assert set(CHANGED) == set(IDENTITY)


@pytest.mark.parametrize("name", IDENTITY)
def test_the_setting_that_changes_nothing_is_the_plain_estimator(name: str) -> None:
    """Value, influence and interval, with no bias; in the field's words the sub-Gaussian strength
    of 0 is IPS."""
    t = decisions(3, 60)
    setting = next(iter(estimator_settings(name)))
    found = estimate(t, name, **{setting: IDENTITY[name]})
    plain = estimate(t, "dr" if ESTIMATORS[name].needs_model else "ips")
    assert found.value == plain.value
    np.testing.assert_array_equal(found.psi, plain.psi)
    assert (found.bias, found.ends) == ((0.0, 0.0), None)
    assert interval(found) == interval(plain)


def estimator_settings(name: str) -> dict[str, float]:
    from offpolicy.estimators import hyper_parameters

    return hyper_parameters(name)


def test_a_strength_below_0_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        estimate(decisions(), "subgaussian_ips", strength=-0.1)
    with pytest.raises(ValueError, match="must be above 0"):
        estimate(decisions(), "exponential_ips", strength=0)


def test_the_upper_bound_counts_what_was_cut_row_by_row() -> None:
    """Weights 4 and 0, cap 1, rewards 1 and 0: the value is 1/2 and at most 1/2 of the truth is
    missed. The bound mean(u r + 1 - u) is 1 for both rows: it has no error, so the interval ends
    at 1 plus nothing."""
    t = Terms([4.0, 0.0], [1.0, 0.0], None, None, [0, 1])
    e = estimate(t, "clipped_ips", cap=1.0)
    i = interval(e)
    assert e.value == 0.5
    assert i.high == pytest.approx(1.0)
    assert i.low < 0.5


def world(seed: int, n: int, rate: float) -> tuple[Terms, float]:
    """200 contexts of eight arms; the target and the logger differ; true uplift beside the terms.
    The effective sample is near n / 3."""
    g = np.random.default_rng(17)
    x, a, b = g.normal(size=(200, 3)), g.normal(size=(3, 8)), g.normal(size=(3, 8))
    pays = rate / (rate + (1 - rate) * np.exp(-0.8 * x @ a))

    def softmax(z: np.ndarray) -> np.ndarray:
        e = np.exp(z - z.max(1, keepdims=True))
        return np.asarray(e / e.sum(1, keepdims=True))

    logger = 0.9 * softmax(0.6 * x @ b) + 0.1 / 8
    target = 0.95 * softmax(0.9 * x @ a) + 0.05 / 8
    rng = np.random.default_rng([seed, 5])
    row = rng.integers(0, 200, n)
    arm = (rng.random((n, 1)) > logger[row].cumsum(1)).sum(1).clip(max=7)
    reward = (rng.random(n) < pays[row, arm]).astype(float)
    model = np.full((200, 8), rate)
    t = Terms(
        target[row, arm] / logger[row, arm], reward, model[row, arm],
        (target * model).sum(1)[row], np.arange(n),
    )  # fmt: skip
    return t, float(((target - logger) * pays).sum(1).mean())


@pytest.mark.parametrize("rate", [0.2, 0.9])
def test_uplifts_hold_beside_a_control_variate(rate: float) -> None:
    """150 logs. An interval that holds in 95 % holds in 133 of them or more all but once in 1,000;
    a bound of 1 - mean(used) puts back the noise that the control variate took out, and held 110
    at rewards of 90 % (log smoothing)."""
    held = dict.fromkeys(CHANGED, 0)
    for seed in range(150):
        t, truth = world(seed, 2000, rate)
        lines = compare(
            estimate_all(t, CHANGED), dict.fromkeys(CHANGED, t), {}, 0.95, controlled=True
        )
        for line in lines:
            held[line.estimator] += line.uplift.low <= truth <= line.uplift.high
    assert min(held.values()) >= 133, held


def test_bounds_move_with_differences_and_hold_together() -> None:
    t = decisions(2, 400)
    e = estimate(t, "clipped_ips", cap=1.0)
    gap = difference(e, logged_value(t))
    assert gap.ends is not None
    assert e.ends is not None
    assert gap.ends[1].value == pytest.approx(e.ends[1].value - logged_value(t).value)
    np.testing.assert_allclose(gap.ends[1].psi, e.ends[1].psi - logged_value(t).psi)
    both = simultaneous({"a": gap, "b": difference(estimate(t, "ips"), logged_value(t))})["a"]
    assert both.high > interval(gap).high
    assert both.se == standard_error(gap)

"""Whatever joins ESTIMATORS keeps these promises, without a test of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from offpolicy import ESTIMATORS, Terms, estimate, interval
from offpolicy.estimators.magic import blend_weights, partial_returns
from tests.offpolicy.factories import decisions, uneven_sessions

WITH_MODEL = {name for name, record in ESTIMATORS.items() if record.needs_model}
MODEL_FREE = sorted(ESTIMATORS.keys() - WITH_MODEL)
HARMLESS = {"dros": {"shrinkage": np.inf}, "log_smoothing_ips": {"strength": 1e-12}}


def repeated(t: Terms, mass: NDArray[np.int64]) -> Terms:
    """Each unit (0..G-1) mass[unit] times, as units and sessions of their own."""
    rows = np.concatenate(
        [np.tile(np.flatnonzero(t.unit == u), m) for u, m in enumerate(mass.tolist())]
    )
    copy = np.concatenate(
        [np.repeat(np.arange(m), (t.unit == u).sum()) for u, m in enumerate(mass.tolist())]
    )
    session = None if t.session is None else t.session[rows] * 10_000 + copy
    return Terms(
        t.weight[rows], t.reward[rows], t.q_logged[rows], t.v_target[rows],
        t.unit[rows] * 10_000 + copy, t.weight_before[rows], t.discount[rows],
        None if t.stratum is None else t.stratum[rows], session,
    )  # fmt: skip


@pytest.mark.parametrize("make", [uneven_sessions, decisions])
@pytest.mark.parametrize("name", [n for n in ESTIMATORS if n != "magic"])
def test_influence_is_the_numeric_derivative(name: str, make: object) -> None:
    t = make()  # type: ignore[operator]
    found = estimate(t, name)
    assert abs(found.psi.sum()) < 1e-9
    n, m = len(found.psi), 300
    assert estimate(repeated(t, np.full(n, m)), name).value == pytest.approx(found.value)
    for u in range(n):
        bump = np.eye(n, dtype=int)[u]
        up = estimate(repeated(t, np.full(n, m) + bump), name).value
        down = estimate(repeated(t, np.full(n, m) - bump), name).value
        at = int(np.flatnonzero(found.unit == u)[0])
        assert found.psi[at] == pytest.approx((up - down) * m * n / 2, rel=1e-3, abs=1e-4)


def test_the_interval_of_magic_is_that_of_wdr_moved_out_to_hold_the_blend() -> None:
    """The blend was chosen on the same rows: with its weights held, intervals were too short."""
    t = uneven_sessions()
    parts = partial_returns(t)
    x = blend_weights(parts)
    found, whole = estimate(t, "magic"), estimate(t, "wdr")
    assert found.value == pytest.approx(sum(w * p.value for w, p in zip(x, parts, strict=True)))
    assert found.value != pytest.approx(whole.value)
    np.testing.assert_allclose(found.psi, whole.psi)
    i, j = interval(found), interval(whole)
    half, moved = j.high - j.value, found.value - whole.value
    assert i.low == pytest.approx(whole.value + min(moved, 0.0) - half)
    assert i.high == pytest.approx(whole.value + max(moved, 0.0) + half)


@pytest.mark.parametrize("name", MODEL_FREE)
def test_with_weights_of_one_it_is_the_plain_mean(name: str) -> None:
    rng = np.random.default_rng(0)
    reward = rng.random(50)
    one = Terms(np.ones(50), reward, None, None, np.arange(50))
    value = estimate(one, name, **HARMLESS.get(name, {})).value
    assert value == pytest.approx(reward.mean(), abs=1e-4 if "log" in name else 1e-12)


@pytest.mark.parametrize("name", sorted(WITH_MODEL - {"dm", "magic"}))
def test_with_weights_of_one_the_model_cancels(name: str) -> None:
    rng = np.random.default_rng(0)
    reward, q = rng.random(50), rng.random(50)
    one = Terms(np.ones(50), reward, q, q, np.arange(50))
    value = estimate(one, name, **HARMLESS.get(name, {})).value
    assert value == pytest.approx(reward.mean(), abs=1e-12)


@pytest.mark.parametrize("make", [uneven_sessions, decisions])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_order_of_rows_does_not_matter(name: str, make: object) -> None:
    t = make()  # type: ignore[operator]
    rng = np.random.default_rng(5)
    if t.stratum is None:  # then the rows of a unit are its steps, in the order given
        mixed = np.argsort(rng.permutation(int(t.unit.max()) + 1)[t.unit], kind="stable")
    else:
        mixed = rng.permutation(len(t))
    other = Terms(
        t.weight[mixed], t.reward[mixed], t.q_logged[mixed], t.v_target[mixed], t.unit[mixed],
        t.weight_before[mixed], t.discount[mixed],
        None if t.stratum is None else t.stratum[mixed],
        None if t.session is None else t.session[mixed],
    )  # fmt: skip
    a, b = estimate(t, name), estimate(other, name)
    assert b.value == pytest.approx(a.value, abs=1e-12)
    np.testing.assert_allclose(b.psi[np.argsort(b.unit)], a.psi[np.argsort(a.unit)], atol=1e-10)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(-5, 5)), min_size=2, max_size=30).filter(
        lambda rows: sum(w for w, _ in rows) > 1e-3
    )
)
@settings(max_examples=100)
def test_self_normalised_values_stay_inside_the_rewards(rows: list[tuple[float, float]]) -> None:
    w, r = np.array(rows).T
    t = Terms(w, r, None, None, np.arange(len(w)))
    for name in ("snips", "sntis", "snpdis"):
        value = estimate(t, name).value
        assert r[w > 0].min() - 1e-9 <= value <= r[w > 0].max() + 1e-9


@given(st.integers(0, 10_000), st.floats(0.1, 20))
@settings(max_examples=50)
def test_without_a_model_dr_is_ips_and_huge_settings_change_nothing(
    seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    w, r, q, v = scale * rng.random(20), rng.random(20), rng.random(20), rng.random(20)
    bare = Terms(w, r, None, None, np.arange(20))
    for doubly, plain in (("dr", "ips"), ("sndr", "snips"), ("seq_dr", "pdis"), ("wdr", "snpdis")):
        assert estimate(bare, doubly).value == pytest.approx(estimate(bare, plain).value)
    t = Terms(w, r, q, v, np.arange(20))
    full = estimate(t, "dr").value
    assert estimate(t, "clipped_dr", cap=1e9).value == pytest.approx(full)
    assert estimate(t, "switch_dr", threshold=1e9).value == pytest.approx(full)
    assert estimate(t, "dros", shrinkage=np.inf).value == pytest.approx(full)


def test_unknown_names_and_settings_are_refused_with_what_there_is() -> None:
    t = decisions()
    with pytest.raises(ValueError, match="no estimator 'dreams'; there are ips"):
        estimate(t, "dreams")
    with pytest.raises(ValueError, match="clipped_ips has no setting 'threshold'; it takes cap"):
        estimate(t, "clipped_ips", threshold=3)
    with pytest.raises(ValueError, match="ips has no setting 'cap'; it takes no settings"):
        estimate(t, "ips", cap=3)
    with pytest.raises(ValueError, match="must be above 0"):
        estimate(t, "clipped_ips", cap=-1)


def test_no_weight_at_all_is_said() -> None:
    with pytest.raises(ValueError, match="never serves what was logged"):
        estimate(Terms(np.zeros(5), np.ones(5), None, None, np.arange(5)), "snips")

"""Rows that were kept with a known chance count 1 / chance: everywhere, as copies would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from offpolicy import (
    GuardrailSpec,
    LogError,
    LoggedDataset,
    StreamSpec,
    TargetScores,
    bootstrap,
    check_guardrails,
    check_log,
    cross_validate,
    diagnose,
    estimate_all,
    evaluate,
    fitted_q,
    logger_terms,
    marginal_terms,
    outcome_distribution,
    predict_rewards,
    read_log,
    score_estimators,
    slate_terms,
    stream_estimates,
    terms,
    write_log,
)
from offpolicy.estimators.registry import ESTIMATORS, fitting
from tests.offpolicy.factories import sessions_log, target

DECISIONS = [n for n in fitting("one_step") if not ESTIMATORS[n].terms]


def counted(log: LoggedDataset, h: NDArray[np.int64]) -> tuple[LoggedDataset, LoggedDataset]:
    """The log with weights h (S,) of its sessions, and one that holds each session h times."""
    weighted = LoggedDataset.from_columns(
        **log.columns(), n_items=log.n_items, row_weight=h[log.sessions].astype(float)
    )
    user = {"user": log.session} if log.user is None else {}
    parts = [
        LoggedDataset.from_columns(**(log.columns() | user), n_items=log.n_items).take(
            (h >= k)[log.sessions]
        )
        for k in range(1, int(h.max()) + 1)
    ]
    return weighted, LoggedDataset.concat(parts)


def pairs(steps: int, seed: int = 0) -> tuple[LoggedDataset, LoggedDataset]:
    log = sessions_log(n=60, steps=steps, seed=seed)
    return counted(log, np.random.default_rng(seed + 1).integers(1, 5, 60))


def scored(log: LoggedDataset) -> TargetScores:
    p = np.where(log.slate[:, 0] == 1, 0.8, 0.2)
    return TargetScores(
        p, slates=np.tile(np.array([[[0], [1]]], np.int32), (len(log), 1, 1)),
        slate_weight=np.tile([0.2, 0.8], (len(log), 1)),
    )  # fmt: skip


def known(log: LoggedDataset) -> Any:
    """Predictions that belong to the rows, whatever else stands in the log."""
    from offpolicy import Predictions

    q = 0.3 + 0.4 * log.slate[:, 0] + 0.01 * log.step
    return Predictions(q, q * 0 + 0.6)


@pytest.mark.parametrize("horizon", ["one_step", "per_decision", "trajectory"])
def test_every_estimator_counts_rows_as_copies_would(horizon: Any) -> None:
    """Values and influence: copies of a session share its user, so that units are the same."""
    weighted, copied = pairs(steps=1 if horizon == "one_step" else 3)
    names = DECISIONS if horizon == "one_step" else fitting(horizon)
    got, want = (
        estimate_all(terms(log, scored(log), horizon=horizon, model=known(log)), names)
        for log in (weighted, copied)
    )
    for name in names:
        assert got[name].value == pytest.approx(want[name].value, rel=1e-9), name
        assert got[name].bias == pytest.approx(want[name].bias), name
        np.testing.assert_allclose(got[name].psi, want[name].psi, rtol=1e-7, atol=1e-9)


def test_reports_guardrails_and_diagnostics_agree_with_copies() -> None:
    weighted, copied = pairs(steps=1)
    got, want = (
        evaluate(x, scored(x), horizon="one_step", model=known(x)) for x in (weighted, copied)
    )
    assert got.baseline.value == pytest.approx(want.baseline.value)
    assert got.baseline.se == pytest.approx(want.baseline.se)
    for a, b in zip(got.lines, want.lines, strict=True):
        assert (a.uplift.value, a.uplift.se) == pytest.approx((b.uplift.value, b.uplift.se))
        width = b.uplift.high - b.uplift.low  # one row that counts three times may be missed whole
        assert a.uplift.low == pytest.approx(b.uplift.low, abs=0.2 * width)
        assert a.uplift.high == pytest.approx(b.uplift.high, abs=0.2 * width)
    for name in ("ess", "top_share", "support"):
        assert getattr(got.diagnostics, name) == pytest.approx(getattr(want.diagnostics, name))
    assert any("count by row_weight" in n for n in got.notes)
    rails = [
        check_guardrails(
            x, scored(x), [GuardrailSpec(name="g", values=x.reward**2)], horizon="one_step"
        )[0].interval
        for x in (weighted, copied)
    ]
    assert (rails[0].value, rails[0].se) == pytest.approx((rails[1].value, rails[1].se))


def test_models_are_fitted_to_the_traffic() -> None:
    """Next to no ridge penalty; that of items' own slopes is estimated, and differs a little."""
    weighted, copied = pairs(steps=3)
    first = np.unique(copied.user, return_index=True)[1]  # type: ignore[call-overload]
    for more in (
        {"ridge": 1e-9},
        {"estimator": LinearRegression()},
        {"ridge": 1e-9, "robust": True},
    ):
        horizon = "one_step" if "robust" in more else "per_decision"
        models = [
            predict_rewards(x, scored(x), horizon=horizon, **more) for x in (weighted, copied)
        ]
        np.testing.assert_allclose(
            models[0].q_logged[np.flatnonzero(weighted.step == 0)],
            models[1].q_logged[first], atol=1e-5 if "estimator" in more else 0.02,
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"KNeighborsRegressor.fit takes no sample_weight"):
        predict_rewards(
            weighted, scored(weighted), horizon="one_step", estimator=KNeighborsRegressor()
        )


def test_fitted_q_is_fitted_to_the_traffic() -> None:
    means = []
    for log in pairs(steps=2):
        x = np.column_stack([np.ones(len(log)), log.slate[:, 0], log.step])
        would = np.column_stack([np.ones(len(log)), np.full(len(log), 0.8), log.step])
        q = fitted_q(log, logged=lambda r, x=x: x[r], target=lambda r, y=would: y[r], ridge=1e-9)
        first = log.step == 0
        h = np.ones(len(log)) if log.row_weight is None else log.row_weight
        means.append(np.average(q.v_target[first], weights=h[first]))
    assert means[0] == pytest.approx(means[1], abs=0.02)


def test_slates_loggers_and_distributions() -> None:
    weighted, copied = pairs(steps=1)
    for make in (
        lambda x: slate_terms(x, scored(x), weighting="joint"),
        lambda x: logger_terms(named(x), scored(x), mode="naive"),
        lambda x: logger_terms(
            named(x), scored(x), mode="balanced", logger_propensity=by_logger(x)
        ),
    ):  # fmt: skip
        a, b = make(weighted), make(copied)
        name = "sips" if a.horizon == "slate" else "snips"
        assert estimate_all(a, [name])[name].value == pytest.approx(
            estimate_all(b, [name])[name].value
        )
    a, b = (
        outcome_distribution(terms(x, scored(x), horizon="one_step")) for x in (weighted, copied)
    )
    assert a.mean().value == pytest.approx(b.mean().value)
    assert a.cdf(0.5).value == pytest.approx(b.cdf(0.5).value)


def named(log: LoggedDataset) -> LoggedDataset:
    """Two policies take turns."""
    who = np.array(["even", "odd"])[log.unit % 2]
    return LoggedDataset.from_columns(**log.columns(), n_items=2, logger=who)


def by_logger(log: LoggedDataset) -> NDArray[np.float64]:
    """The other policy would have shown the slate with chance .4."""
    even = (log.unit % 2 == 0)[:, None]
    return np.where(even == np.array([True, False]), 0.5, 0.4)


def test_streams_read_the_column(tmp_path: Path) -> None:
    weighted, _ = pairs(steps=3)
    write_log(weighted, tmp_path / "log")
    assert read_log(tmp_path / "log").hash() == weighted.hash()
    table = pq.read_table(tmp_path / "log" / "part-00000.parquet")
    ready = {n: table.column(n) for n in ("session", "step", "reward", "propensity", "row_weight")}
    pq.write_table(
        pa.table(ready | {"target": scored(weighted).propensity}), tmp_path / "x.parquet"
    )
    for horizon, names in (("one_step", ("snips", "ips")), ("per_decision", ("pdis", "snpdis"))):
        spec = StreamSpec(horizon=horizon, estimators=names)
        _, lines = stream_estimates(tmp_path / "x.parquet", spec)
        t = terms(weighted, scored(weighted), horizon=horizon)  # type: ignore[arg-type]
        want = estimate_all(t, names)
        total, _ = stream_estimates(tmp_path / "x.parquet", spec)
        assert total.ess == pytest.approx(diagnose(t).ess)
        for line in lines:
            assert line.value.value == pytest.approx(want[line.estimator].value)
            bounds = bootstrap(t, [line.estimator], draws=300)[line.estimator]
            assert bounds.value == pytest.approx(line.value.value)


def test_a_column_called_weight_counts_only_where_it_is_asked_for(tmp_path: Path) -> None:
    n = 50
    rng = np.random.default_rng(0)
    table = {"session": np.arange(n), "reward": rng.random(n), "propensity": np.full(n, 0.5),
             "target": np.full(n, 0.5), "weight": rng.uniform(50, 90, n)}  # fmt: skip
    pq.write_table(pa.table(table), tmp_path / "kilograms.parquet")
    plain = StreamSpec(horizon="one_step", estimators=("ips",))
    _, (line,) = stream_estimates(tmp_path / "kilograms.parquet", plain)
    assert line.value.value == pytest.approx(table["reward"].mean())
    asked = StreamSpec(horizon="one_step", estimators=("ips",), columns={"weight": "weight"})
    _, (line,) = stream_estimates(tmp_path / "kilograms.parquet", asked)
    assert line.value.value == pytest.approx((table["weight"] * table["reward"]).mean())


def test_a_subsampled_log_speaks_of_the_traffic() -> None:
    """Three items that pay 5, 10 and 15 %; rows without a click are kept with chance .1."""
    rng = np.random.default_rng(0)
    paid, pe = np.array([0.05, 0.1, 0.15]), np.array([0.15, 0.15, 0.7])
    a = rng.integers(0, 3, 60_000)
    click = rng.random(len(a)) < paid[a]
    kept = click | (rng.random(len(a)) < 0.1)
    a, click = a[kept], click[kept]
    table = np.full((len(a), 3), 1 / 3)
    log = LoggedDataset.from_columns(
        session=np.arange(len(a)), step=np.zeros(len(a), int), slate=a, propensity=table[:, 0],
        reward=click * 1.0, n_items=3, row_weight=np.where(click, 1.0, 10.0),
        candidate_propensity=table,
    )  # fmt: skip
    report = evaluate(log, pe[a], horizon="one_step", model=None)
    line = report["snips"]
    h, w = np.where(click, 1.0, 10.0), 3 * pe[a]
    assert line.value.value == pytest.approx((h * w * click).sum() / (h * w).sum())
    assert line.value.low < pe @ paid < line.value.high
    assert line.uplift.low < pe @ paid - paid.mean() < line.uplift.high
    assert report.log_check is not None
    assert report.log_check.verdict == "PASS"
    bare = LoggedDataset.from_columns(
        **{k: v for k, v in log.columns().items() if k != "row_weight"}, n_items=3
    )
    assert check_log(bare).verdict != "PASS"  # the sample's own shares are not the logger's


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_weights_are_above_0(bad: float) -> None:
    with pytest.raises(LogError, match=r"row_weight\[1\] = .* is not above 0 and finite"):
        sessions_log(n=2, steps=1, row_weight=[1.0, bad])


def test_a_session_is_kept_as_a_whole() -> None:
    log = sessions_log(n=4, steps=3, row_weight=[1, 1, 2] * 4)
    assert terms(log, scored(log), horizon="one_step").row_weight is not None
    for call in (
        lambda: terms(log, scored(log), horizon="per_decision"),
        lambda: terms(log, scored(log), horizon="trajectory"),
    ):
        with pytest.raises(LogError, match=r"row_weight\[2\] = 2 differs from 1, that of"):
            call()


def test_what_cannot_count_rows_says_so() -> None:
    log, _ = pairs(steps=2)
    for call in (
        lambda: marginal_terms(log, scored(log), state=log.step),
        lambda: score_estimators(log, ["ips"]),
        lambda: logger_terms(named(log), scored(log), mode="weighted"),
    ):
        with pytest.raises(ValueError, match="cannot weigh rows that were kept"):
            call()


def test_row_weights_go_with_rows() -> None:
    log, _ = pairs(steps=2)
    part = log.take(log.sessions < 3)
    assert part.row_weight is not None
    assert log.row_weight is not None
    np.testing.assert_array_equal(part.row_weight, log.row_weight[:6])
    assert LoggedDataset.concat([log, log]).row_weight is not None
    with pytest.raises(LogError, match="do not both carry row_weight"):
        LoggedDataset.concat([log, sessions_log()])


@pytest.mark.parametrize("horizon", ["one_step", "per_decision", "trajectory"])
def test_the_default_validator_fits_the_estimand(horizon: Any) -> None:
    log = sessions_log(n=60)
    t = terms(log, target(log), horizon=horizon)
    names = [
        n for n in fitting(horizon) if not ESTIMATORS[n].needs_model and not ESTIMATORS[n].terms
    ]
    assert cross_validate(t, names[:2], splits=3).best in names

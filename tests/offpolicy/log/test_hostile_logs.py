"""Odd logs and odd orders: a number that holds, or a refusal that says what to mend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from offpolicy import (
    LogError,
    Outcome,
    TargetScores,
    Terms,
    bootstrap,
    check_log,
    confidence_sequence,
    cross_validate,
    estimate,
    evaluate,
    merge,
    opera,
    pas_if,
    read_log,
    simultaneous,
    terms,
)
from tests.offpolicy.factories import flat, log_of


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("slate", [2**33, 1, 2], r"slate\[0\] = 8589934592 does not fit int32"),
        ("slate", [2.0**33, 1, 2], r"slate\[0\] = 8589934592.0 does not fit int32"),
        ("step", [0, 0, 2**32], r"step\[2\] = 4294967296 does not fit int32"),
        ("session", np.array([1, 2**63, 3], np.uint64), r"session\[1\] .* does not fit int64"),
        ("session", ["a", None, "b"], r"session\[1\] is missing"),
        ("user", np.array(["a", "b", np.nan], object), r"user\[2\] is missing"),
        ("reward", [0, np.nan, 1], r"reward\[1\] = nan is not a finite number"),
        ("propensity", [0.5, np.nan, 0.5], r"propensity\[1\] = nan is outside"),
    ],
)
def test_ids_that_do_not_fit_and_missing_ones_are_refused(
    column: str, value: Any, said: str
) -> None:
    """Wrapped around, an id of 2 ** 33 would be item 0: a wrong number without a word."""
    with pytest.raises(LogError, match=said):
        log_of(3, **{column: value})


@pytest.mark.parametrize("horizon", ["one_step", "per_decision", "trajectory"])
def test_no_overlap_is_a_verdict_and_endless_weights_are_refused(horizon: Any) -> None:
    assert evaluate(log_of(), np.zeros(40), horizon=horizon).verdict.outcome is Outcome.UNDECIDED
    for tiny in (1e-300, 5e-324):
        with pytest.raises(ValueError, match="differ too much"):
            evaluate(log_of(propensity=np.full(40, tiny)), np.ones(40), horizon=horizon)
    long = {"session": np.repeat([0, 1], 400), "step": np.tile(np.arange(400), 2)}
    sure = log_of(800, **long, propensity=np.full(800, 0.1))
    if horizon != "one_step":
        with pytest.raises(ValueError, match="over too many steps"):
            evaluate(sure, np.ones(800), horizon=horizon)


def test_the_doctor_tells_of_a_vanishing_propensity() -> None:
    found = check_log(log_of(propensity=np.r_[5e-324, np.full(39, 0.25)]))
    assert found["mean weight, uniform target (T2)"].level.name == "FAIL"
    assert found["mean weight, uniform target (T2)"].row == 0


ORDERS: dict[str, tuple[Callable[[], object], str]] = {
    "gamma": (
        lambda: evaluate(log_of(), np.full(40, 0.2), horizon="per_decision", gamma=-1.0),
        r"gamma = -1.0 is outside \[0, 1\]",
    ),
    "settings of no estimator": (
        lambda: evaluate(
            log_of(), np.full(40, 0.2), horizon="one_step", hyper={"cliped_ips": {"cap": 3.0}}
        ),
        "settings for cliped_ips; there are ips",
    ),
    "short time": (lambda: check_log(log_of(), time=np.arange(3)), r"time has shape \(3,\)"),
    "time of nobody": (lambda: check_log(log_of(), time=np.full(40, np.nan)), r"time\[0\] = nan"),
    "short events": (lambda: check_log(log_of(), event_id=np.arange(3)), "event_id has shape"),
    "strange loggers": (
        lambda: check_log(log_of(logger=["a"] * 40), expected_shares={"b": 0.5, "c": 0.5}),
        "the log's loggers are a;",
    ),
    "no shards": (lambda: merge(), "nothing to merge"),
    "no estimates": (lambda: simultaneous({}), "no estimates"),
    "one unit": (lambda: confidence_sequence(estimate(flat(1), "ips")), "needs 2 independent"),
    "few units": (lambda: cross_validate(flat(3), ["ips", "snips"]), "3 units cannot be split"),
    "few rows": (lambda: pas_if(log_of(3), flat(3), ["ips"]), "3 rows cannot be split"),
    "few in a part": (lambda: pas_if(log_of(), flat(40), ["ips"]), "able to expect 10"),
    "no weights": (
        lambda: pas_if(
            log_of(),
            Terms(np.zeros(40), np.ones(40), None, None, np.arange(40)),
            ["ips"],
            share=0.5,
        ),
        "no part of the log looks like the target's",
    ),
    "no names": (lambda: pas_if(log_of(), flat(40), [], share=0.5), "needs the names"),
}


ONE_PLACE: dict[str, tuple[dict[str, Any], str]] = {
    "no number": ({"position_propensity": np.full((40, 1), np.nan)}, "does not multiply"),
    "another product": ({"position_propensity": np.full((40, 1), 0.9)}, "does not multiply"),
    "too many places": ({"position_propensity": np.full((40, 2), np.sqrt(0.2))}, "has 2 positions"),
    "no draws": ({"slates": np.zeros((40, 0, 1), int)}, "one draw at least"),
    "strange draws": ({"slates": np.full((40, 2, 1), -7)}, "holds item -7"),
    "wrapped draws": ({"slates": np.full((40, 2, 1), 2**33)}, "does not fit int32"),
    "half draws": ({"slates": np.full((40, 2, 1), 0.5)}, "is not a whole number"),
    "no shares": (
        {"slates": np.zeros((40, 2, 1), int), "slate_weight": np.full((40, 2), np.nan)},
        "sums to nan",
    ),
}


@pytest.mark.parametrize("case", ONE_PLACE)
def test_scores_that_contradict_themselves_are_refused(case: str) -> None:
    more, said = ONE_PLACE[case]
    with pytest.raises(LogError, match=said):
        evaluate(log_of(), TargetScores(np.full(40, 0.2), **more), horizon="one_step")


def test_holes_in_item_features_are_refused() -> None:
    scores = TargetScores(np.full(40, 0.2), slates=np.zeros((40, 1, 1), np.int32))
    holes = np.array([[1.0], [np.nan], [2.0], [3.0]])
    with pytest.raises(LogError, match=r"item_features\[1\] = \[nan\]"):
        evaluate(log_of(), scores, horizon="one_step", item_features=holes)


@pytest.mark.parametrize("order", ORDERS)
def test_orders_that_cannot_be_followed_say_why(order: str) -> None:
    call, said = ORDERS[order]
    with pytest.raises(ValueError, match=said):
        call()


def test_a_bootstrap_does_not_call_no_weight_zero() -> None:
    t = terms(log_of(), TargetScores(np.zeros(40)), horizon="one_step")
    nothing = bootstrap(t, ["ips"])["ips"]
    assert np.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (-np.inf, np.inf)
    with pytest.raises(LogError, match="no weight is left"):
        bootstrap(t, ["ips", "snips"])


def test_estimates_that_do_not_move_are_mixed_evenly() -> None:
    mixture, weight = opera([estimate(flat(5), "ips"), estimate(flat(5), "snips")])
    assert mixture.value == pytest.approx(1)
    np.testing.assert_allclose(weight, [0.5, 0.5])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"slate": [0.0, np.nan], "propensity": [0.5, 0.5], "reward": [1, 0]}, r"slate\[1\] = nan"),
        ({"slate": [], "propensity": [], "reward": []}, "the log has no rows"),
        ({"slate": [0, 1], "propensity": 0.5, "reward": [1, 0]}, "propensity is one value"),
    ],
)
def test_foreign_tables_with_holes_are_refused(table: dict[str, Any], said: str) -> None:
    with pytest.raises(LogError, match=said):
        read_log(table)
    if isinstance(table["propensity"], list):
        with pytest.raises(LogError, match=said):
            read_log(pd.DataFrame(table))


@pytest.mark.parametrize("maker", ["polars", "duckdb"])
def test_polars_frames_and_duckdb_relations_are_logs(maker: str) -> None:
    library = pytest.importorskip(maker)
    frame = pd.DataFrame(
        {"sid": ["a", "a", "b"], "step": [0, 1, 0], "it": [0, 3, 2], "p": [0.5, 0.25, 1.0],
         "pay": [1.0, 0.0, 2.0], "x": [[1.0, 2.0]] * 3}
    )  # fmt: skip
    source = library.from_pandas(frame) if maker == "polars" else library.from_df(frame)
    names = {"session": "sid", "slate": "it", "propensity": "p", "reward": "pay", "context": "x"}
    log = read_log(source, columns=names, n_items=4)
    assert log.hash() == read_log({k: list(v) for k, v in frame.items()}, columns=names).hash()

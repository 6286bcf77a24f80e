"""Pictures say what the numbers say, and travel inside the page."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from experiments.benchmark.faults import clean
from offpolicy import LoggedDataset, evaluate, terms
from offpolicy.pictures import (
    error_against_size,
    forest,
    per_day,
    png,
    reliability,
    weight_histogram,
)
from tests.offpolicy.factories import sessions_log, target


def test_a_forest_has_a_line_an_estimator_at_its_bounds() -> None:
    log = sessions_log(200)
    report = evaluate(log, target(log), horizon="one_step")
    axes = forest(report, truth=0.62).axes[0]
    assert next(iter(axes.get_yticklabels())).get_text() == "ips"
    drawn = axes.lines[0].get_xdata()
    assert list(drawn) == [report.lines[0].value.low, report.lines[0].value.high]
    assert "one_step" in axes.get_xlabel()


def test_weights_days_reliability_and_errors_are_drawn() -> None:
    log = sessions_log(200)
    t = terms(log, target(log), horizon="one_step")
    assert "largest is 1.6" in weight_histogram(t).axes[0].get_title()
    days = per_day(log, np.arange(len(log)) * 3600.0)
    w = clean(0, 3000)
    full = LoggedDataset.from_columns(
        session=np.arange(3000), step=np.zeros(3000), slate=w.action, propensity=w.propensity,
        reward=w.click, n_items=20, candidate_propensity=w.table,
    )  # fmt: skip
    errors = error_against_size([10, 100], {"ips": np.array([1.0, 0.3])})
    for figure in (days, reliability(full), errors):
        pixels = imread(BytesIO(png(figure, dpi=50)))
        for found, size in zip(pixels.shape, figure.get_size_inches()[::-1] * 50, strict=False):
            assert found in (round(size), int(size)), "Matplotlib before 3.11 cuts it off"
        assert (pixels[..., :3] < 0.9).any(), "an empty picture"
    with pytest.raises(ValueError, match="needs candidate_propensity"):
        reliability(log)


def test_reliability_points_stand_on_the_diagonal_of_a_clean_log() -> None:
    w = clean(0, 20_000)
    full = LoggedDataset.from_columns(
        session=np.arange(20_000), step=np.zeros(20_000), slate=w.action, propensity=w.propensity,
        reward=w.click, n_items=20, candidate_propensity=w.table,
    )  # fmt: skip
    logged, shown = reliability(full).axes[0].lines[0].get_data()
    np.testing.assert_allclose(shown, logged, rtol=0.25)


def test_the_html_report_carries_its_forest() -> None:
    log = sessions_log(100)
    report = evaluate(log, target(log), horizon="one_step")
    picture = report.to_html(pictures=True).split("<svg")[1].split("</svg>")[0]
    assert all(f">{line.estimator}</text>" in picture for line in report.lines)
    assert "<svg" not in report.to_html()

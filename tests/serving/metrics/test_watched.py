"""What the process that watches the log exposes."""

from __future__ import annotations

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.metrics.estimates import Estimate
from serving.metrics.signals import MEASURES, SIGNALS, TABLE
from serving.metrics.signals import READINGS as READ
from serving.metrics.slis import indicators, measure_of
from serving.metrics.text.watched import watched_slis, watched_text

READINGS = {
    ("longplay_session_reward", "control"): Estimate(3.0, 900, 2.9, 3.1),
    ("longplay_session_reward", "canary"): Estimate(2.0, 100, 1.5, 2.5),
    ("longplay_uplift", "reward"): Estimate(-0.5, 1000, -0.9, -0.1),
    ("longplay_uplift", "returns"): Estimate(0.0, 1000, -math.inf, math.inf),
    ("longplay_bots_share", ""): None,
    ("longplay_sample_ratio_p", ""): 0.0004,
    ("longplay_rollout_phase", "canary"): 1,
}
VERSIONS = {"control": "v1", "canary": "v2"}


def test_readings_become_series_with_arm_and_version() -> None:
    text = watched_text(READINGS, VERSIONS).decode()
    found = {
        (sample.name, *sorted(value for value in sample.labels.values() if value)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["longplay_session_reward", "control", "v1"] == 3.0
    assert found["longplay_session_reward", "canary", "v2"] == 2.0
    assert found["longplay_uplift", "reward", "v2"] == -0.5
    assert found["longplay_rollout_phase", "canary", "v2"] == 1
    assert found["longplay_indicator_missed", "reward", "uplift", "v2"] == 1
    assert found["longplay_indicator_high", "reward", "uplift", "v2"] == -0.1
    assert found["longplay_indicator_missed", "returns", "uplift", "v2"] == 0
    assert ("longplay_indicator_high", "returns", "uplift", "v2") not in found  # no bound
    assert found["longplay_indicator_missed", "sample_ratio", "v2"] == 1
    assert not any(name == "longplay_bots_share" for name, *_ in found)


def test_a_missing_reading_is_no_data_and_no_good_news() -> None:
    slis = watched_slis(READINGS)
    assert slis["uplift/reward"]["verdict"] == "missed"
    assert slis["uplift/returns"]["verdict"] == "unsure"
    assert (slis["bots"]["value"], slis["bots"]["verdict"]) == (None, None)
    assert "drift" not in slis
    assert slis["sample_ratio"]["measure"] == "M13"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (("longplay_uplifting", "reward"), "'longplay_uplifting'"),
        (("longplay_uplift", ""), "a value of the label 'metric'"),
        (("longplay_bots_share", "canary"), "no label"),
    ],
)
def test_a_reading_that_is_not_in_the_table_is_an_error(key: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        watched_text({key: 1.0}, VERSIONS)


def test_every_measure_is_watched_and_says_what_to_do() -> None:
    """M1 to M15 each have a signal and an alert; names are unique; whoever is told is told what
    to do."""
    every = [(measure_of(signal, sli), sli) for signal, sli in indicators(TABLE)]
    assert {measure for measure, sli in every if sli.alert is not None} == MEASURES.keys()
    assert {signal.measure for signal in TABLE} - {""} == MEASURES.keys()
    assert len({sli.name for _, sli in every}) == len(every)
    assert len({signal.name for signal in TABLE}) == len(SIGNALS) + len(READ)
    for _, sli in every:
        alert = sli.alert
        assert sli.severity in ("page", "ticket", "none")
        if alert is not None:
            assert alert.act.endswith("."), sli.name
            assert (alert.judged in ("burn", "bound")) == (sli.target is not None), sli.name
            assert (alert.factor > 1) == (alert.judged == "rose"), sli.name
            assert (alert.factor < 1) == (alert.judged == "fell"), sli.name

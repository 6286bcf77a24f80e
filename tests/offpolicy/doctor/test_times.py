"""Times are read as they are written: one instant is one number of seconds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from offpolicy import LogError, check_log
from offpolicy.doctor.times import seconds
from tests.offpolicy.factories import log_of

STAMPS = pd.to_datetime(["2023-03-01 00:00:20", "2023-03-02 12:00:00.5"], format="ISO8601")
SECONDS = np.array([1677628820.0, 1677758400.5])


@pytest.mark.parametrize(
    "time",
    [
        SECONDS, SECONDS.tolist(), STAMPS, STAMPS.to_numpy(), STAMPS.to_numpy().astype("M8[ms]"),
        STAMPS.tz_localize("UTC"), pd.Series(STAMPS.tz_localize("UTC")), pd.Series(STAMPS),
        pd.Series(STAMPS.tz_localize("UTC").tz_convert("Asia/Tokyo")),
        STAMPS.tz_localize("UTC").tz_convert("Europe/Oslo"),
        STAMPS.tz_localize("UTC").astype(object), STAMPS.to_pydatetime(),
        [datetime(2023, 3, 1, 0, 0, 20, tzinfo=UTC),
         datetime(2023, 3, 2, 14, 0, 0, 500_000, tzinfo=timezone(timedelta(hours=2)))],
        ["2023-03-01T00:00:20Z", "2023-03-02T12:00:00.5+00:00"],
        ["2023-03-01 00:00:20", "2023-03-02 12:00:00.500000"],
        pd.Series(["2023-03-01T00:00:20Z", "2023-03-02T21:00:00.5+09:00"]),
    ],
    ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')}",
)  # fmt: skip
def test_one_instant_is_one_number(time: object) -> None:
    np.testing.assert_allclose(seconds(time), SECONDS, atol=1e-6, rtol=0)  # type: ignore[arg-type]


def test_dates_are_midnights() -> None:
    days = seconds(np.array([date(2023, 3, 1), date(2023, 3, 3)], object))
    assert np.diff(days).tolist() == [2 * 86_400.0]


@pytest.mark.parametrize(
    ("time", "says"),
    [
        (SECONDS * 1e3, "milliseconds. Divide time by 1000"),
        (SECONDS * 1e6, r"microseconds. Divide time by 1e\+06"),
        (SECONDS * 1e9, r"nanoseconds. Divide time by 1e\+09"),
        (np.linspace(0, 4 * 86_400e3, 50), "time spans 3600 days as seconds"),
        (np.array(["NaT", "2023-03-01"], "M8[s]"), r"time\[0\] is missing"),
        (np.array([None, datetime(2023, 3, 1)], object), r"time\[0\] is missing"),
        ([datetime(2023, 3, 1), datetime(2023, 3, 1, tzinfo=UTC)], "naive times and times with"),
        (["2023-03-01", "yesterday"], r"time\[1\] = 'yesterday' is no time"),
    ],
)
def test_what_is_no_time_is_refused_by_name(time: object, says: str) -> None:
    with pytest.raises(LogError, match=says):
        seconds(time)  # type: ignore[arg-type]


def test_years_of_seconds_since_1970_are_times() -> None:
    assert seconds(np.array([8e8, 1.7e9]))[1] == 1.7e9


def test_a_zone_does_not_blind_the_checks_per_day() -> None:
    rng = np.random.default_rng(0)
    n = 4000
    t = np.sort(rng.uniform(0, 4 * 86_400, n))
    log = log_of(n, reward=(rng.random(n) < np.where(t < 2 * 86_400, 0.1, 0.4)).astype(float))
    stamps = pd.Series(pd.Timestamp("2023-03-01") + pd.to_timedelta(t, unit="s"))
    finding = check_log(log, time=stamps.dt.tz_localize("Asia/Tokyo"))["value per day"]
    assert finding.level.name == "WARN"
    assert "over 4 days" in finding.found

"""The drift scenario end to end in small, on a drift that is large by construction: all users share
most of their interests, and few items are on offer; the first policy knows no user, and serves what
was rated well before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.common.run_folder import RunFolder
from experiments.common.worlds import EnvFactory, make_env
from experiments.live import afterwards, lines
from experiments.live.settings import Settings

SMALL = Settings(
    scenario="drift", users=500, daily=1.0, days=8, event_day=2, max_steps=4, slate_size=1,
    n_candidates=8, history_length=4, first="top_rated", first_temperature=0.5,
    new_sessions=100_000, after_drift=1200, learner_set=("temperature=0.3",), min_ess=20,
    shadow_decisions=40, look_hours=3, last_stage_days=0.5, seed=5, direction=5,
)  # fmt: skip
Record = dict[str, Any]


def few_items(settings: Settings) -> EnvFactory:
    def make(n: int, **more: Any) -> Any:
        s = settings
        return make_env(
            s.env, n, n_items=12, slate_size=s.slate_size, n_candidates=s.n_candidates,
            history_length=s.history_length, max_steps=s.max_steps, **more,
        )  # fmt: skip

    return EnvFactory("few items", make, None)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Record], Record]]:
    """The loop's days, and what they were worth against a policy that was taught afterwards."""
    folder: Path = tmp_path_factory.mktemp("drift")
    with pytest.MonkeyPatch.context() as patch:
        for module in (lines, afterwards):
            patch.setattr(module, "world_of", few_items)
        patch.setattr(lines, "SHARED", 2.0)
        patch.setattr(afterwards, "TRUTH_DAYS", 1)
        for line in ("loop", "never"):
            lines.play(SMALL, folder, line)  # type: ignore[arg-type]
        run = RunFolder(folder)
        yield lines.records(SMALL, run, "loop"), afterwards.compare(SMALL, run)


def test_a_drift_is_seen_learnt_from_rolled_out_and_recovered_from(
    played: tuple[list[Record], Record],
) -> None:
    days, after = played
    event = SMALL.event
    assert not any(day["alarm"] for day in days[:event])
    assert days[event]["high"] < days[event - 1]["low"]
    assert after["alarm_days"] == 1
    assert after["taught_days"] == 3
    taught = next(day["learnt"] for day in days if day["learnt"])
    assert (taught["trigger"], taught["since_day"]) == ("drift", event)
    steps = [step for day in days for step in day["steps"]]
    assert [s["weight"] for s in steps if "weigh" in s["actions"]] == [0.1, 0.5]
    assert [s["version"] for s in steps if "promote" in s["actions"]] == [taught["version"]]
    assert 3.5 < after["promoted_days"] < SMALL.n_days - event
    assert days[-1]["live"] == taught["version"] == after["final"]
    assert days[-1]["low"] > days[event]["high"]


def test_the_value_comes_back(played: tuple[list[Record], Record]) -> None:
    after = played[1]
    assert after["learnt_from"] == sum(day["sessions"] for day in played[0][SMALL.event :])
    assert after["before_of_comparator"]["high"] < 0.9
    assert after["loop_of_comparator"]["value"] >= 0.95
    assert after["loop_of_comparator_elsewhere"]["value"] >= 0.95

"""Described sessions: numbers as they are, sections that are whole, equal bytes for equal logs."""

from __future__ import annotations

import json
import math

import numpy as np

from experiments.common.run_folder import plain
from experiments.page.along import describe, difference_of, is_whole, reach
from experiments.page.beside import example_sections
from experiments.page.sections import reach_section, sessions_sections, spread
from offpolicy import LoggedDataset, TargetScores
from offpolicy.page import html as page
from offpolicy.page.colours import colours
from tests.experiments.page.checks import faults, rows_of
from tests.offpolicy.factories import sessions_log

BASE = "logging policy"


def cohorts_log(better: float = 0.0) -> LoggedDataset:
    """40 sessions of 3 decisions; users of cohort 1 bring 1 more at each, all bring `better`."""
    log = sessions_log(40)
    cohort = np.repeat(np.arange(40) % 2, 3)
    return sessions_log(
        40, reward=log.reward + cohort + better, context=cohort[:, None].astype(np.float32)
    )


def test_what_is_written_is_what_the_log_holds() -> None:
    log = cohorts_log()
    one = json.loads(json.dumps(plain(describe(log, level=0.95, user_names=["cohort"]))))
    assert (one["sessions"], one["decisions"]) == (40, 120)
    assert math.isclose(one["mean"]["value"], log.session_rewards().mean())
    assert math.isclose(sum(one["reward"]["value"]), log.session_rewards().mean())
    other, more = one["segments"]["cohort"]
    assert (other["name"], other["sessions"]) == ("0", 20)
    assert math.isclose(more["value"], log.session_rewards()[1::2].mean())
    gains = describe(cohorts_log(0.5), level=0.95, base=log.session_rewards())["segments"]
    assert all(math.isclose(s["value"], 1.5) for s in gains["context.0"])
    gap = difference_of(describe(cohorts_log(0.5), level=0.95), one, level=0.95)
    assert gap is not None
    assert math.isclose(gap.staying.value, 0, abs_tol=1e-9)
    assert math.isclose(gap.reward.value, 1.5)
    assert math.isclose(gap.reward.low, gap.reward.high), "the same users: their noise cancels"
    older = {name: value for name, value in one.items() if name != "without"}
    assert difference_of(one, older, level=0.95) is None


def test_bounds_that_are_open_say_so_on_their_side() -> None:
    read = {"value": 1.0, "low": None, "high": None}  # as JSON has it
    assert spread(read) == spread({"value": 1.0, "low": -np.inf, "high": np.inf})
    assert spread(read) == "1.00 [-∞, ∞]"
    assert spread({"value": math.nan, "low": -math.inf, "high": math.inf}) == "-"
    assert spread({"value": 1.0, "low": 0.5, "high": 2.0}, sign="+") == "+1.00 [+0.50, +2.00]"


def test_sections_are_whole_and_equal_logs_give_equal_bytes() -> None:
    names = [BASE, "mine & yours"]
    shades = colours(names)

    def drawn() -> str:
        logs = dict(zip(names, (cohorts_log(), cohorts_log(0.5)), strict=True))
        told = {name: describe(log, level=0.95, examples=[0, 1, 2]) for name, log in logs.items()}
        reaches = {
            names[1]: reach(logs[BASE], TargetScores(logs[BASE].propensity), level=0.95),
            "never": reach(logs[BASE], TargetScores(np.zeros(120)), level=0.95),
        }
        parts = [*sessions_sections(told, shades, level=0.95), *example_sections(told, shades)]
        parts += reach_section(reaches, shades | {"never": "var(--p3)"}, "reward")
        return page.page("All", "of it", parts)

    text = drawn()
    assert faults(text) == []
    assert text == drawn()
    assert text.count("<figure>") == 8
    (head, *rows) = rows_of(text, "policy")
    assert head == ["policy", "difference", "because users stay", "because of reward while there"]
    whole = "+1.50 [+1.50, +1.50]"
    assert rows == [["mine &amp; yours", whole, "+0.00 [+0.00, +0.00]", whole]]
    assert text.count('class="slate"') == 2 * 3 * 3, "3 users under 2 policies, 3 decisions each"


def test_logs_without_whole_sessions_are_known() -> None:
    log = sessions_log(5)
    assert is_whole(log)
    assert not is_whole(log.take(log.step != 1))
    assert not is_whole(log.take(log.step == 0)), "single decisions have no curve"

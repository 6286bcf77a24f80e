"""What `longplay train-policy` says: a line a round, and the page of a finished run."""

from __future__ import annotations

import json
from typing import Any

from experiments.common.run_folder import RunFolder
from experiments.page.along import settings_facts
from experiments.page.beside import example_sections
from experiments.page.sections import sessions_sections
from experiments.train.learning import Row, Standing
from experiments.train.policy_settings import Settings
from offpolicy.page import charts
from offpolicy.page import html as page
from offpolicy.page.colours import colours

UNIFORM = "uniform slates"


def write_report(
    run: RunFolder, settings: Settings, standing: Standing, tested: dict[str, Any]
) -> str:
    """report.html and report.json in the run folder; the sentence that sums them up."""
    s = settings
    value, gain = tested["value"], tested["gain"]
    summary = (
        f"{s.policy} in {s.env}: {interval(value)} a session over {s.test_sessions:,} sessions of "
        f"other users, {interval(gain, sign='+')} more than uniform slates on the same "
        f"users; best of {len(standing.rows)} points, after "
        f"{standing.rows[standing.best]['decisions']:,.0f} decisions; "
        f"{tested['coverage']:.0%} of the catalogue shown"
    )
    kept = {name: value for name, value in tested.items() if name != "along"}
    run.write_json("report.json", {"said": summary, "best": standing.best, "test": kept})
    settings_record = run.read_json("settings.json")
    run.write_text("report.html", policy_page(s, standing, tested, settings_record))
    return summary


def policy_page(
    s: Settings, standing: Standing, tested: dict[str, Any], record: dict[str, Any]
) -> str:
    """What was learnt and what it is worth, on users that chose nothing."""
    shades, gain = colours([UNIFORM, s.policy]), tested["gain"]
    said = f"{interval(gain, '+')} a session against {UNIFORM} on the same users"
    if gain["low"] > 0:
        outcome, first = "pass", f"{s.policy} is better than {UNIFORM}: {said}."
    elif gain["high"] < 0:
        outcome, first = "fail", f"{s.policy} is worse than {UNIFORM}: {said}."
    else:
        outcome, first = "cannot tell", f"Not shown to be better than {UNIFORM}: {said}."
    best = standing.rows[standing.best]
    more = [
        f"It earns {interval(tested['value'])} a session; {UNIFORM} earn "
        f"{interval(tested['uniform'])}.",
        f"best/ holds the policy of the best of {len(standing.rows)} points, after "
        f"{best['decisions']:,.0f} decisions: longplay compare --policies label=FOLDER/best sets "
        "it beside others, policies.load reads it.",
    ]
    rows = standing.rows
    series = charts.Series(
        s.policy,
        [row["decisions"] / 1000 for row in rows],
        *([row[k] for row in rows] for k in ("value", "low", "high")),
    )
    curve = charts.curves(
        [series], shades, x_title="decisions learned from, thousands",
        y_title="reward a session",
        caption=f"Return of a session on the same {s.sessions:,} held-out users at each point.",
    )  # fmt: skip
    note = (
        "The best of several points flatters itself on the held-out users; the test users above "
        "chose nothing."
    )
    facts = (
        f"values: reward a session, [ ]: {s.level:.0%} intervals",
        f"{s.test_sessions:,} test sessions",
        f"{tested['coverage']:.0%} of the catalogue shown",
        settings_facts(record.get("made", {})),
    )
    along = tested.get("along", {})
    parts = [
        page.answer(outcome, first, more),
        page.facts(*facts),
        page.section("Learning curve", curve, page.paragraph(note)),
        *(sessions_sections(along, shades, level=s.level) if along else []),
        *example_sections(along, shades),
        page.section("Rounds", page.details("Every point", page.table([cells(r) for r in rows]))),
        page.fold("Settings and versions", json.dumps(record, indent=2)),
    ]
    return page.page(f"{s.policy} in {s.env}", "Trained, and tested on other users.", parts)


def interval(value: dict[str, float], sign: str = "") -> str:
    """A mean and its interval."""
    return f"{value['value']:{sign}.2f} [{value['low']:{sign}.2f}, {value['high']:{sign}.2f}]"


def line(row: Row, standing: Standing) -> str:
    """One round as a line of text."""
    star = " (best)" if standing.best == row["round"] else ""
    return (
        f"round {row['round']:>3.0f}, {row['decisions']:>11,.0f} decisions: "
        f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}], "
        f"{row['gain']:+.2f} [{row['gain_low']:+.2f}, {row['gain_high']:+.2f}] "
        f"against uniform{star}"
    )


def cells(row: Row) -> dict[str, str]:
    """One round as cells of a table."""
    return {name: f"{value:,.4g}" for name, value in row.items()}

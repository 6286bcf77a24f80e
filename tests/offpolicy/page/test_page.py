"""Elements of pages: safe text, colours that stay, charts that say what the numbers say."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from offpolicy import check_log, evaluate, judge
from offpolicy.drift.report import drift
from offpolicy.page import axes, charts, html
from offpolicy.page.colours import DARK, LIGHT, colours, hex_colours, places
from offpolicy.page.glossary import TERMS, marked
from tests.experiments.page.checks import faults, rows_of
from tests.offpolicy.factories import sessions_log, target

GLOSSARY = Path(__file__).resolve().parents[3] / "docs" / "glossary.md"


def test_a_policy_keeps_its_colour_whoever_stands_beside_it() -> None:
    names = ["uniform", "linucb", "PPO", "one-step"]
    alone = places(["linucb"])["linucb"]
    assert places(["linucb", *names])["linucb"] == alone
    assert len(set(places(names).values())) == len(names)
    assert colours(["logging policy", "linucb"])["logging policy"] == "var(--ink)"
    assert hex_colours(["linucb"]) == {"linucb": LIGHT[alone]}
    many = [f"policy {k}" for k in range(30)]
    assert len(set(places(many[: len(LIGHT)]).values())) == len(LIGHT) == len(DARK)
    assert set(places(many).values()) == set(range(len(LIGHT)))


def contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast ratio of two colours."""

    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("palette", "ground"), [(LIGHT, "#ffffff"), (DARK, "#14181d")])
def test_curves_stand_out_from_the_page(palette: tuple[str, ...], ground: str) -> None:
    assert min(contrast(colour, ground) for colour in palette) >= 2.9


def test_hover_texts_are_the_glossarys() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", GLOSSARY.read_text("utf-8"), flags=re.M)
    known = {word: meaning.replace("`", "") for word, meaning in rows}
    assert {word: known.get(word) for word in TERMS} == TERMS


def test_words_are_explained_once_and_text_is_escaped() -> None:
    text = marked("An uplift < 1: the uplift of a <b>target policy</b>")
    assert text.count("<abbr") == 2
    assert text.startswith('An <abbr title="value of the target less')
    assert "&lt; 1" in text
    assert "&lt;b&gt;" in text
    assert "<abbr" not in marked("uplifted updates")


def test_cells_are_escaped_coloured_and_greyed() -> None:
    rows = [{"policy": "<i>", "verdict": "pass"}, {"policy": "b", "verdict": "cannot tell"}]
    text = html.table(rows, colours={"<i>": "var(--p1)"}, grey=[1])
    assert "<i>" not in text
    assert 'style="background:var(--p1)"' in text
    assert '<span class="badge pass">pass</span>' in text
    assert '<tr class="grey"><td>b</td>' in text
    assert html.table([]) == "<p>(no rows)</p>"
    named = html.table([{"policy": "better", "reason": "passable", "verdict": "pass (near)"}])
    assert named.count("badge") == 1, "neither a name nor a word that begins so is a verdict"


def test_ticks_are_round_and_inside() -> None:
    assert axes.ticks(0.0, 10.0, 5) == [0, 2, 4, 6, 8, 10]
    assert axes.ticks(27.1, 29.4, 4) == [28, 29]
    assert axes.label(0.30000000000000004, 0.1) == "0.3"
    assert axes.label(2000.0, 500.0) == "2,000"
    assert axes.label(-0.0, 1.0) == "0"


def test_a_curve_runs_through_its_points() -> None:
    s = charts.Series("a", [0, 1, 2], [0.0, float("nan"), 4.0], [0, 0, 3.0], [1.0, 9, 5.0])
    text = charts.curves([s], {"a": "red"}, x_title="x", y_title="y", caption="C", zero=True)
    assert faults(text) == []
    wide = text.split("<polyline")[1].split('"')[1]
    (x0, y0), (x2, y2) = (map(float, p.split(",")) for p in wide.split())
    assert (x0, x2) == (52, 710)
    assert y0 > y2, "up is more"
    assert text.count("<svg") == 2
    assert text.count('aria-label="C"') == 2


def test_an_untrusted_value_is_not_drawn_but_its_truth_is() -> None:
    rows = [
        charts.Row("a", 1.0, 0.5, 1.5, second=(1.2, 1.1, 1.3)),
        charts.Row("b", 9.0, -900.0, 900.0, second=(1.4, 1.3, 1.5), drawn=False),
    ]
    text = charts.intervals(rows, {"a": "red", "b": "blue"}, x_title="x", caption="C")
    wide = text.split("</svg>")[0]
    assert wide.count("<circle") == 1
    assert wide.count("<polygon") == 2
    assert "blue" not in text


def test_a_report_reads_at_a_glance() -> None:
    log = sessions_log(2000)
    report = evaluate(log, target(log, 0.7), horizon="per_decision")
    lines = str(report).splitlines()
    assert lines[0].startswith("PASS (")
    assert len(lines) < 12
    assert repr(report).startswith("Report('pass', per_decision, ")
    assert len(repr(report)) < 200
    text = report._repr_html_()
    assert faults(text) == []
    assert text.startswith('<div class="longplay">')
    rows = rows_of(text, "estimator")
    assert [row[0] for row in rows[1:]] == [x.estimator for x in report.lines] + ["logging policy"]
    assert "warning" not in text.split("</style>")[1]


def test_estimates_without_overlap_are_grey_under_a_warning() -> None:
    log = sessions_log(60)
    report = evaluate(log, target(log, 0.99), horizon="per_decision")
    assert not report.trusted
    assert "Do not rely on these estimates" in str(report)
    text = report.to_html(pictures=True).split("<main")[1]
    assert faults(f"<main{text}".replace("</body></html>", "")) == []
    assert text.index("Do not rely") < text.index('class="grey"')
    assert "What would settle it" in text


def test_the_doctors_and_the_drift_report_show_in_a_notebook() -> None:
    log = sessions_log(300)
    broken = sessions_log(300, consumed=1 - log.slate[:, 0])
    check = check_log(broken)
    text = check._repr_html_()
    assert faults(text) == []
    assert text.count("<tr>") == 1 + len(check.findings)
    assert 'class="answer fail"' in text
    assert all(f.found.split("<")[0] in text for f in check.troubles)
    moved = drift(log, sessions_log(300, seed=1, reward=log.reward + 9))
    assert faults(moved._repr_html_()) == []
    assert "What to do" in moved._repr_html_()


def test_the_gates_report_shows_every_candidate_and_its_verdict() -> None:
    log = sessions_log(2000)
    report = judge(log, {"near": target(log, 0.7), "far": target(log, 1.0)}, horizon="per_decision")
    text = report._repr_html_()
    assert faults(text) == []
    (_, *rows) = rows_of(text, "candidate")
    assert [row[:2] for row in rows] == [
        [c.name, c.verdict.outcome.value] for c in report.candidates
    ]
    assert all("[" in row[2] or row[2] == "-" for row in rows)
    assert str(report).count("near") == 2
    assert repr(report) == "GateReport(near: pass, far: cannot tell; per_decision)"


def test_numbers_that_are_none_or_without_measure_are_drawn_as_what_is_known() -> None:
    nan, inf = math.nan, math.inf
    rows = [charts.Row("none", nan, nan, nan), charts.Row("open", 1, nan, 2, second=(nan, 0, 1))]
    rows.append(charts.Row("known", 1.5, 1, 2, second=(1, nan, inf)))
    bands = charts.Series("curve", [1, 2, 3], [1, 2, nan], [nan, -inf, 0], [nan, inf, 1])
    axis: dict[str, str] = {"x_title": "x", "caption": "c"}
    drawn = charts.intervals(rows, {}, reference=nan, **axis)
    drawn += charts.curves([bands], {"curve": "red"}, y_title="y", **axis)
    drawn += charts.boxes([charts.Box("none", (nan,) * 5, nan)], {}, **axis)
    assert "nan" not in drawn
    assert drawn.count(">none</text>") == 4, "its name, wide and narrow, in both pictures"
    for size in (1.7e308, 5e-324):
        row = charts.Row("sized", size, -size, size)
        box = charts.Box("sized", (-size, 0, 0, 0, size), size)
        text = charts.intervals([row], {}, **axis) + charts.boxes([box], {}, **axis)
        assert max(map(len, re.findall(r">([^<]*)</text>", text))) < 12

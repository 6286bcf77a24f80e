"""The comparison as a page: what to ship, what it earns, or what to do next; then the evidence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.compare.regret import NO_BOUND, regret
from experiments.page.along import Described, settings_facts
from experiments.page.beside import example_sections
from experiments.page.sections import BASE, reach_section, sessions_sections, spread
from offpolicy.page import charts
from offpolicy.page import html as page
from offpolicy.page.colours import colours

Row = Mapping[str, Any]
TITLE = "Which policy to ship"
UNIT = "reward"


def compare_page(
    world: str,
    level: float,
    base: Row,
    results: Sequence[Row],
    settings: Row,
    *,
    estimand: str,
    thin: int,
    oracle: Row | None = None,
) -> str:
    """The whole document. results: the stages' records, in the order of the table; thin: effective
    sessions below which no estimate is shown."""
    rows = [r["row"] for r in results]
    shades = colours([BASE, *(row["policy"] for row in rows)])
    lead = f"{len(rows)} policies in {world}, judged from a log and then run in the world."
    parts = [
        answer(rows, thin),
        page.facts(*facts(base, rows, settings, level)),
        table_section(base, results, shades, level, thin, oracle),
        estimates_section(rows, shades, level, thin),
        *learning_section(results, shades),
        *along_sections(base, results, shades, level),
        *reach_section({r["policy"]: r["reach"] for r in rows if r.get("reach")}, shades, UNIT),
        page.section("Every estimator", *(estimator_table(row, thin) for row in rows)),
        page.section("What the numbers are", page.paragraph(estimand)),
        page.fold("Settings and versions", json.dumps(settings, indent=2)),
    ]
    return page.page(TITLE, lead, parts)


def answer(rows: Sequence[Row], thin: int) -> str:
    """The policy to ship and what it earns; without one, what would settle it."""
    passed = [row for row in rows if row["verdict"] == "pass"]
    open_rows = [row for row in rows if row["verdict"] == "cannot tell"]
    best = max(rows, key=lambda row: row["truth"]["value"])
    said, outcome = [], "pass"
    if passed:
        ship = max(passed, key=lambda row: row["uplift"]["low"])
        first = (
            f"Ship {ship['policy']}: by the log it earns {spread(ship['estimate'])} {UNIT} a "
            f"session, {spread(ship['uplift'], sign='+')} more than the {BASE}."
        )
        said.append(
            f"Run in the world it earned {spread(ship['truth'])}, "
            f"{spread(ship['true_uplift'], sign='+')} more: the verdict is {ship['right']}."
        )
    else:
        outcome = "cannot tell" if open_rows else "fail"
        first = (
            f"Ship none of these yet: the log vouches for no policy of {len(rows)}."
            if open_rows
            else f"Keep the {BASE}: the log shows that none of these policies earns more."
        )
    said.append(judge_sentence(rows))
    plan = list[str]()
    if best["verdict"] == "cannot tell":
        said.append(
            f"{best['policy']} earned most in the world, {spread(best['truth'])}, but the log "
            f"cannot tell: {ess(best)} effective sessions speak about it"
            + (f", and {thin} are needed for any estimate." if best["ess"] < thin else ".")
        )
        if best.get("plan"):
            steps = page.bullets(best["plan"]["lines"])
            plan.append(page.details(f"What to do about {best['policy']}", steps))
    return page.answer(outcome, first, said, *plan)


def judge_sentence(rows: Sequence[Row]) -> str:
    """How the verdicts stand against the world."""
    n = Counter(row["right"] for row in rows)
    return (
        f"Verdicts against the world: {n['right']} right, {n['WRONG']} wrong, {n['open']} that the "
        f"world's own sample leaves open, {n['no verdict']} times the log cannot tell."
    )


def facts(base: Row, rows: Sequence[Row], settings: Row, level: float) -> list[str]:
    """Units, users, dates."""
    chosen, along = settings.get("settings", {}), base.get("along")
    made = settings_facts(settings.get("made", {}))
    logged = f"{rows[0]['sessions']:,} logged sessions" if rows else ""
    served = f"{along['sessions']:,} sessions of each policy in the world" if along else ""
    users = f"{chosen['users']} users at a time" if "users" in chosen else ""
    return [f"values: {UNIT} a session, [ ]: {level:.0%} intervals", logged, served, users, made]


def table_section(
    base: Row,
    results: Sequence[Row],
    shades: Mapping[str, str],
    level: float,
    thin: int,
    oracle: Row | None,
) -> str:
    """Verdicts and values, the verdict beside the name so that a narrow screen shows it."""
    cells = []
    for record in results:
        row, poor = record["row"], record["row"]["ess"] < thin
        cell = {
            "policy": row["policy"],
            "verdict": row["verdict"],
            "in the world": spread(row["truth"]),
            "true uplift": spread(row["true_uplift"], sign="+"),
            "estimate": "-" if poor else spread(row["estimate"]),
            "estimated uplift": "-" if poor else spread(row["uplift"], sign="+"),
            "ESS": f"{ess(row)} of {row['sessions']:,}",
            "verdict is": row["right"],
        }
        lost = regret(oracle, record.get("first_returns"), level)
        known = {} if lost is None else {"regret": spread(lost)}
        cells.append(cell | known | {"catalogue": f"{row['coverage']:.0%}"})
    warning = (
        f"Estimates are left out (-) where fewer than {thin} effective sessions of the log speak "
        "about a policy: no number could be trusted there."
    )
    hidden = [nth for nth, r in enumerate(results) if r["row"]["ess"] < thin]
    text = (
        f"The {BASE} earned {spread(base)} a session. A verdict that the world contradicts is "
        "marked WRONG; open: the world's own sample does not show it either."
    )
    parts = [page.table(cells, colours=shades), page.paragraph(text)]
    if oracle is not None:
        planner = (
            f"Regret: what a planning oracle earns more on the same users, of whom it planned "
            f"{len(oracle['returns'])}; it earned {spread(oracle)}. {NO_BOUND}"
        )
        parts.append(page.paragraph(planner))
    return page.section("Verdicts", *([page.warning(warning)] if hidden else []), *parts)


def estimates_section(
    rows: Sequence[Row], shades: Mapping[str, str], level: float, thin: int
) -> str:
    """Each estimate with its interval beside what the policy really earned."""
    drawn = [_judged(row, thin) for row in rows]
    caption = (
        f"Bars: the log's {level:.0%} interval for each policy, where it can be trusted. Diamonds: "
        "what the policy earned in the world."
    )
    shown = charts.intervals(drawn, shades, x_title=f"{UNIT} a session", caption=caption)
    return page.section("Estimates against truth", shown)


def learning_section(results: Sequence[Row], shades: Mapping[str, str]) -> list[str]:
    """Return on held-out users while policies learn."""
    series = []
    for points in (r["curve"] for r in results if r["curve"]):
        x = [p["decisions"] / 1000 for p in points]
        y, low, high = ([p[k] for p in points] for k in ("value", "low", "high"))
        series.append(charts.Series(points[0]["policy"], x, y, low, high))
    if not series:
        return []
    shown = charts.curves(
        series, shades, x_title="decisions learned from, thousands",
        y_title=f"{UNIT} a session",
        caption="Return of a session on the same held-out users while each policy learns.",
    )  # fmt: skip
    return [page.section("Learning", shown)]


def along_sections(
    base: Row, results: Sequence[Row], shades: Mapping[str, str], level: float
) -> list[str]:
    """What happened along the sessions that the policies served in the world, and examples; nothing
    for a run of a version that did not keep it."""
    policies: dict[str, Described] = {BASE: base.get("along", {})}
    policies |= {r["row"]["policy"]: r.get("along", {}) for r in results}
    if not all(policies.values()):
        return []
    return [
        *sessions_sections(policies, shades, level=level, unit=UNIT),
        *example_sections(policies, shades),
    ]


def estimator_table(row: Row, thin: int) -> str:
    """All estimates of one candidate, both estimands, folded."""
    lines = [
        {
            "estimator": e["estimator"],
            "estimand": e["horizon"],
            "value": spread(e),
            "uplift": spread(
                {"value": e["uplift"], "low": e["uplift_low"], "high": e["uplift_high"]}, sign="+"
            ),
            "ESS": f"{e['ess']:,.0f}",
        }
        for e in row["estimates"]
    ]
    pale = [nth for nth, e in enumerate(row["estimates"]) if e["ess"] < thin]
    warned = f"Grey: fewer than {thin} effective sessions or decisions; do not rely on these."
    return page.details(
        f"{row['policy']}: {row['verdict']}",
        page.paragraph(f"{row['reason']}."),
        *([page.warning(warned)] if pale else []),
        page.table(lines, grey=pale),
        page.bullets(row["notes"]),
    )


def ess(row: Row) -> str:
    """Effective sessions."""
    return f"{row['ess']:,.0f}"


def _judged(row: Row, thin: int) -> charts.Row:
    """A row of the picture."""
    estimate, truth = row["estimate"], row["truth"]
    value, low, high = (_or(estimate[k], truth["value"]) for k in ("value", "low", "high"))
    return charts.Row(
        row["policy"], value, low, high,
        second=(truth["value"], truth["low"], truth["high"]),
        drawn=row["ess"] >= thin and estimate["value"] is not None,
    )  # fmt: skip


def _or(value: float | None, other: float) -> float:
    return other if value is None else value

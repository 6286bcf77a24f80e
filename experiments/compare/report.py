"""The comparison as a terminal table and as a self-contained page. Formatting only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.common import pictures
from experiments.common.run_folder import RunFolder
from experiments.common.tables import markdown_table, text_table
from offpolicy.page import html as page
from offpolicy.pictures import png

Row = dict[str, Any]

ESTIMAND = (
    "Value: expected return of a session (reward summed over its decisions) that the policy serves "
    "from its start. Estimates come from the logging policy's log alone; truth is the policy run "
    "in the world on the same users as every other policy. Uplift is over the logging policy."
)


THIN_ESS = 100
THIN = (
    f"estimate -: fewer than {THIN_ESS} effective sessions of the log speak about the policy, and "
    "no number can be trusted. ESS: effective sessions of those logged."
)


def summary(rows: Sequence[Row]) -> list[dict[str, str]]:
    """The table everybody reads, as text."""
    return [
        {
            "policy": row["policy"],
            "truth": spread(row["truth"]),
            "true uplift": spread(row["true_uplift"], sign=True),
            "estimate": "-" if thin(row) else bounds(row["estimate"]),
            "holds truth": "-" if thin(row) else "yes" if row["holds_truth"] else "no",
            "ESS": f"{row['ess']:,.0f} of {row['sessions']:,}",
            "verdict": row["verdict"],
            "verdict is": row["right"],
            "catalogue": f"{row['coverage']:.0%}",
        }
        for row in rows
    ]


def thin(row: Row) -> bool:
    """Whether too little of the log speaks about the policy for any interval."""
    return bool(row["ess"] < THIN_ESS)


def spread(mean: Mapping[str, float], *, sign: bool = False) -> str:
    """'12.3 ± 0.4': a value and the half width of its interval."""
    half = (mean["high"] - mean["low"]) / 2
    return f"{mean['value']:{'+' if sign else ''}.2f} ± {half:.2f}"


def bounds(mean: Mapping[str, float | None]) -> str:
    """'12.3 [11, 13]'; a bound that is not finite is shown as such."""
    value, low, high = (mean[k] for k in ("value", "low", "high"))
    text = [f"{x:.2f}" if x is not None else "∞" for x in (value, low, high)]
    return f"{text[0]} [{text[1]}, {text[2]}]"


def print_table(rows: Sequence[Row], base: Row, level: float) -> None:
    """The table on the terminal."""
    print(
        f"\nLogging policy in the world: {bounds(base)} a session. ± and [ ] are {level:.0%} "
        f"intervals over sessions.\n\n{text_table(summary(rows))}\n\n{THIN}"
    )


def write_report(
    run: RunFolder, world: str, level: float, base: Row, results: Sequence[Row]
) -> None:
    """report.json, report.html, table.md and the pictures."""
    rows = [r["row"] for r in results]
    curves = [point for r in results for point in r["curve"]]
    steps = {"logging policy": base["by_step"]} | {
        r["row"]["policy"]: r["by_step"] for r in results
    }
    logging = {name: base[name] for name in ("value", "low", "high", "coverage")}
    run.write_json(
        "report.json",
        {
            "world": world,
            "estimand": ESTIMAND,
            "level": level,
            "logging_policy": logging,
            "policies": rows,
            "curves": curves,
            "reward_by_step": steps,
        },
    )
    drawn = draw(rows, curves, steps)
    for name, (_, _, image) in drawn.items():
        run.write_bytes(name, image)
    run.write_text("table.md", markdown_table(summary(rows)))
    lead = f"Policies in {world}, judged from a log and in truth"
    parts = [
        page.paragraph(ESTIMAND),
        table_section(rows, base, level),
        *(page.section(t, page.picture(image, caption)) for t, caption, image in drawn.values()),
        page.section("Every estimator", *(estimator_tables(row) for row in rows)),
        page.fold("Settings and versions", json.dumps(run.read_json("settings.json"), indent=2)),
    ]
    run.write_text("report.html", page.page("Longplay: comparison of policies", lead, parts))


def table_section(rows: Sequence[Row], base: Row, level: float) -> str:
    """The table with what its marks mean."""
    text = (
        f"Logging policy in the world: {bounds(base)} a session. ± and [ ] are intervals at "
        f"{level:.0%} over sessions. A verdict that the world contradicts is marked WRONG; 'open' "
        f"means that the world's own sample does not show it either. {THIN}"
    )
    return page.section("The table", page.table(summary(rows)), page.paragraph(text))


def draw(
    rows: Sequence[Row], curves: Sequence[Row], steps: Mapping[str, Sequence[float]]
) -> dict[str, tuple[str, str, bytes]]:
    """Pictures by file name: title, caption, PNG."""
    judged = pictures.estimates_against_truth([flat(row) for row in rows])
    caption = "Bars: the log's interval for each candidate. Diamonds: what the policy earned."
    drawn = {"estimates.png": ("Estimates against truth", caption, png(judged))}
    if curves:
        caption = "Return per session on the same held-out users while each policy learns."
        drawn["learning.png"] = (
            "Learning",
            caption,
            png(pictures.learning_curves(curves)),
        )
    caption = "Mean reward at each step; users who left count 0, so losing users shows."
    along = png(pictures.reward_by_step(steps))
    return drawn | {"steps.png": ("Along the session", caption, along)}


def flat(row: Row) -> Row:
    """One row of the picture."""
    e, t = row["estimate"], row["truth"]
    known = {k: t["value"] if e[k] is None else e[k] for k in ("value", "low", "high")}
    return {
        "policy": row["policy"],
        "verdict": row["verdict"],
        "trusted": not thin(row),
        "estimate": known["value"],
        "low": known["low"],
        "high": known["high"],
        "truth": t["value"],
        "truth_low": t["low"],
        "truth_high": t["high"],
    }


def estimator_tables(row: Row) -> str:
    """All estimates of one candidate, both estimands."""
    lines = [
        {
            "estimator": e["estimator"],
            "estimand": e["horizon"],
            "value": bounds(e),
            "uplift": bounds(
                {"value": e["uplift"], "low": e["uplift_low"], "high": e["uplift_high"]}
            ),
            "ESS": f"{e['ess']:,.0f}",
        }
        for e in row["estimates"]
    ]
    text = [
        page.paragraph(f"{row['policy']}: {row['verdict']}. {row['reason']}."),
        page.table(lines),
    ]
    return "\n".join(text + [page.paragraph(note) for note in row["notes"]])

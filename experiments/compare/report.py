"""The comparison as a terminal table, and the files of its run folder. Formatting only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.common import pictures
from experiments.common.run_folder import RunFolder
from experiments.common.tables import markdown_table, text_table
from experiments.compare.page import compare_page
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
    """report.json, report.html, and table.md and pictures for a page of text."""
    rows = [r["row"] for r in results]
    curves = [point for r in results for point in r["curve"]]
    steps = {"logging policy": base["by_step"]} | {
        r["row"]["policy"]: r["by_step"] for r in results
    }
    logging = {name: base[name] for name in ("value", "low", "high", "coverage")}
    oracle = run.read_json("stages/oracle.json") if run.has("oracle") else None
    run.write_json(
        "report.json",
        {
            "world": world,
            "estimand": ESTIMAND,
            "level": level,
            "logging_policy": logging,
            "planning_oracle": oracle,
            "policies": rows,
            "curves": curves,
            "reward_by_step": steps,
        },
    )
    for name, image in draw(rows, curves, steps).items():
        run.write_bytes(name, image)
    run.write_text("table.md", markdown_table(summary(rows)))
    text = compare_page(
        world, level, base, results, run.read_json("settings.json"),
        estimand=ESTIMAND, thin=THIN_ESS, oracle=oracle,
    )  # fmt: skip
    run.write_text("report.html", text)


def draw(
    rows: Sequence[Row], curves: Sequence[Row], steps: Mapping[str, Sequence[float]]
) -> dict[str, bytes]:
    """Pictures for pages of text, as PNG by file name; the page draws its own."""
    drawn = {"estimates.png": pictures.estimates_against_truth([flat(row) for row in rows])}
    if curves:
        drawn["learning.png"] = pictures.learning_curves(curves)
    drawn["steps.png"] = pictures.reward_by_step(steps)
    return {name: png(figure) for name, figure in drawn.items()}


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

"""Coverage of intervals as a page: which hold their level, with the bounds of the count itself."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.published.coverage_figures import WORLD, Row
from offpolicy.page import charts
from offpolicy.page import html as page
from offpolicy.page.colours import colours


def coverage_page(rows: Sequence[Row], *, level: float, text: str) -> str:
    """Verdict, picture and table. An interval misses where the bounds of its coverage stay below
    its level."""
    missed = [r for r in rows if r.high < level]
    kind = "fail" if missed else "pass"
    names = ", ".join(f"{r.estimator} ({r.horizon})" for r in missed)
    first = (
        f"{len(missed)} of {len(rows)} intervals miss their {level:.0%}: {names}."
        if missed
        else f"No interval is shown to miss its {level:.0%}, of {len(rows)}."
    )
    parts = [page.answer(kind, first)]
    shades = colours(dict.fromkeys(r.estimator for r in rows))
    for horizon in dict.fromkeys(r.horizon for r in rows):
        own = [r for r in rows if r.horizon == horizon]
        drawn = [charts.Row(r.estimator, r.coverage, r.low, r.high) for r in own]
        caption = (
            f"Share of logs whose interval holds the truth, with 95 % bounds of that share; the "
            f"dashed line is {level:.0%}."
        )
        shown = charts.intervals(
            drawn, shades, x_title="share that holds the truth", caption=caption, reference=level
        )
        cells = [
            {
                "estimator": r.estimator,
                "verdict": "fail" if r.high < level else "pass",
                "coverage": f"{r.coverage:.3f} [{r.low:.3f}, {r.high:.3f}]",
                "mean width": f"{r.width:.3f}",
                "bias": f"{r.bias:+.4f}",
                "logs": f"{r.logs:,}",
                "ESS": f"{r.ess:,.0f}",
            }
            for r in own
        ]
        sizes = f"{own[0].sessions:,} sessions a log; the truth is {own[0].truth:.3f}"
        parts.append(
            page.section(
                f"Estimand {horizon}", page.table(cells, colours=shades), shown, page.facts(sizes)
            )
        )
    parts.append(page.fold("As text", text))
    lead = f"Do {level:.0%} intervals hold the truth so often? Fresh logs of {WORLD}."
    return page.page("Coverage of intervals", lead, parts)

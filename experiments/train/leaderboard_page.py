"""The page of `longplay leaderboard`: which encoder to take, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.page.along import settings_facts
from experiments.train.train_encoder import Tested
from offpolicy.page import charts
from offpolicy.page import html as page
from offpolicy.page.colours import colours
from policies.encoders.evaluate import gains, paired_difference

METRIC = "NDCG@10"
VERDICTS = {1: "better", -1: "worse", 0: "cannot tell"}
Row = Mapping[str, Any]


def leaderboard_page(
    name: str,
    rows: Sequence[Row],
    tested: Mapping[str, Tested],
    baseline: str,
    protocol: str,
    verdict: str,
    settings: Mapping[str, Any],
) -> str:
    """The best encoder against every other on the same users, then all figures."""
    shades = colours(tested)
    best = max(tested, key=lambda title: _ndcg(tested[title])[0])
    against = [_against(best, title, tested) for title in tested if title != best]
    sure = [row["best is"] for row in against]
    value, low, high = _ndcg(tested[best])
    first = f"Take {best}: {METRIC} {value:.4f} [{low:.4f}, {high:.4f}]."
    even = [row["encoder"] for row in against if row["best is"] != "better"]
    more = [verdict]
    if even:
        more.append(f"Not shown to be below it on the same users: {', '.join(even)}.")
    drawn = [charts.Row(title, *_ndcg(one)) for title, one in tested.items()]
    caption = f"{METRIC} of each encoder with its 95 % interval; the dashed line is {baseline}."
    picture = charts.intervals(
        drawn, shades, x_title=METRIC, caption=caption, reference=_ndcg(tested[baseline])[0]
    )
    board = [_ordered(row) for row in rows]
    parts = [
        page.answer("pass" if all(s == "better" for s in sure) else "cannot tell", first, more),
        page.facts("intervals: 95 %, bootstrap over users", settings_facts(settings["made"])),
        page.section("All encoders", page.table(board, colours=shades), picture),
        page.section(
            f"{best} against each other encoder",
            page.paragraph(
                f"Paired differences in {METRIC} on the same test queries. The best of several is "
                "chosen on the users it is shown on, and flatters itself a little."
            ),
            page.table(against, colours=shades),
        ),
        page.fold("Settings and versions", json.dumps(settings, indent=2)),
    ]
    return page.page(f"Encoders on {name}", f"{protocol}.", parts)


def _ordered(row: Row) -> dict[str, Any]:
    """The verdict beside the name, so that a narrow screen shows it."""
    rest = {k: v for k, v in row.items() if k not in {"encoder", "beats it", METRIC}}
    shown = {"encoder": row["encoder"], "beats skip-Markov": row["beats it"], METRIC: row[METRIC]}
    return shown | rest


def _against(best: str, title: str, tested: Mapping[str, Tested]) -> dict[str, str]:
    pair = (gains(tested[x].rank, 10)[METRIC] for x in (best, title))
    gap = paired_difference(*pair, group=tested[best].group)
    sign = (gap.low > 0) - (gap.high < 0)
    return {
        "encoder": title,
        "best is": VERDICTS[sign],
        "difference": f"{gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]",
    }


def _ndcg(one: Tested) -> tuple[float, float, float]:
    metric = next(m for m in one.metrics if m.name == METRIC)
    return metric.value, metric.low, metric.high

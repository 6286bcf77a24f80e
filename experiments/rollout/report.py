"""The record of rollouts: what became of each kind of canary, with exact binomial bounds."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.benchmark.referee.figures import Figure, Target, share
from experiments.rollout.scenarios import SCENARIOS, Scenario
from offpolicy.tables import markdown

Played = Sequence[Mapping[str, Any]]


def is_soft(p: Mapping[str, Any]) -> bool:
    """Rolled back by a comparison."""
    return bool(p["phase"] == "rolled_back" and p["kind"].startswith("soft"))


def figures(s: Scenario, played: Played) -> list[Figure]:
    """Shares of what became of a scenario's rollouts."""
    counted = {
        "soft": sum(map(is_soft, played)),
        "rolled_back": sum(p["phase"] == "rolled_back" for p in played),
        "held": sum(p["phase"] == "held" for p in played),
        "done": sum(p["phase"] == "done" for p in played),
        "done after it turned": sum(p["phase"] == "done" and p["turned"] for p in played),
    }
    target = Target(at_least=s.at_least, at_most=s.at_most)
    return [
        share(s.rule, f"{s.canary}, {s.traffic}", "", what, (k, len(played)),
              target if what == s.phase else Target())
        for what, k in counted.items()
    ]  # fmt: skip


def page(records: Mapping[str, Played]) -> str:
    """Markdown: what became of rollouts, and what they cost users."""
    ended, cost = [], []
    for s in SCENARIOS:
        if s.id not in records:
            continue
        played = records[s.id]
        f = {x.what: x for x in figures(s, played)}
        aim = _aim(s, f)
        name = f"{s.canary}, {s.traffic}, {s.rule}"
        turned = f["done after it turned"].hits if "turn" in s.canary or "then" in s.canary else "-"
        became = (_said(f[k]) for k in ("soft", "rolled_back", "held", "done"))
        ended.append((name, len(played), *became, turned, aim))
        cost.append((name, *_costs(played)))
    return "\n\n".join(
        (
            "## What became of rollouts",
            markdown(
                ("canary, traffic, rule", "rollouts", "rolled back by a soft stop",
                 "rolled back at all", "held: cannot tell", "promoted to 100 %",
                 "after it had turned", "target"),
                ended,
            ),
            "## What it cost",
            markdown(
                ("canary, traffic, rule", "days to the end", "users that met it",
                 "user-minutes in the canary", "reward lost", "of all reward, %"),
                cost,
            ),
        )
    )  # fmt: skip


def to_csv(records: Mapping[str, Played]) -> str:
    """Every share with its bounds."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("rule", "scenario", "what", "measured", "low", "high", "hits", "of", "holds"))
    for s in SCENARIOS:
        for f in figures(s, records[s.id]) if s.id in records else ():
            writer.writerow(
                (f.part, f.name, f.what, f.measured, f.low, f.high, f.hits, f.of, f.holds)
            )
    return out.getvalue()


def _aim(s: Scenario, by_what: Mapping[str, Figure]) -> str:
    if not s.phase:
        return "-"
    bound = f">= {s.at_least:.0%}" if s.at_least is not None else f"<= {s.at_most:.0%}"
    what = {"soft": "soft", "rolled_back": "rolled back", "done": "promoted"}[s.phase]
    return f"{what} {bound}: {by_what[s.phase].holds}"


def _said(f: Figure) -> str:
    if f.measured is None or f.low is None or f.high is None:
        return "-"
    return f"{f.hits} = {f.measured:.1%} [{f.low:.1%}, {f.high:.1%}]"


def _costs(played: Played) -> list[str]:
    days = [p["days"] for p in played]
    share_lost = [100 * p["lost"] / p["whole"] for p in played]
    columns = (
        (days, ".1f"), ([p["users"] for p in played], ",.0f"),
        ([p["minutes"] for p in played], ",.0f"), ([p["lost"] for p in played], ",.0f"),
        (share_lost, ".2f"),
    )  # fmt: skip
    return [
        " / ".join(f"{x:{form}}" for x in (*np.quantile(column, (0.5, 0.95)), max(column)))
        for column, form in columns
    ]

"""Described sessions as sections of a page: one picture a question, all policies in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.page.along import WORST, Described, difference_of, numbers, plain_interval
from offpolicy.page import charts
from offpolicy.page import html as page
from offpolicy.sessions.steps import Curve

BASE = "logging policy"
Policies = Mapping[str, Described]  # the first is what the others are held against


def sessions_sections(
    policies: Policies, colours: Mapping[str, str], *, level: float, unit: str = "reward"
) -> list[str]:
    """Who stays, what is paid while there, how returns spread, what is shown, and to whom."""
    return [
        page.section("Where the reward comes from", *reward_parts(policies, colours, level, unit)),
        page.section("Who stays", *staying_parts(policies, colours, level)),
        page.section("How sessions differ", *return_parts(policies, colours, unit)),
        page.section("What is shown", *variety_parts(policies, colours)),
        *segment_sections(policies, colours, level),
    ]


def reward_parts(
    policies: Policies, colours: Mapping[str, str], level: float, unit: str
) -> list[str]:
    """Reward along the session, and while there; the difference split in two."""
    per_session = _curves(
        policies, "reward", colours,
        y_title=f"{unit} a session at this step",
        caption="Mean reward at each step over all sessions, users who left counted 0: the areas "
        "under the curves are the returns. Bands hold at each step alone.",
    )  # fmt: skip
    there = _curves(
        policies, "reward_there", colours,
        y_title=f"{unit} of those who are there",
        caption="Mean reward of the users who are still there. The curve above is this one times "
        "the share that stays.",
    )  # fmt: skip
    first, *others = policies
    rows = []
    for name in others:
        gap = difference_of(policies[name], policies[first], level=level)
        if gap is not None:
            whole, *two = (spread(plain_interval(i), sign="+") for i in gap)
            because = dict(
                zip(("because users stay", "because of reward while there"), two, strict=True)
            )
            rows.append({"policy": name, "difference": whole} | because)
    text = (
        f"The return of a session less that of the {first}, split step by step into how long users "
        "stay and what they bring while they are there (Kitagawa, 1955). Intervals: jackknife over "
        "groups of the users, the same in all policies."
    )
    table = [page.paragraph(text), page.table(rows, colours=colours)] if rows else []
    return [*table, per_session, there]


def staying_parts(policies: Policies, colours: Mapping[str, str], level: float) -> list[str]:
    """Survival and hazard."""
    few = f"Product-limit estimates with pointwise {level:.0%} bands"
    return [
        _curves(
            policies, "staying", colours, y_title="share still there", zero=True,
            caption=f"Share of users who reach each step. {few}.",
        ),
        page.details(
            "Hazard: when they leave",
            _curves(
                policies, "hazard", colours, y_title="share that leaves now", zero=True,
                least=30,
                caption="Of the users who reach a step, the share that leaves at it; steps that "
                "fewer than 30 sessions reach are left out.",
            ),
        ),
    ]  # fmt: skip


def return_parts(policies: Policies, colours: Mapping[str, str], unit: str) -> list[str]:
    """The distribution of session returns."""
    rows, boxes = [], []
    for name, one in policies.items():
        q = [x["value"] for x in one["quantiles"]]
        boxes.append(charts.Box(name, (q[0], q[1], q[2], q[3], q[4]), one["mean"]["value"]))
        rows.append(
            {
                "policy": name,
                "mean": spread(one["mean"]),
                f"worst {WORST:.0%}": spread(one["worst"]),
                "median": spread(one["quantiles"][2]),
                "95 % quantile": spread(one["quantiles"][4]),
            }
        )
    caption = (
        "Returns of sessions: the box holds the middle half, its bar is the median, the dot the "
        "mean, and the line reaches from the 5 % to the 95 % quantile."
    )
    drawn = charts.boxes(boxes, colours, x_title=f"{unit} a session", caption=caption)
    return [drawn, page.details("In numbers", page.table(rows, colours=colours))]


def variety_parts(policies: Policies, colours: Mapping[str, str]) -> list[str]:
    """Repetition, diversity, and the catalogue."""
    rows = [
        {
            "policy": name,
            "catalogue shown": f"{one['exposure']['coverage']:.0%}",
            "as if so many items equally often": f"{one['exposure']['effective_items']:,.0f}",
            "Gini": f"{one['exposure']['gini']:.2f}",
        }
        for name, one in policies.items()
    ]
    parts = [
        page.table(rows, colours=colours),
        _curves(
            policies, "repetition", colours, y_title="share shown before", zero=True,
            caption="Share of the places of a slate whose item this user was shown earlier in the "
            "session.",
        ),
    ]  # fmt: skip
    if all(one["diversity"] is not None for one in policies.values()):
        caption = (
            "Mean distance (1 - cosine of the item features) between the items of a slate: 0 where "
            "all are alike."
        )
        parts.append(
            _curves(policies, "diversity", colours, y_title="diversity of a slate", caption=caption)
        )
    return parts


def segment_sections(policies: Policies, colours: Mapping[str, str], level: float) -> list[str]:
    """The values by features of the users, where those are known and differ."""
    first, *others = policies
    features = policies[first]["segments"]
    if not features:
        return []
    parts = list[str]()
    for feature, base in features.items():
        sizes = {s["name"]: s["sessions"] for s in base}
        rows = [{"policy": first} | {_of(n, sizes): spread(_named(base, n)) for n in sizes}]
        for name in others:
            own = policies[name]["segments"].get(feature, [])
            gains = {
                _of(n, sizes): spread(_named(own, n), sign="+") if _named(own, n) else "-"
                for n in sizes
            }
            rows.append({"policy": name} | gains)
        parts += [f"<h3>By {feature}</h3>", page.table(rows, colours=colours)]
    text = (
        f"Mean return of the {first} in parts of its users, by what is known of them at the first "
        f"decision; below it the other policies' paired differences to it on the same users. The "
        f"{level:.0%} intervals of a row hold together."
    )
    return [page.section("Which users", page.paragraph(text), *parts)]


def reach_section(reaches: Policies, colours: Mapping[str, str], unit: str) -> list[str]:
    """How far into the session the log can speak: estimate and ESS by horizon."""
    if not reaches:
        return []
    ess = [
        charts.Series(n, r["steps"], e := [math.log10(max(v, 1)) for v in r["ess"]], e, e)
        for n, r in reaches.items()
    ]
    known = list[charts.Series]()
    for name, r in reaches.items():
        curve = {k: numbers(r["estimate"][k]) for k in ("value", "low", "high")}
        kept = [v if ok else math.nan for v, ok in zip(curve["value"], r["trusted"], strict=True)]
        known.append(charts.Series(name, r["steps"], kept, curve["low"], curve["high"]))
    logged = next(iter(reaches.values()))
    base = {k: numbers(logged["logged"][k]) for k in ("value", "low", "high")}
    known.insert(0, charts.Series(BASE, logged["steps"], base["value"], base["low"], base["high"]))
    return [
        page.section(
            "How far the log can see",
            page.paragraph(
                "Weights multiply along the session, so the effective sample shrinks with every "
                "decision. Estimates are shown as far as 100 effective sessions are left; a value "
                "of the first decisions alone is what such a log can still tell."
            ),
            charts.curves(
                ess, colours, x_title="decisions of a session", zero=True,
                y_title="effective sample, powers of ten",
                caption="Effective sample size at each horizon: 2 is one hundred, 3 one thousand.",
            ),
            charts.curves(
                known, colours, x_title="decisions of a session",
                y_title=f"{unit} of the first decisions", dashed=[BASE],
                caption="Estimated value of the first decisions of a session, with bands.",
            ),
        )
    ]  # fmt: skip


def spread(mean: Mapping[str, float | None] | None, *, sign: str = "") -> str:
    """'12.3 [11.0, 13.1]'; '-' where there is none. A bound that is not finite is open, -∞ or ∞,
    whether it is a number still or was written as null."""
    value, low, high = numbers([None] * 3 if mean is None else [mean[k] for k in Curve._fields])
    if not math.isfinite(value):
        return "-"
    ends = [
        f"{x:{sign}.2f}" if math.isfinite(x) else f"{open_end}∞"
        for x, open_end in ((low, "-"), (high, sign))
    ]
    return f"{value:{sign}.2f} [{', '.join(ends)}]"


def _named(rows: Sequence[Described], name: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if row["name"] == name), None)


def _of(name: str, sizes: Mapping[str, int]) -> str:
    return f"{name} ({sizes[name]:,})"


def _curves(
    policies: Policies,
    key: str,
    colours: Mapping[str, str],
    *,
    y_title: str,
    caption: str,
    zero: bool = False,
    least: int = 2,
) -> str:
    """One curve of each policy, as far as `least` sessions reach."""
    series = []
    for name, one in policies.items():
        n = sum(count >= least for count in one["at_risk"])
        curve = {k: numbers(one[key][k])[:n] for k in ("value", "low", "high")}
        steps = list(range(1, n + 1))
        series.append(charts.Series(name, steps, curve["value"], curve["low"], curve["high"]))
    return charts.curves(
        series, colours, x_title="step of the session", y_title=y_title, caption=caption,
        zero=zero, dashed=[next(iter(policies))] if len(policies) > 1 else [],
    )  # fmt: skip

"""The run as a page and as text: what was served, what happened, what it was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from experiments.common.run_folder import RunFolder
from experiments.common.tables import markdown_table
from experiments.live.against import total_difference, totals
from experiments.live.lines import LINES, Name, records
from experiments.live.pictures import LINE, timeline
from experiments.live.settings import Settings
from experiments.live.telling import happenings, short_names
from offpolicy.page import html as page
from offpolicy.pictures import png

Record = dict[str, Any]
EVENTS = {"drift": "what users like changes", "bad_canary": "a worse version, forged report"}
CAPTION = (
    "Reward per session served on each simulated day with its interval over sessions, for the same "
    "users served in each way; sessions by version; and what happened."
)


def write(settings: Settings, world: str, run: RunFolder, after: Record | None) -> str:
    """report.html, report.md, timeline.png and report.json; returns the text."""
    names = lines_of(settings)
    lines = {line: records(settings, run, line) for line in names}
    known, happened = short_names(lines["loop"]), told(settings, lines["loop"])
    event = None
    if settings.scenario in EVENTS:
        event = (settings.event, EVENTS[settings.scenario])
    pictures = {
        narrow: png(timeline(lines, happened, known, event=event, narrow=narrow))
        for narrow in (False, True)
    }
    lead, points = lead_of(settings, world, lines["loop"]), headline(settings, run, lines, after)
    tables = {
        "What users had": line_table(settings, run, lines),
        "What happened": event_table(happened),
        "Versions": version_table(lines["loop"], known, settings.level),
    }
    if after is not None:
        tables["After the drift"] = after_table(after)
    run.write_bytes("timeline.png", pictures[False])
    run.write_json("report.json", {"days": lines, "happened": happened, "after": after})
    text = "\n\n".join(
        [
            lead,
            "\n".join(f"* {point}" for point in points),
            "![timeline](timeline.png)",
            *(f"**{title}**\n\n{markdown_table(rows)}" for title, rows in tables.items()),
            notes(settings),
        ]
    )
    run.write_text("report.md", text + "\n")
    parts = [page.bullets(points), figure(pictures[False], pictures[True])]
    parts += [
        page.section(title, f'<div class="{"long" if title == "What happened" else ""}">'
                     f"{page.table(rows)}</div>")
        for title, rows in tables.items()
    ]  # fmt: skip
    parts.append(page.section("What the numbers are", page.paragraph(notes(settings))))
    run.write_text("report.html", page.page("The loop, live", lead, [WIDE, *parts]))
    return text


WIDE = """<style>
.long td { vertical-align: top; text-align: left; color: inherit; font-weight: inherit; }
.long th { text-align: left; }
.long td:last-child { white-space: normal; min-width: 16rem; }
</style>"""


def figure(wide: bytes, narrow: bytes) -> str:
    """The timeline, another picture of it on narrow screens."""
    source = f'<source media="(max-width: 640px)" srcset="{page.data_uri(narrow)}">'
    shown = f'<img alt="{escape(CAPTION, quote=True)}" src="{page.data_uri(wide)}">'
    caption = f"<figcaption>{escape(CAPTION)}</figcaption>"
    return f"<figure><picture>{source}{shown}</picture>{caption}</figure>"


def lines_of(settings: Settings) -> tuple[Name, ...]:
    """What is played. After a drift the comparator learns from what the first policy serves."""
    needed: tuple[Name, ...] = ("never",) if settings.scenario == "drift" else ()
    return ("loop", *(LINES[settings.scenario] if settings.baselines else needed))


def told(settings: Settings, loop: Sequence[Record]) -> list[Record]:
    """What happened in the loop."""
    return happenings([*loop], settings.scenario, settings.event)


def lead_of(settings: Settings, world: str, loop: Sequence[Record]) -> str:
    """What was played."""
    sessions, decisions = (sum(r[k] for r in loop) for k in ("sessions", "decisions"))
    cpu = sum(r["cpu"] for r in loop)
    return (
        f"{settings.users:,} users of {world}, {len(loop)} simulated days, scenario "
        f"{settings.scenario}: {sessions:,} sessions and {decisions:,} decisions through the real "
        f"engine, event log, join, gate and rollout controller, in {cpu:.0f} CPU seconds"
        f"{', over HTTP' if settings.http else ''}."
    )


def headline(
    settings: Settings,
    run: RunFolder,
    lines: Mapping[Name, Sequence[Record]],
    after: Record | None,
) -> list[str]:
    """The main results in sentences."""
    loop, said = lines["loop"], []
    steps = [step for r in loop for step in r["steps"]]
    begun = len({step["rollout"] for step in steps})
    promoted = sum("promote" in step["actions"] for step in steps)
    learnt = sum(r["learnt"] is not None for r in loop)
    said.append(
        f"It learnt {learnt} times, began {begun} rollouts and promoted {promoted} of them; the "
        f"value went from {bounds_text(loop[0])} on the first day to {bounds_text(loop[-1])} on "
        "the last."
    )
    if after is not None:
        said += after_sentences(after)
    days = range(settings.event if settings.scenario == "bad_canary" else 0, settings.n_days)
    for line in lines:
        if line != "loop":
            mine, other = (totals(settings, run, one, days) for one in ("loop", line))
            d = total_difference(mine, other, settings.level)
            since = f" from day {days[0]} on" if days[0] else ""
            said.append(
                f"Against {LINE[line][0]!r}, users had {total_text(d)} reward{since}: "
                f"{harm(settings, line, d['value'])}."
            )
    return said


def harm(settings: Settings, line: Name, value: float) -> str:
    """What a difference to a line means."""
    if settings.scenario != "bad_canary" and line == "never":
        return "what learning was worth"
    if settings.scenario != "bad_canary":
        worth = "what gate and canary were worth"
        return worth if value > 0 else "the price of waiting for canaries, where little was bad"
    if line == "never":
        return "what the rollout of the bad version cost until it was taken back"
    watched = "an alarm takes it back" if line == "watched" else "nobody takes it back"
    return f"the harm avoided where everybody had got it at once and {watched}"


def after_sentences(after: Record) -> list[str]:
    """How long it took after the drift, and what it was worth."""
    if after["alarm_days"] is None:
        return ["The drift raised no alarm in the days that were played."]
    days = after["alarm_days"]
    text = f"The alarm came {days} {'day' if days == 1 else 'days'} after the drift"
    if after["promoted_days"] is None:
        return [text + "; what it taught did not serve all users in the days that were played."]
    worth, was = after["loop_of_comparator"], after["before_of_comparator"]
    first, elsewhere = after["first_of_comparator"], after["loop_of_comparator_elsewhere"]
    return [
        f"{text}; a version learnt from {after['sessions']:,} sessions since then, after "
        f"{after['taught_days']} days, served all users after {after['promoted_days']:.1f} days "
        f"({after['cpu']:.0f} CPU seconds).",
        f"On the next days' users, what serves in the end is worth {share_text(worth)} of a policy "
        f"that learnt from as many sessions as were served after the drift "
        f"({after['learnt_from']:,}, by the first policy, to the same users), and "
        f"{share_text(elsewhere)} of it to the users with the histories that this one learnt from. "
        f"What the alarm taught is worth {share_text(first)} of it, what served before the drift "
        f"{share_text(was)}.",
    ]


def line_table(
    settings: Settings, run: RunFolder, lines: Mapping[Name, Sequence[Record]]
) -> list[dict[str, str]]:
    """A row for each way of serving."""
    rows, days = [], range(settings.n_days)
    mine = totals(settings, run, "loop", days)
    split = settings.event if settings.scenario != "steady" else None
    for line, every in lines.items():
        row = {"served by": LINE[line][0], "reward per session": f"{per_session(every):.2f}"}
        if split is not None:
            row[f"until day {split}"] = f"{per_session(every[:split]):.2f}" if split else "-"
            row[f"from day {split}"] = f"{per_session(every[split:]):.2f}"
        row["last day"] = bounds_text(every[-1])
        row["versions"] = str(len({v for r in every for v in r["versions"]} - {"fallback"}))
        if line == "loop":
            row["loop has more"] = "-"
        else:
            other = totals(settings, run, line, days)
            row["loop has more"] = total_text(total_difference(mine, other, settings.level))
        rows.append(row)
    return rows


def per_session(days: Sequence[Record]) -> float:
    """Mean over all sessions of some days."""
    return float(sum(r["total"] for r in days) / sum(r["sessions"] for r in days))


def event_table(happened: Sequence[Record]) -> list[dict[str, str]]:
    """What happened, by day."""
    return [
        {"day": f"{one['day']:.2f}", "what": one["kind"], "version": one["version"],
         "numbers": one["what"]}
        for one in happened
    ]  # fmt: skip


def version_table(
    loop: Sequence[Record], names: Mapping[str, str], level: float
) -> list[dict[str, str]]:
    """What each version served."""
    rows = []
    for version, name in names.items():
        days = [(r["day"], r["versions"][version]) for r in loop if version in r["versions"]]
        sessions = sum(one["sessions"] for _, one in days)
        value = sum((one["value"] or 0.0) * one["sessions"] for _, one in days) / max(sessions, 1)
        rows.append(
            {
                "version": name,
                "hash": version,
                "first day": str(days[0][0]) if days else "-",
                "last day": str(days[-1][0]) if days else "-",
                "sessions": f"{sessions:,}",
                "reward per session": f"{value:.2f}" if sessions else "-",
            }
        )
    return rows


def after_table(after: Record) -> list[dict[str, str]]:
    """Policies on the same users after the last day."""
    names = {
        "before": "what served before the drift",
        "first": "what the alarm taught",
        "loop": "what the loop serves in the end",
        "comparator": f"learnt from all {after['learnt_from']:,} sessions after the drift",
    }
    return [
        {"policy": names[name], "reward per session": bounds_text(one),
         "sessions": f"{one['sessions']:,}"}
        for name, one in after["values"].items()
    ]  # fmt: skip


def notes(settings: Settings) -> str:
    """What the numbers are."""
    return (
        f"[ ] are {settings.level:.0%} normal intervals: of a day's value over its sessions, of "
        "differences in all over users, who are the same and come at the same times in each way of "
        "serving; of shares of a value over users, by the delta method. They hold for these users "
        "and this seed: other seeds learn other policies. 'never learn again': the first policy "
        "serves all days. 'promote at once': what is learnt, from all sessions so far, serves "
        "everybody unjudged. Bounds in the controller's reasons are anytime-valid."
    )


def bounds_text(one: Record) -> str:
    """'12.34 [12.00, 12.68]'."""
    if one["value"] is None:
        return "-"
    return f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def total_text(one: Record) -> str:
    """'+1,234 [+1,000, +1,468]'."""
    return f"{one['value']:+,.0f} [{one['low']:+,.0f}, {one['high']:+,.0f}]"


def share_text(one: Record) -> str:
    """'98 % [95 %, 101 %]'."""
    return f"{one['value']:.1%} [{one['low']:.1%}, {one['high']:.1%}]"

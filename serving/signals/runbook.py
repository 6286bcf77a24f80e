"""RUNBOOK.md: the sections, in each the alerts that lead to it, and what feeds the readings."""

from __future__ import annotations

from collections.abc import Iterator

from serving.metrics.signals import MEASURES, READINGS, TABLE
from serving.metrics.slis import indicators, measure_of
from serving.signals.evidence import EVIDENCE
from serving.signals.feeds.commands import FEEDS, WATCH
from serving.signals.rules import AlertRule, alert_rules
from serving.signals.sections import SERVING, Section, commands

SECTIONS: tuple[Section, ...] = (*SERVING, *EVIDENCE)
HEAD = """# Runbook

Every alert leads here. `R` is the registry's folder, `E` the event log's folder or URL, `$URL` a
server, `M` the folder of the textfile collector of Prometheus' node exporter. A page is answered
now; a ticket within a working day. Alerts are grouped by pipeline and version, and a page keeps the
tickets of its measure silent.

The file is generated: `longplay signals --out docs/operations`.
"""


def runbook() -> str:
    """The whole runbook, as Markdown."""
    return "\n".join((HEAD, *_contents(), *(_section(one) for one in SECTIONS), _feeds(), _table()))


def _contents() -> Iterator[str]:
    for section in SECTIONS:
        names = [rule.name for rule in _of(section)]
        yield f"* [{section.title}](#{section.anchor}): {', '.join(names)}"
    yield "* [What feeds the readings](#what-feeds-the-readings)"
    yield "* [All signals](#all-signals)\n"


def _section(section: Section) -> str:
    parts = (
        ("What it means", section.means),
        ("How to confirm", section.confirm),
        ("What to do", section.act),
        ("How to know that it is over", section.over),
        ("What the log is worth afterwards", section.log),
    )
    texts = [
        f"**{title}.**{chr(10) * 2 if body.startswith('```') else ' '}{body}"
        for title, body in parts
    ]
    alerts = "\n".join(_alert(rule) for rule in _of(section))
    anchor = f'<a id="{section.anchor}"></a>'
    return "\n\n".join((anchor, f"## {section.title}", *texts, "**Alerts.**", alerts)) + "\n"


def _of(section: Section) -> list[AlertRule]:
    return [rule for rule in alert_rules() if rule.alert.runbook == section.anchor]


def _alert(rule: AlertRule) -> str:
    lasts = "" if rule.lasts == "0m" else f", for {rule.lasts}"
    window = rule.burn.long if rule.burn is not None else rule.alert.window
    measure = measure_of(rule.signal, rule.sli)
    return (
        f"* `{rule.name}` ({rule.severity}, {measure} {MEASURES[measure]}): {rule.says}, over "
        f"{window}{lasts}. The number is: {rule.sli.help}. First: {rule.alert.act}"
    )


def _feeds() -> str:
    """Which command writes which readings, as a crontab and as a table."""
    lines = "\n".join(feed.cron for feed in FEEDS.values() if feed.cron)
    rows = [f"| `{command}` | {feed.of} | {_fed(command)} |" for command, feed in FEEDS.items()]
    return "\n".join(
        (
            "## What feeds the readings\n",
            "Servers expose what they see. What only the log tells is written into files of `M` by "
            "commands with `--metrics`. While a rollout goes on, its watch does:\n",
            commands(WATCH),
            "The others run by the clock, with `J` a folder for joined logs and `J/before` one to "
            "compare with, of whole weeks. A line that fails leaves the file of the run before: "
            "`node_textfile_mtime_seconds` says how old it is.\n",
            f"```cron\n{lines}\n```\n",
            "A file is of one command alone; two files with the same series stop the collector. "
            "Reward a session of the arms `canary` and `control` is the watch's, of `live` the "
            "join's.\n",
            "| command | what its readings are of | readings |",
            "|---|---|---|",
            *rows,
            "",
        )
    )


def _fed(command: str) -> str:
    own = [signal for signal in READINGS if command in signal.fed_by]
    return ", ".join(f"`{one.name}`{one.measure and f' ({one.measure})'}" for one in own)


def _table() -> str:
    rows = [
        "## All signals",
        "",
        "| measure | indicator | what it is | target | window | severity | what to do |",
        "|---|---|---|---|---|---|---|",
    ]
    every = sorted(indicators(TABLE), key=lambda one: int((measure_of(*one) or "M99")[1:]))
    for signal, sli in every:
        target = "–" if sli.target is None else f"{sli.op} {sli.target:g} {sli.unit}".strip()
        if sli.alert is not None and sli.alert.judged in ("fell", "rose"):
            word = "≥" if sli.alert.judged == "fell" else "≤"
            target = f"{word} {sli.alert.factor:g} × the day before"
        act = "–" if sli.alert is None else f"[{sli.alert.act}](#{sli.alert.runbook})"
        measure = measure_of(signal, sli) or "–"
        rows.append(
            f"| {measure} | `{sli.name}` | {sli.help} | {target} | {sli.window} | "
            f"{sli.severity} | {act} |"
        )
    return "\n".join(rows) + "\n"

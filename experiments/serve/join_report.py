"""What a join found, for a person."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from experiments.serve.durations import date_of
from serving.joining.rule import JoinRule
from serving.joining.survey import Survey

OUTCOMES = {
    "joined_outcomes": "joined",
    "early_outcomes": "of them before their decision",
    "duplicate_outcomes": "sent again",
    "late_outcomes": "after their window",
    "orphaned_outcomes": "of no decision",
    "foreign_outcomes": "of an item or user that the decision does not have",
    "unrewarded_outcomes": "joined and of no reward",
}
NOTES = {  # what should not be there: what it means
    "skewed_histories": "decisions saw another history than the log gives: events were lost, or "
    "came too late",
    "incomplete_decisions": "decisions are of sessions of which some decisions are missing",
    "missing_events": "events are missing between others",
    "late_decisions": "decisions came after their session was written: --idle is shorter than the "
    "server's, or a clock went wrong",
    "conflicting_decisions": "decisions have the id, or the place in a session, of another one: "
    "request ids are not unique",
    "conflicting_outcomes": "outcomes have the id of another one, and are not counted: outcome ids "
    "are not unique",
    "further_taken": "items were taken of a decision of which another was taken before",
    "misplaced_ends": "ends are not of a session's last decision",
}
ALSO = {
    "duplicate_decisions": "requests sent again, each decided once",
    "erased_events": "events were erased",
    "other_decisions": "decisions of other versions, left out",
    "idle_ends": "sessions ended by silence",
}


def report(found: Survey, counts: Counter[str], rule: JoinRule, out: Path) -> str:
    """Lines of text; the next command last."""
    rows, open_sessions = counts["decisions"], counts["open_sessions"]
    share = open_sessions / max(1, open_sessions + counts["sessions"])
    versions = list(dict.fromkeys(one for start in found.starts for one in start.shown))
    lines = [
        f"{sum(found.events.values()):,} events: {found.events['decision']:,} decisions, "
        f"{found.events['outcome_event']:,} outcomes; served since "
        f"{date_of(found.starts[0].time)}: {', '.join(versions)}",
        f"{rows:,} rows in {counts['sessions']:,} sessions; fallbacks: {counts['fallbacks']:,} "
        f"({counts['fallbacks'] / max(1, rows):.2%})",
        "reward: " + ", ".join(f"{kind} {worth:g}" for kind, worth in rule.reward.items()),
        "",
        "outcomes",
        *(f"  {counts[name]:>9,} {said}" for name, said in OUTCOMES.items()),
        "",
        f"left out: {open_sessions:,} sessions ({share:.1%}) that are not over, with "
        f"{counts['open_decisions']:,} decisions" + (": join again later" if share else ""),
        *(f"{counts[name]:,} {said}" for name, said in ALSO.items() if counts[name]),
        *(f"WARN {counts[name]:,} {said}" for name, said in NOTES.items() if counts[name]),
        "",
        f"written: {out}",
        f"next: longplay check {out}",
    ]
    return "\n".join(lines)

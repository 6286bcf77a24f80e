"""What a person reads of a rollout's steps."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.common.tables import text_table
from experiments.serve.release.text import moment
from serving.rollout.journal import Made, Record
from serving.rollout.window import Seen, Window


def step_line(made: Made) -> str:
    """A step in one line, with the numbers that it was decided by."""
    parts = [moment(made.time), f"{made.state.phase} {made.state.weight:.3g}", *numbers(made)]
    return " | ".join([*parts, made.reason])


def numbers(made: Made) -> list[str]:
    """What the step saw, as far as anything is known."""
    window = made.window
    if window is None:
        return []
    if made.state.stage < 0:
        shadow = window.shadow
        return [f"shadow {_count(shadow.decisions)} decisions, {_count(shadow.errors)} failed"]
    return [
        f"{name} {said(seen)}" for name, seen in window.rollout.items() if seen.value is not None
    ] + [
        f"users {_count(window.canary.users)} canary, {_count(window.control.users)} control",
        f"{_count(window.hard.errors)} failed of {_count(window.hard.decisions)}, p99 "
        + ("?" if window.hard.p99_ms is None else f"{window.hard.p99_ms:.3g} ms"),
    ]


def said(seen: Seen) -> str:
    """The difference as a share of control, with its bounds."""
    if seen.value is None or not seen.control:
        return "unknown"
    size = abs(seen.control)
    low, high = (
        "?" if bound is None else f"{bound / size:+.1%}" for bound in (seen.low, seen.high)
    )
    return f"{seen.value / size:+.1%} [{low}, {high}]"


def about_rollout(record: Record) -> str:
    """Where it is, a line each."""
    state, rule = record.state, record.rule
    reward = ", ".join(f"{kind}={worth:g}" for kind, worth in record.reward.items()) or "none"
    lines = {
        "version": f"{state.version}, against {record.live}",
        "phase": state.phase if record.ended is None else f"ended: {record.ended}",
        "users": f"{state.weight:.3g}, since {moment(state.since)}",
        "stages": ", ".join(f"{share:g}" for share in rule.stages),
        "goal": f"{rule.goal}, margin {rule.margin:.1%}, level {rule.level:g}",
        "reward": f"{reward}, within {record.window:g} s",
        "reason": "" if record.ended is not None else state.reason,
        "by": record.by + (f": {record.why}" if record.why else ""),
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items() if text)


def step_table(steps: Sequence[Made]) -> str:
    """A table of steps, the last one first."""
    return text_table([_row(one) for one in reversed(steps)])


def _row(made: Made) -> dict[str, str]:
    window: Window | None = made.window
    goal = None if window is None else next(iter(window.rollout.values()), None)
    return {
        "step": f"{made.nth}",
        "when": moment(made.time),
        "phase": made.state.phase,
        "users": f"{made.state.weight:.3g}",
        "difference": "" if goal is None or goal.value is None else said(goal),
        "by": made.by,
        "reason": made.reason,
    }


def _count(n: int | None) -> str:
    return "?" if n is None else f"{n:,}"

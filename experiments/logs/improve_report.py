"""What `longplay improve` says of a step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy import Interval, LoggedDataset
from offpolicy.judging import Judged
from offpolicy.report import finite
from offpolicy.tables import markdown
from policies import Policy, observation_of_log
from policies.improve.choice import Tried
from policies.improve.step import Step
from policies.observation import candidate_items

F64 = NDArray[np.float64]
ROWS = 2000  # decisions of the judge's sessions on which recommendations are compared
CANDIDATE = "candidate"  # folder of a policy that was judged, of which the log cannot tell
SHOWN = 8  # items that gain, and that lose, most


def markdown_report(
    step: Step,
    names: tuple[str, str],
    now: Policy,
    logs: Sequence[LoggedDataset],
    confidence: float,
) -> str:
    """What was found, what is vouched, every share that was compared, the gate's report."""
    sessions = [f"{log.n_sessions:,}" for log in logs]
    parts = [
        f"# {headline(step, names)}",
        stated(step, confidence),
        f"{sessions[0]} sessions taught, {sessions[1]} chose the share, {sessions[2]} judged it: "
        "no session is in two of them.",
        "\n".join(f"* {note}" for note in step.notes),
        f"## Shares of the way to {names[1]}, on the {sessions[1]} sessions of the choice",
        markdown(
            ["share", "effective units", "mean weight", "uplift", "lower bound", ""],
            [_row(one, step) for one in step.tried],
        ),
    ]
    if step.judged is not None:
        parts += [
            f"## The judge's {sessions[2]} sessions",
            *(
                f"### {c.name}\n\n{_what_is_meant(c)}{c.report.to_markdown()}"
                for c in step.judged.candidates
            ),
        ]
    if step.taken:
        parts += ["## What is shown more often, and less", recommendations(now, step, logs[-1])]
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(step: Step, names: tuple[str, str]) -> str:
    """One line."""
    if not step.taken:
        return f"No step from {names[0]} towards {names[1]}"
    return f"A step of {step.share:g} of the way from {names[0]} towards {names[1]}"


def stated(step: Step, confidence: float) -> str:
    """The verdict, and what it vouches for."""
    text = f"**{step.verdict.outcome.value.upper()}**: {step.verdict.reason}."
    if not step.taken or step.uplift is None:
        return f"{text} Go on serving what serves."
    i = step.uplift
    return (
        f"{text}\n\nServe `policy` next: its value is above that of what served by **{i.low:+.4g}**"
        f" at least, with confidence {confidence:g} (estimate {i.value:+.4g}, se {i.se:.3g}, "
        f"{step.ess:.0f} effective of {i.units:,} units). Log what it serves, and step again from "
        "there."
    )


def recommendations(now: Policy, step: Step, log: LoggedDataset) -> str:
    """First-place shares of items under both policies, by the log's own names."""
    rows = np.arange(0, len(log), max(len(log) // ROWS, 1))[:ROWS]
    before, after = (first_place_shares(p, log, rows) for p in (now, step.policy))
    order = np.argsort(before - after, kind="stable")
    picked = [*order[:SHOWN], *order[max(len(order) - SHOWN, SHOWN) :]]
    names = log.names_of("item", np.array(picked))
    return markdown(
        ["item", "first place now", "after the step"],
        [[n, f"{before[i]:.2%}", f"{after[i]:.2%}"] for n, i in zip(names, picked, strict=True)],
    )


def first_place_shares(policy: Policy, log: LoggedDataset, rows: NDArray[np.int64]) -> F64:
    """(A,) how often each item stands first on these rows, on average."""
    seen = observation_of_log(log, policy.serving).rows(rows)
    chance = policy.distribution(seen).first_place()
    items = np.maximum(candidate_items(seen, log.n_items), 0)
    return np.bincount(items.ravel(), chance.ravel(), log.n_items) / len(rows)


def gate_json(step: Step) -> str:
    """The gate's record, with the step and all shares that were compared."""
    record: dict[str, Any] = {} if step.judged is None else json.loads(step.judged.to_json())
    record["step"] = finite(
        {
            "share": step.share,
            "bound": step.bound,
            "uplift": None if step.uplift is None else asdict(step.uplift),
            "verdict": asdict(step.verdict),
            "ess": step.ess,
            "tried": [asdict(one) for one in step.tried],
            "notes": list(step.notes),
        }
    )
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def _what_is_meant(c: Judged) -> str:
    """What the plan, where there is one, calls the target."""
    if c.report.plan is None:
        return ""
    return (
        f"Here `the target` is the policy at {c.name}, the present policy what served the log. "
        f"With --out it is written as `{CANDIDATE}`: to log with beside what serves, or for a "
        "trial.\n\n"
    )


def _row(one: Tried, step: Step) -> list[str]:
    chosen = step.judged is not None and any(
        c.name.startswith(f"{one.share:g} ") for c in step.judged.candidates
    )
    return [
        f"{one.share:g}",
        f"{one.ess:.0f}",
        _value(one.mean_weight, ".3f"),
        _value(one.uplift, "+.4g"),
        "" if one.uplift is None else f"{one.uplift.low:+.4g}",
        "judged" if chosen else one.why_not,
    ]


def _value(i: Interval | None, form: str) -> str:
    return "" if i is None else format(i.value, form)

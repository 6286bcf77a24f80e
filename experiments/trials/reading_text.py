"""What a trial says, as lines and rows of tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from offpolicy.tables import bounds, markdown
from offpolicy.trials.agreement import Agreement
from offpolicy.trials.difference import LEAST_USERS, Difference
from offpolicy.trials.segments import Segments


def difference_rows(differences: Mapping[str, Difference]) -> list[list[str]]:
    """A row each."""
    return [
        [
            name,
            f"{d.canary:.4g}",
            f"{d.control:.4g}",
            f"{d.value:+.4g}",
            f"[{d.low:+.4g}, {d.high:+.4g}]",
            f"{d.se:.2g}",
            said(d),
        ]
        for name, d in differences.items()
    ]


def said(d: Difference) -> str:
    """Which way, or why not."""
    if d.low > 0:
        return "higher"
    if d.high < 0:
        return "lower"
    if d.se == 0 and d.value == 0:
        return "nothing varied"
    if not np.isfinite(d.high - d.low):
        return f"no bounds below {LEAST_USERS} users an arm"
    return "cannot tell"


def segment_lines(s: Segments) -> list[str]:
    """The answer, and a table."""
    head = ["segment", "users", "difference", "for all segments, at all looks", "claim", "shrunk"]
    rows = [
        [
            one.name,
            f"{one.difference.users:,}",
            f"{one.difference.value:+.4g}",
            f"[{one.difference.low:+.4g}, {one.difference.high:+.4g}]",
            one.claim,
            f"{one.shrunk:+.4g} ± {one.shrunk_se:.2g}",
        ]
        for one in s.segments
    ]
    return [f"Segments (reward per user): {s.answer}", "", markdown(head, rows)]


def agreement_lines(a: Agreement) -> list[str]:
    """Both values, and where to look."""
    lines = [
        f"The canary's value ({a.estimand}): {a.own.value:.4g} {bounds(a.own)} by its own mean, "
        f"{a.estimated.value:.4g} {bounds(a.estimated)} from the control's log (effective sample "
        f"{a.ess:.0f}); difference {a.difference.value:+.4g} {bounds(a.difference, '+')}: "
        f"{a.verdict}"
    ]
    if a.look_at:
        lines += ["One of them is wrong. Look at:", *(f"* {line}" for line in a.look_at)]
    return lines

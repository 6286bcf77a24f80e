"""Bots: users whose behaviour is too regular for people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.doctor.findings import Finding, Level, by_p_value
from offpolicy.doctor.times import seconds
from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group
from offpolicy.poisoning.patterns import Trials, patterns
from offpolicy.poisoning.regular import LEAST_TRIALS, Regular, regular

SHOWN = 5  # users named in a sentence
FIX = (
    "Look at these users. Bots and test accounts are dropped by rule, for all policies alike "
    "(`longplay forget`), and a cap at the join bounds what is left (`longplay join --cap`)."
)


@dataclass(frozen=True, slots=True, eq=False)
class Bots:
    """Findings, one a pattern, and the users that stand out."""

    findings: tuple[Finding, ...]
    users: NDArray[np.int64]  # ids, with two patterns or more first
    patterns: tuple[tuple[str, ...], ...]  # of each of them
    share_of_rows: float
    share_of_reward: float  # in size
    looked: bool  # there were users enough for a pattern to say anything

    @property
    def suspected(self) -> bool:
        """A pattern is there that people do not show."""
        return any(f.level > Level.PASS for f in self.findings)


def bots(log: LoggedDataset, *, time: ArrayLike | None = None) -> Bots:
    """Look for users that take what stands at one place, refuse nothing, respond always alike and,
    with the `time` (N,) of decisions (s, or dates), decide at equal gaps or faster than a person.

    Users are sessions where the log names none. Each pattern is held against a beta-binomial law
    of the other users, and warned about at p < 3e-4. A pattern that half the users show, as
    responses of one value are, says nothing and is not looked at. Bots that imitate people are not
    seen by this; a cap bounds them.

    Raises:
        LogError: times that do not fit the log.
    """
    at = None if time is None else np.asarray(seconds(time), np.float64)
    if at is not None and at.shape != (len(log),):
        raise LogError(f"time has shape {at.shape}; it is ({len(log)},), one a decision")
    users = group(log.unit)
    ids = log.unit[users.first]
    findings, named, looked = [], dict[int, list[str]](), False
    for trials in patterns(log, users, at):
        found = regular(trials.hits, trials.trials)
        looked |= found is not None
        findings.append(_finding(log, trials, found, ids, users.first))
        if found is not None and findings[-1].level > Level.PASS:
            for user in found.users.tolist():
                named.setdefault(user, []).append(trials.name)
    order = sorted(named, key=lambda u: (-len(named[u]), u))
    mine = np.isin(users.code, np.array(order, np.int64))
    size = np.abs(log.reward)
    paid = float(size.sum())
    return Bots(
        tuple(findings),
        ids[np.array(order, np.int64)],
        tuple(tuple(named[u]) for u in order),
        float(mine.mean()) if len(log) else 0.0,
        float(size[mine].sum()) / paid if paid > 0 else 0.0,
        looked,
    )


def _finding(
    log: LoggedDataset,
    trials: Trials,
    found: Regular | None,
    ids: NDArray[np.int64],
    first: NDArray[np.int64],
) -> Finding:
    name = f"bots: {trials.name}"
    if found is None:
        return Finding(
            name,
            Level.PASS,
            f"says nothing here: too few users with {LEAST_TRIALS} trials, or too many are regular",
            trials.rule,
        )
    told = f"{found.many or 'no'} users always"
    if found.many:
        told += f", {found.expected:.2g} expected of people"
    if len(found.users):
        some = log.unit_names(ids[found.users[:SHOWN]])
        told += f" ({', '.join(some)}{' ...' if len(found.users) > SHOWN else ''})"
    told += f"; others {found.usual:.1%} of the time"
    row = int(first[found.users[0]]) if len(found.users) else None
    f = by_p_value(name, found.p_value, told, trials.rule, FIX, row)
    level = Level.WARN if f.level is Level.FAIL else f.level  # people may be of several kinds
    return Finding(name, level, f.found, trials.rule, f.fix, f.p_value, row if level else None)

"""The most that one user may add to a log: what is beyond is cut, and counted."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from offpolicy.log.dataset import LoggedDataset
from serving.joining.matching import Matched
from serving.joining.rule import UserCap

Sessions = tuple[tuple[Matched, ...], ...]


@dataclass(frozen=True, slots=True)
class Spent:
    """What users have added in a window."""

    decisions: int = 0
    reward: float = 0.0  # sum of sizes


Ledger = Mapping[tuple[str, int], Spent]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Sessions within the cap of decisions."""

    sessions: Sessions
    cut: tuple[int, ...]  # which of them were cut short
    left_out: tuple[Matched, ...]  # decisions beyond the cap
    order: tuple[int, ...]  # of sessions, in which users spend what they may


def within_decisions(
    sessions: Sessions, over_at: Sequence[float], cap: UserCap, ledger: Ledger, counts: Counter[str]
) -> Kept:
    """Sessions up to their users' most decisions; counts capped_decisions, those beyond.

    Users spend in the order in which sessions were over, so that it does not matter in how many
    parts, and in which order of events, a log is joined.
    """
    order = sorted(range(len(sessions)), key=lambda i: (over_at[i], _key(sessions[i])))
    room = {k: len(s) for k, s in enumerate(sessions)}
    spent: defaultdict[tuple[str, int], int] = defaultdict(int)
    most = math.inf if cap.decisions is None else cap.decisions
    for i in order:
        key = _window(sessions[i], cap)
        before = spent[key] + (ledger[key].decisions if key in ledger else 0)
        room[i] = int(min(len(sessions[i]), max(most - before, 0)))
        spent[key] += room[i]
    left_out = tuple(m for i, session in enumerate(sessions) for m in session[room[i] :])
    counts["capped_decisions"] += len(left_out)
    held = [i for i in range(len(sessions)) if room[i]]
    place = {i: at for at, i in enumerate(held)}
    return Kept(
        tuple(sessions[i][: room[i]] for i in held),
        tuple(place[i] for i in held if room[i] < len(sessions[i])),
        left_out,
        tuple(place[i] for i in order if i in place),
    )


def within_reward(
    log: LoggedDataset, kept: Kept, cap: UserCap, ledger: Ledger, counts: Counter[str]
) -> tuple[LoggedDataset, dict[tuple[str, int], Spent]]:
    """The log with rewards scaled down where a user's total would pass the cap, places alike; and
    what each user has added by now. Counts capped_rewards, the decisions whose reward was cut."""
    starts = np.cumsum([0, *(len(session) for session in kept.sessions)])
    share, total = np.ones(len(log)), dict(ledger)
    size = np.abs(log.reward)
    for i in kept.order:
        key, rows = _window(kept.sessions[i], cap), slice(int(starts[i]), int(starts[i + 1]))
        before = total.get(key, Spent())
        earned = before.reward + np.cumsum(size[rows])
        if cap.reward is not None and earned[-1] > cap.reward:
            paid = np.diff(np.minimum(np.r_[before.reward, earned], cap.reward))
            share[rows] = np.divide(paid, size[rows], out=np.ones(len(paid)), where=size[rows] > 0)
            earned = np.minimum(earned, cap.reward)
        total[key] = Spent(before.decisions + len(kept.sessions[i]), float(earned[-1]))
    counts["capped_rewards"] += int((share < 1).sum())
    if not (share < 1).any():
        return log, total
    assert log.position_reward is not None
    reward, places = log.reward * share, log.position_reward * share[:, None]
    return replace(log, reward=reward, position_reward=places), total


def current(ledger: Ledger, window: float, since: float) -> dict[tuple[str, int], Spent]:
    """Without the windows that ended before `since` (s)."""
    return {key: spent for key, spent in ledger.items() if (key[1] + 1) * window >= since}


def _window(session: Sequence[Matched], cap: UserCap) -> tuple[str, int]:
    """User, and number of the window that a session counts in: that of its first decision."""
    first = session[0].decision
    return first.user, int(first.time // cap.window)


def _key(session: Sequence[Matched]) -> str:
    return session[0].decision.session_key

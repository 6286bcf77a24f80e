"""What rules closed for one user, place by place, and why in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.observation import Observation
from policies.rules.constrained import Checked, closed_by_place
from policies.rules.constraints import KINDS, Banned, Cap, Quota, Repeats, Rule
from policies.slates.distributions import SlateDistribution
from serving.explaining.explanation import Closed, RuleEffect

I32 = NDArray[np.int32]


class Closings(NamedTuple):
    """Of one user's C columns."""

    closed: list[Closed | None]  # (C,)
    rules: tuple[RuleEffect, ...]
    left: NDArray[np.bool_]  # (C,) what rules leave before the first place


class Scene(NamedTuple):
    """What reasons speak of."""

    item: int
    history: I32  # (n,)
    above: I32  # (k,) items at the places above
    names: Sequence[str]


def closings(
    d: SlateDistribution, obs: Observation, items: I32, slate: I32, names: Sequence[str]
) -> Closings:
    """Of one row: a distribution that a policy under rules gave for it, its candidates items
    (1, C), and a slate (1, K) of columns."""
    left = items[0] >= 0 if obs.eligible is None else (items[0] >= 0) & obs.eligible[0]
    history = obs.history_items[0][obs.history_items[0] >= 0]
    shown = np.where(slate[0] >= 0, items[0][slate[0]], -1)
    found: list[Closed | None] = [None] * items.shape[1]
    counts: list[tuple[Rule, int]] = []
    for rule, seen in _rules(d):
        closed = rule.closed(seen, items)[0] & left
        for column in np.flatnonzero(closed).tolist():
            scene = Scene(int(items[0, column]), history, shown[:0], names)
            found[column] = _closed(rule, None, scene)
        left = left & ~closed
        counts.append((rule, int(closed.sum())))
    rules = tuple(rule for rule, _ in counts)
    places = [0] * len(rules)
    for k, by_rule in enumerate(closed_by_place(rules, items, left[None], slate)):
        for r, columns in by_rule.items():
            places[r] += bool(columns.any())
            for column in np.flatnonzero(columns[0]).tolist():
                if found[column] is None:
                    scene = Scene(int(items[0, column]), history, shown[:k], names)
                    found[column] = _closed(rules[r], k + 1, scene)
    effects = tuple(
        RuleEffect(name=rule.name, kind=kind_of(rule), closed=n, places=places[r])
        for r, (rule, n) in enumerate(counts)
    )
    return Closings(found, effects, left)


def kind_of(rule: Rule) -> str:
    """The kind that saved policies name, or the rule's class."""
    kinds = {cls: kind for kind, (cls, _) in KINDS.items()}
    return kinds.get(type(rule), type(rule).__name__)


def _rules(d: SlateDistribution) -> Iterator[tuple[Rule, Observation]]:
    """Rules and what each saw, the outermost first."""
    while isinstance(d, Checked):
        yield from zip(d.rules, d.seen, strict=True)
        d = d.inner


def _closed(rule: Rule, place: int | None, scene: Scene) -> Closed:
    why = WHY.get(type(rule), _by_another)(rule, scene)
    return Closed(rule=rule.name, kind=kind_of(rule), place=place, why=why)


def _banned(rule: Banned, scene: Scene) -> str:
    return "nobody may be shown this item"


def _repeats(rule: Repeats, scene: Scene) -> str:
    same = scene.history[rule.group[scene.history] == rule.group[scene.item]]
    held = _names(np.unique(same), scene.names)
    what = "it" if (same == scene.item).all() else f"items of its group ({held})"
    limit = "" if rule.times == 1 else f", and {rule.times} times is the limit"
    return f"the user took {what} {_times(len(same))} before{limit}"


def _cap(rule: Cap, scene: Scene) -> str:
    if rule.most == 0:
        return "no item of its group may be shown"
    of_group = scene.above[rule.group[scene.above] == rule.group[scene.item]]
    n = "1 item" if rule.most == 1 else f"{rule.most} items"
    return f"at most {n} of its group in a slate: {_names(of_group, scene.names)} above"


def _quota(rule: Quota, scene: Scene) -> str:
    if not rule.members[scene.item]:
        return f"the places left are kept for members, of whom a slate shows at least {rule.least}"
    if rule.most == 0:
        return "no member may be shown"
    members = scene.above[rule.members[scene.above]]
    return f"at most {rule.most} members in a slate: {_names(members, scene.names)} above"


def _by_another(rule: Rule, scene: Scene) -> str:
    return "the rule closes it"


WHY: dict[type[Any], Callable[[Any, Scene], str]] = {
    Banned: _banned,
    Repeats: _repeats,
    Cap: _cap,
    Quota: _quota,
}


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _names(items: NDArray[Any], names: Sequence[str], most: int = 3) -> str:
    some = [names[i] for i in items.tolist()[:most]]
    return ", ".join(some) + (" ..." if len(items) > most else "")

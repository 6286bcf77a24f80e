"""Which events of a log still mean the same: those of this catalogue, and of this secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from serving.contracts.events import read_event
from serving.contracts.starts import Start
from serving.events.log import EventReader
from serving.events.reading import START

SHOWN = re.compile(rb'"slate":(\[[^]]*\]),"items":(\[.*?\]),"propensity":')


class Restorable(NamedTuple):
    """From where on events can be told to a session store."""

    after: dict[str, int]  # of each writer, events with numbers above
    items: bool  # whether some before are of other items or responses, or in another order
    secret: bool  # whether some before name users by another secret


def restorable(
    events: EventReader,
    after: Mapping[str, int],
    *,
    names: Sequence[str],
    response_names: Sequence[str],
    keyed_by: str,
) -> Restorable:
    """Of the events after `after`, those for which item i is names[i] and users have the keys that
    they have now. Histories in numbers of another catalogue would be other histories, and nothing
    would show it: the log says what was seen.

    keyed_by: the secret's fingerprint. What a start does not say is taken from the decisions after
    it, which hold both names and numbers; one of others counts until the next start.
    """
    found: dict[str, int] = {}
    any_items = any_secret = False
    for writer in events.writers():
        cut, items, secret = after.get(writer, -1), False, False
        if cut >= 0:  # the first of all is mostly a start; what it says is told and cuts nothing
            first = next(iter(events.read(writer)), None)
            start = None if first is None else _start(first.event)
            any_secret = any_secret or _differs(start, names, response_names, keyed_by)[1]
        for entry in events.read(writer, cut):
            if (start := _start(entry.event)) is not None:
                items, secret = _differs(start, names, response_names, keyed_by)
            items = items or _others(entry.event, names)
            if items or secret:
                cut = entry.number
            any_items, any_secret = any_items or items, any_secret or secret
        found[writer] = cut
    return Restorable(found, any_items, any_secret)


def _start(event: bytes) -> Start | None:
    if START not in event[:64]:
        return None
    found = read_event(event)
    return found if isinstance(found, Start) else None


def _differs(
    start: Start | None, names: Sequence[str], response_names: Sequence[str], keyed_by: str
) -> tuple[bool, bool]:
    if start is None:
        return False, False
    items = start.item_names not in (None, tuple(names)) or start.n_items != len(names)
    items = items or start.response_names != tuple(response_names)
    return items, start.keyed_by not in ("", keyed_by)


def _others(event: bytes, names: Sequence[str]) -> bool:
    """Whether a decision calls an item otherwise."""
    match = SHOWN.search(event)
    if match is None:
        return False
    numbers = [number for number in json.loads(match[1]) if number >= 0]
    told: list[str] = json.loads(match[2])
    return [names[n] for n in numbers if n < len(names)] != told

"""What the columns of a table are likely to be, by their names and by what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.storage.derived import CLICKED
from offpolicy.storage.foreign import table_columns
from offpolicy.storage.instants import instants
from offpolicy.storage.lists import looks_like_lists

Kind = Literal["interactions", "log"]
USER = ("user", "user_id", "userid", "uid", "customer_id", "customer", "member_id", "account_id",
        "visitor_id", "visitorid", "user_id:token", "listener_id")  # fmt: skip
TIME = ("timestamp", "time", "played_at", "ts", "datetime", "date", "event_time", "created_at",
        "time_ms", "timestamp:float", "at", "watched_at", "viewed_at", "listened_at",
        "event_timestamp")  # fmt: skip
ITEM = ("item", "item_id", "itemid", "track_id", "song_id", "video_id", "movie_id", "product_id",
        "article_id", "content_id", "iid", "item_id:token", "asin", "sku", "track", "action",
        "action_id", "arm")  # fmt: skip
REWARD = ("reward", "completed", "rating", "rating:float", "click", "clicked", "liked", "is_click",
          "label", "watch_time", "play_time_ms", "score", "stars", "purchased", "r")  # fmt: skip
NAMES: dict[Kind, dict[str, tuple[str, ...]]] = {
    "interactions": {"user": USER, "item": ITEM, "timestamp": TIME, "reward": REWARD},
    "log": {
        "session": ("session", "session_id", "sessionid", "visit", "visit_id", "episode",
                    "episode_id", "eps_id", "impression_session"),
        "step": ("step", "t", "step_id", "position_in_session", "turn"),
        "time": TIME,
        "user": USER,
        "slate": ("slate", "rank_list", "ranking", "items", "shown", "shown_items", "item_list",
                  "recommendations", "impressions", *ITEM),
        "propensity": ("propensity", "prob", "p", "pscore", "propensity_score", "action_prob",
                       "probability", "_label_probability"),
        CLICKED: ("clicked_list", "clicks", "click_list", "clicked_items", "clicked"),
        "reward": (*REWARD, "cost"),
        "consumed": ("consumed", "taken", "chosen", "selected", "clicked_id"),
        "candidates": ("candidates", "candidate_list", "candidate_items"),
        "terminated": ("terminated", "done", "terminal"),
        "truncated": ("truncated", "timeout"),
        "logger": ("logger", "policy", "policy_name", "experiment", "variant"),
    },
}  # fmt: skip
NEEDED: dict[Kind, tuple[str, ...]] = {
    "interactions": ("user", "item", "timestamp"),
    "log": ("slate", "propensity", "reward"),
}
READ = 200  # rows that a guess is made of


class Guess(NamedTuple):
    """What a table seems to be."""

    kind: Kind
    columns: dict[str, str]  # ours -> theirs
    missing: tuple[str, ...]  # what is needed and not found
    unused: tuple[str, ...]  # columns that nothing reads


def guess(table: Any) -> Guess:
    """A log of decisions where probabilities or slates are there, else interactions."""
    names = list(table.column_names)
    if len(set(names)) < len(names):
        return Guess("interactions", {}, NEEDED["interactions"], tuple(names))
    there = _arrays(table.slice(0, READ))
    kind: Kind = "log" if _found("propensity", "log", there, ()) else "interactions"
    columns: dict[str, str] = {}
    for ours in NAMES[kind]:
        theirs = _found(ours, kind, there, tuple(columns.values()))
        if theirs is not None:
            columns[ours] = theirs
    if "step" in columns:
        columns.pop("time", None)
    given = {*columns, *(("reward", "consumed") if CLICKED in columns else ())}
    missing = tuple(n for n in NEEDED[kind] if n not in given)
    if "session" in columns and not {"step", "time"} & set(columns):
        missing += ("step or time",)
    unused = tuple(n for n in there if n not in columns.values())
    return Guess(kind, columns, missing, unused)


def _arrays(table: Any) -> dict[str, NDArray[Any]]:
    """The columns, without what is missing where there are no arrays with it: lists. Whoever reads
    such a column says which row it is."""
    there: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        column = table.select([name])
        try:
            there |= table_columns(column)
        except LogError:
            there |= table_columns(column.drop_null())
    return there


def _found(
    ours: str, kind: Kind, there: Mapping[str, NDArray[Any]], used: Sequence[str]
) -> str | None:
    """The first column of such a name that holds what it should."""
    folded = {name.strip().lower().replace(" ", "_"): name for name in there}
    for name in NAMES[kind][ours]:
        theirs = folded.get(name)
        if theirs is not None and theirs not in used and _fits(ours, there[theirs]):
            return theirs
    if ours in ("timestamp", "time"):  # or the one column of dates, whatever its name
        dates = [name for name, x in there.items() if name not in used and _are_dates(x)]
        return dates[0] if len(dates) == 1 else None
    return None


def _are_dates(column: NDArray[Any]) -> bool:
    """Dates, or text that is dates; no numbers."""
    texts = column.ndim == 1 and _are_texts(column) and not _lists(column)
    if texts and all(str(x).isdigit() for x in column[:100].tolist()):
        return False
    return column.dtype.kind == "M" or (texts and _are_times(column))


def _fits(ours: str, column: NDArray[Any]) -> bool:
    """Whether a column holds what ours holds."""
    several = column.ndim > 1 or looks_like_lists(column) or _lists(column)
    if ours in ("timestamp", "time"):
        return not several and _are_times(column)
    if ours == CLICKED:
        return several or column.dtype.kind in "OUT"
    if ours in ("slate", "candidates"):
        return True
    if ours in ("reward", "propensity", "step"):
        return not several and column.dtype.kind in "biufO" and not _are_texts(column)
    return not several


def _are_times(column: NDArray[Any]) -> bool:
    first = column[:100]
    if first.dtype.kind == "O":
        first = first[[x is not None and x == x for x in first.tolist()]]
    try:
        instants("time", first)
    except LogError:
        return False
    return True


def _are_texts(column: NDArray[Any]) -> bool:
    return column.dtype.kind == "O" and any(isinstance(x, str) for x in column[:100].tolist())


def _lists(column: NDArray[Any]) -> bool:
    return column.dtype.kind == "O" and any(
        isinstance(x, list | np.ndarray) for x in column[:100].tolist()
    )

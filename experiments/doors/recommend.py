"""`longplay recommend`: what to show one user, ids in and ids out."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments.common.tables import text_table
from experiments.data.datasets import Interactions, load
from offpolicy.storage.vocabularies import load_vocabulary
from offpolicy.vocabulary import Vocabulary
from policies.saving.by_id import Recommendation, names_beside, recommend_items, saved_model
from policies.saving.checkpoint import saved_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Recommend items to one user, by the ids of your own data. What the user consumed is not
    recommended again, unless you ask for it."""

    policy: Path | None = None
    """A saved policy, or the run folder of train-policy or improve."""
    encoder: Path | None = None
    """A saved encoder, or the run folder of train-encoder, instead of a policy."""
    user: str | None = None
    """The user whose history is looked up in --data."""
    history: str | None = None
    """What the user consumed instead, oldest first: trk_3,trk_14; "" for a new user."""
    data: str | None = None
    """Where users' histories are: a table of interactions, or ml-100k and the like."""
    columns: tuple[str, ...] = ()
    """What the columns of --data are called, ours=theirs: item=track_id timestamp=played_at; or a
    .yaml that longplay inspect wrote."""
    data_root: Path | None = None
    """Folder that holds the data sets; the variable LONGPLAY_DATA otherwise."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 10
    """Items wanted."""
    repeat: bool = False
    """Items of the history may be recommended again."""
    candidates: str | None = None
    """Items to choose among: trk_1,trk_2; all by default."""
    user_vector: tuple[float, ...] = ()
    """The observable user, for a policy that reads it: its numbers in order."""
    items: Path | None = None
    """The names of the items in the order of the model's ids (.txt, .json), where the folder does
    not hold them."""
    json: bool = False
    """Print JSON instead of a table."""


def run(settings: Settings) -> int:
    """Print the recommendation."""
    if (settings.policy is None) == (settings.encoder is None):
        raise ValueError("name one model: --policy FOLDER or --encoder FOLDER")
    folder = saved_in(settings.policy or settings.encoder or Path())
    model = saved_model(folder)
    names = names_beside(folder) if settings.items is None else load_vocabulary(settings.items)
    past, notes = history_of(settings, names)
    made = recommend_items(
        model,
        past,
        settings.k,
        names=names,
        repeats=settings.repeat,
        user=settings.user_vector or None,
        candidates=None if settings.candidates is None else listed(settings.candidates),
    )
    if made.lacks:
        notes.append(
            f"the policy reads {', '.join(made.lacks)} as well, which is not given here: zeros "
            "stand in"
        )
    if settings.json:
        print(json.dumps(as_json(settings, past, made, notes), ensure_ascii=False, indent=1))
        return 0
    for note in notes:
        print(f"NOTE: {note}", file=sys.stderr)
    print(as_text(settings, past, made))
    return 0


def history_of(settings: Settings, names: Vocabulary | None) -> tuple[list[str], list[str]]:
    """Ids that the user consumed, oldest first, and what to say of them.

    Raises:
        ValueError: not one of --user and --history, no --data, or an unknown user.
    """
    if (settings.user is None) == (settings.history is None):
        raise ValueError("name one: --user ID with --data FILE, or --history trk_3,trk_14")
    if settings.history is not None:
        return listed(settings.history), []
    if settings.data is None:
        raise ValueError(
            f"--user {settings.user}: say where its history is, --data FILE, or give the history "
            "itself, --history trk_3,trk_14"
        )
    data = load(settings.data, settings.data_root, settings.columns)
    if not isinstance(data, Interactions):
        raise ValueError(f"{settings.data} holds decisions, no histories of users")
    past = data.items.of_codes(data.sequences[row_of(data, str(settings.user))])
    known = [one for one in past if names is None or one in names]
    if not known and past:
        raise ValueError(
            f"the model knows none of the {len(past)} items of user {settings.user}: was it "
            f"trained on other data? One of its items is {names.names[0] if names else ''!r}, one "
            f"of the user's {past[0]!r}"
        )
    lost = len(past) - len(known)
    return known, [f"{lost} of {len(past)} items are unknown to the model"] if lost else []


def row_of(data: Interactions, user: str) -> int:
    """Where a user stands. Raises ValueError for one that the data does not hold."""
    users = data.users
    if users is None:  # data sets whose users are numbers
        held = data.sequences.users
        ids = range(len(data.sequences)) if held is None else held.tolist()
        users = Vocabulary(tuple(map(str, ids)), "users")
    return int(users.codes([user])[0])


def listed(text: str) -> list[str]:
    """a,b -> ["a", "b"]; an id that holds a comma stands in double quotes."""
    return [x.strip() for x in next(csv.reader([text], skipinitialspace=True), []) if x.strip()]


def as_json(
    settings: Settings, past: list[str], made: Recommendation, notes: list[str]
) -> dict[str, Any]:
    """All that is known, for programs."""
    rows = [
        {"item": item}
        | ({} if made.scores is None else {"score": made.scores[at]})
        | ({} if made.first_place is None else {"first_place": made.first_place[at]})
        for at, item in enumerate(made.items)
    ]
    head = {"user": settings.user, "history": len(past)}
    return head | {"items": rows, "propensity": made.propensity, "notes": notes}


def as_text(settings: Settings, past: list[str], made: Recommendation) -> str:
    """A table of the items."""
    rows = []
    for at, item in enumerate(made.items):
        row = {"item": item, "": str(at + 1)}
        if made.scores is not None:
            row["log-probability" if made.first_place is None else "score"] = (
                f"{made.scores[at]:.4f}"
            )
        if made.first_place is not None:
            row["chance to be first"] = f"{made.first_place[at]:.4g}"
        rows.append(row)
    who = "a user" if settings.user is None else f"user {settings.user}"
    lines = [f"For {who} after {len(past)} items, the last: {', '.join(past[-3:]) or 'none'}\n"]
    lines.append(text_table(rows))
    if made.propensity is not None:
        lines.append(f"\nThe policy shows this slate with probability {made.propensity:.4g}.")
    return "\n".join(lines)

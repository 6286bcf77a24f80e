"""An explanation for a person: sentences, and three aligned tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Body = Mapping[str, Any]  # the JSON of an explanation
NOTHING = "-"


def text_of(body: Body, top: int) -> str:
    """The JSON of an explanation in plain English; `top` rows a table at most."""
    blocks = [
        _heading(body),
        _components(body),
        _candidates(body, top),
        _closed(body, top),
        _influence(body, top),
        "\n".join(f"Note: {note}." for note in body["notes"]),
    ]
    return "\n\n".join(block for block in blocks if block)


def _heading(body: Body) -> str:
    about, history = body["about"], body["history"]
    items = ", ".join(history[-8:]) or "empty"
    more = f"({len(history) - 8} earlier items, then) " if len(history) > 8 else ""
    lines = [f"History, oldest first: {more}{items}."]
    if about == "decision":
        lines.insert(0, f"Decision {body['decision_id']} by policy {body['policy']}.")
        if body["fallback"]:
            lines.insert(1, f"The fallback drew it, uniformly, because: {body['fallback']}.")
        lines.append(f"The slate was shown with propensity {body['logged_propensity']:.4g}.")
    else:
        whose = "the stored history of the user" if about == "user" else "the history typed in"
        lines.insert(0, f"Policy {body['policy']} on {whose}. Nothing was drawn: the slate is the "
                     "policy's ranking.")  # fmt: skip
        lines.append(f"This slate would be drawn with propensity {body['propensity']:.4g}.")
    return "\n".join(lines)


def _components(body: Body) -> str:
    how = {
        "softmax": "drawn by the softmax of the logit, place by place",
        "best": "the largest logits, surely",
        "draws": "the best slate of one of several posterior draws, whose mean is the score",
        "other": "drawn by a distribution of its own",
    }
    lines = []
    for one in body["components"]:
        scores = "logit = " + " + ".join(one["parts"]) if one["parts"] else "all candidates alike"
        if one["temperature"] not in (None, 1.0):
            scores += f" (over temperature {one['temperature']:g})"
        share = f"{one['weight']:.1%} of slates, {one['name']}"
        lines.append(f"{share}: {scores}; {how[one['form']]}.")
    return "\n".join(lines)


def _candidates(body: Body, top: int) -> str:
    main = max(range(len(body["components"])), key=lambda n: body["components"][n]["weight"])
    parts = body["components"][main]["parts"]
    places = {one["item"]: one for one in body["slate"]}
    reranked = any(one["adjustment"] for one in body["slate"])
    rows = []
    open_ones = [one for one in body["candidates"] if one["closed"] is None or one["place"]]
    for one in open_ones[:top]:
        place = places.get(one["item"])
        row = {"place": NOTHING if place is None else str(one["place"]), "item": one["item"]}
        row |= {name: _number(one["parts"][main][name]) for name in parts}
        row |= {"logit": _number(one["logits"][main]), "first": f"{one['propensity']:.4f}"}
        row["at its place"] = NOTHING if place is None else f"{place['propensity']:.4f}"
        if reranked:
            row["re-ranking there"] = NOTHING if place is None else _number(place["adjustment"])
        rows.append(row)
    if not rows:
        return "Nothing may be shown."
    rest = len(open_ones) - len(rows)
    more = f"\n... and {rest} more candidates" if rest else ""
    head = "Candidates; first = chance to stand first, at its place = given the places above:\n"
    return head + aligned(rows, left=2) + more


def _closed(body: Body, top: int) -> str:
    closed = [one for one in body["candidates"] if one["closed"] and not one["place"]]
    if not closed:
        return ""
    lines = []
    for one in closed[: max(top // 2, 1)]:
        why = one["closed"]
        since = "" if why["place"] is None else f" from place {why['place']} on"
        lines.append(f"  {one['item']}{since}: rule {why['rule']!r}, {why['why']}.")
    n = [f"{r['name']} {r['closed']}" for r in body["rules"] if r["closed"]]
    head = f"Left out by rules: {len(closed)} candidates"
    head += f" (for this user: {', '.join(n)})." if n else "."
    rest = len(closed) - len(lines)
    return "\n".join([head, *lines] + ([f"  ... and {rest} more"] if rest else []))


def _influence(body: Body, top: int) -> str:
    if body["influence"] is None:
        return ""
    if not body["influence"]:
        return "There is no past item that could have moved the scores."
    rows = []
    for one in body["influence"][: max(top // 2, 1)]:
        moved = [m for m in one["items"] if m["score"] is not None]
        most = max(moved, key=lambda m: abs(m["score"]), default=None)
        rows.append(
            {
                "past item": one["item"],
                "ago": str(one["ago"]),
                "mean move": f"{one['moved']:.3f}",
                "moved most": NOTHING if most is None else f"{most['item']} {most['score']:+.3f}",
                "propensity of the slate": f"{one['slate_propensity']:+.2g}",
            }
        )
    head = "Past items by how far they move the slate's scores (with the item, minus without it):\n"
    rest = len(body["influence"]) - len(rows)
    return head + aligned(rows, left=1) + (f"\n... and {rest} more past items" if rest else "")


def aligned(rows: Sequence[Mapping[str, str]], *, left: int) -> str:
    """Rows of equal keys as columns, the first `left` of them to the left."""
    names = list(rows[0])
    width = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}

    def line(row: Mapping[str, str]) -> str:
        cells: Iterable[str] = (
            row[n].ljust(width[n]) if i < left else row[n].rjust(width[n])
            for i, n in enumerate(names)
        )
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in [dict(zip(names, names, strict=True)), *rows])


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"

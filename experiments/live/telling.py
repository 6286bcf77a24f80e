"""What happened in the loop, in sentences, from the records of its days."""

from __future__ import annotations

from typing import Any

from experiments.live.users.crowd import DAY

Record = dict[str, Any]


def short_names(records: list[Record]) -> dict[str, str]:
    """v1, v2 ... of the versions, in the order in which they were served or learnt."""
    names: dict[str, str] = {}
    for record in records:
        learnt = record["learnt"] or {}
        stepped = [step["version"] for step in record["steps"]]
        for version in [*record["versions"], record["forged"], *stepped, learnt.get("version")]:
            if version is not None and version != "fallback":
                names.setdefault(version, f"v{len(names) + 1}")
    return names


def happenings(records: list[Record], scenario: str, event: int) -> list[Record]:
    """In the order of time: day (with a fraction), kind, version and what, in words."""
    names, found = short_names(records), []
    before = None
    for record in records:
        day = record["day"]
        if day == event and scenario == "drift":
            found.append(_one(day, "drift", None, "what users like changes at once"))
        if record["forged"]:
            name = names[record["forged"]]
            found.append(_one(day, "forged", name, f"{name} comes with a forged gate report"))
        for step in record["steps"]:
            at = (step["rollout"], step["phase"], step["weight"])
            if step["actions"] or at != before:
                kind = kind_of(step)
                name = names[step["version"]]
                text = step["reason"]
                found.append(_one(step["time"] / DAY, kind, name, text))
            before = at
        if record["alarm"]:
            found.append(_one(day + 1, "alarm", None, record["alarm"]["what"]))
        if record["learnt"]:
            found += _learnt(day + 1, record["learnt"], names)
    return found


def kind_of(step: Record) -> str:
    """Of a step of the controller: what it did; what is held for a person is given up here."""
    if step["phase"] == "held":
        return "given up"
    for kind in ("promote", "rollback", "weigh", "shadow", "alert"):
        if kind in step["actions"]:
            return kind
    return str(step["phase"])


def _learnt(day: float, learnt: Record, names: dict[str, str]) -> list[Record]:
    name = names.get(learnt["version"], "nothing new")
    text = f"{learnt['why']}; learnt from {learnt['sessions']:,} sessions: {name}"
    if learnt["verdict"] is not None:
        text += f"; gate: {learnt['verdict']} ({learnt['reason']})"
    return [_one(day, "learnt", name, text)]


def _one(day: float, kind: str, version: str | None, what: str) -> Record:
    return {"day": day, "kind": kind, "version": version or "", "what": what}

"""`--set a.b=c`: one setting of a command, or of what an option of the command names."""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml

from experiments.options.close import did_you_mean
from experiments.options.values import texts, typed

OPTION = "--set"
SUFFIX = "_set"  # of fields that hold the settings of what another field names, as key=value
OWN = "set"  # that field of a command which is about one thing: a policy, an encoder, a learner


def changed(settings: type, before: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """Values by field, with each `key=value` put where its key says.

    users=64: a field. policy.gamma=0.99: a setting of the policy, which the field `policy_set`
    holds, or `set` in a command that has no other. gamma=0.99: the same, in a command with a field
    `set` and none called gamma. first.epochs=30: the same of a part, in a command with a field
    `set` and none called first. What stands later replaces what stands earlier.

    Raises ValueError for a text that is no setting, and for a key that is no field.
    """
    fields = [f.name for f in dataclasses.fields(settings)]
    out = dict(before)
    for change in changes:
        key, equals, text = change.partition("=")
        name, dot, inner = key.replace("-", "_").partition(".")
        if not equals or not name or (dot and not inner):
            raise ValueError(f"{OPTION} {change}: write key=value, such as users=64")
        if not dot and name in fields and name != OWN:
            out[name] = value_of(text)
            continue
        holder = _holder(name, bool(dot), fields)
        if holder is None:
            raise ValueError(f"{OPTION} {change}: {_unknown(key, fields)}")
        part = holder == OWN and name not in (*fields, OWN)
        mine = key if part or not dot else inner
        kept = [t for t in _pairs(settings, out, holder) if t.partition("=")[0] != mine]
        out[holder] = [*kept, f"{mine}={text}"]
    return out


def settings_of(settings: type, values: dict[str, Any], source: str) -> dict[str, Any]:
    """Typed values of a mapping by field; a key with a dot (policy.gamma) is put as `--set` does.

    Raises ValueError for a key that is no field, and for a value of another type.
    """
    plain = typed(settings, {k: v for k, v in values.items() if "." not in k}, source)
    changes = [f"{k}={','.join(texts(v))}" for k, v in values.items() if "." in k]
    if not changes:
        return plain
    try:
        return typed(settings, changed(settings, plain, changes), source)
    except ValueError as error:
        raise ValueError(str(error).replace(OPTION, source + ":", 1)) from None


def value_of(text: str) -> Any:
    """A text as YAML reads it, with commas for lists: 0,1,2 is a list of three numbers."""
    if text.lower() == "none":  # as Python and the command line write it
        return None
    try:
        read = yaml.safe_load(f"[{text}]") if "," in text and text[0] not in "[{" else None
        return yaml.safe_load(text) if read is None else read
    except yaml.YAMLError:
        return text


def _holder(name: str, dotted: bool, fields: list[str]) -> str | None:
    if dotted and name + SUFFIX in fields:
        return name + SUFFIX
    return OWN if OWN in fields else None


def _pairs(settings: type, values: dict[str, Any], holder: str) -> list[str]:
    """The key=value texts that a field holds so far."""
    if holder in values:
        now = values[holder]
        return [f"{k}={v}" for k, v in now.items()] if isinstance(now, dict) else [*now]
    default = next(f.default for f in dataclasses.fields(settings) if f.name == holder)
    return [*default] if isinstance(default, tuple) else []


def _unknown(key: str, fields: list[str]) -> str:
    holders = [f.removesuffix(SUFFIX) for f in fields if f.endswith(SUFFIX)]
    plain = [f for f in fields if f != OWN and not f.endswith(SUFFIX)]
    inner = f", and {', '.join(f'{h}.KEY' for h in holders)}" if holders else ""
    return (
        f"there is no setting {key!r}{did_you_mean(key, plain)}; there are {', '.join(plain)}"
        f"{inner}"
    )

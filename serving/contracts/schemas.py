"""JSON Schema of messages, from the fields that check them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from serving.contracts.fields import SCHEMA, SCHEMAS, Message


def schema_of(
    cls: type[Message], kind: str, *, most: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """A message's JSON Schema (draft 2020-12), which lets through what its fields do.

    most: by a field's name, how many items a list of it may have.
    """
    properties: dict[str, Any] = {}
    for one in fields(cls):
        said = dict(SCHEMAS[one.metadata["parse"]])
        if one.metadata["about"]:
            said["description"] = one.metadata["about"]
        if one.default not in (MISSING, None):
            said["default"] = one.default
        if one.name in (most or {}):
            said = _bounded(said, (most or {})[one.name])
        properties[one.name] = said
    return {
        "type": "object",
        "properties": properties | {"schema": {"const": SCHEMA}, "type": {"const": kind}},
        "required": [one.name for one in fields(cls) if one.default is MISSING],
        "additionalProperties": False,
    }


def _bounded(schema: dict[str, Any], most: int) -> dict[str, Any]:
    if "anyOf" in schema:
        return schema | {"anyOf": [_bounded(one, most) for one in schema["anyOf"]]}
    return schema | {"maxItems": most} if schema.get("type") == "array" else schema

"""Fields that hold another message or one of a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.contracts.fields import (
    SCHEMAS,
    ContractError,
    Message,
    Parse,
    from_json,
    number,
    whole,
)

MOST_SAID = 10_000  # characters


def inner(cls: type[Message]) -> Parse:
    """A message of this class, or the object that its JSON is."""

    def read(name: str, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ContractError(
                f"{name} is of type {type(value).__name__}; it must be an object", field=name
            )
        try:
            return from_json(cls, value, name)
        except ContractError as error:
            raise error.within(name) from None

    SCHEMAS[read] = {"type": "object"}
    return read


def one_of(*words: str) -> Parse:
    """One of these words."""

    def read(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise ContractError(
                f"{name} is {str(value)[:80]!r}; it must be one of {', '.join(words)}", field=name
            )
        return value

    SCHEMAS[read] = {"enum": list(words)}
    return read


def flag(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ContractError(
            f"{name} is of type {type(value).__name__}; it must be true or false", field=name
        )
    return value


SCHEMAS[flag] = {"type": "boolean"}


def count(name: str, value: Any) -> int:
    """A whole number, 0 or more."""
    found = whole(name, value)
    if found < 0:
        raise ContractError(f"{name} is {found}; it must be 0 or more", field=name, limit=0)
    return found


SCHEMAS[count] = {"type": "integer", "minimum": 0}


def from_0(name: str, value: Any) -> float:
    """A finite number, 0 or more."""
    found = number(name, value)
    if found < 0:
        raise ContractError(f"{name} is {found:g}; it must be 0 or more", field=name, limit=0)
    return found


SCHEMAS[from_0] = {"type": "number", "minimum": 0}


def sentences(name: str, value: Any) -> str:
    """Text for people: up to 10,000 characters, or none."""
    if not isinstance(value, str) or len(value) > MOST_SAID:
        raise ContractError(f"{name} must be text of at most {MOST_SAID} characters", field=name)
    return value


SCHEMAS[sentences] = {"type": "string", "maxLength": MOST_SAID}

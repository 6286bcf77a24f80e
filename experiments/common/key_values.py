"""`key=value` settings on a command line: read, and held against what takes them."""

from __future__ import annotations

import ast
import math
from inspect import formatannotation
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

WORDS = {"true": "True", "false": "False", "none": "None"}


def parse(changes: tuple[str, ...]) -> dict[str, Any]:
    """`key=value` pairs: values as Python writes numbers, booleans, None and tuples, else text."""
    found: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise ValueError(f"{change!r} is no setting: write key=value")
        try:
            found[key] = ast.literal_eval(WORDS.get(text, text))
        except (ValueError, SyntaxError):
            found[key] = text
    return found


def typed(option: str, chosen: dict[str, Any], taker: Any) -> dict[str, Any]:
    """The values as a builder or config annotates them: a whole number for a float becomes one.

    Names that it does not know are passed on. Raises ValueError for a value of another type.
    """
    hints = get_type_hints(taker)
    for name, value in chosen.items():
        if name in hints and not fits(value, hints[name]):
            takes = formatannotation(hints[name]).replace("float", "finite float")
            raise ValueError(f"{option} {name}={value}: {name} takes {takes}")
    return {name: _as(value, hints.get(name)) for name, value in chosen.items()}


def _as(value: Any, hint: Any) -> Any:
    """1 -> 1.0 where only a float fits."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    kinds = get_args(hint) or (hint,)
    return float(value) if whole and float in kinds and int not in kinds else value


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type; a whole number is a float, too."""
    kind, parts = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if kind is Literal:
        return value in parts
    if kind is tuple:  # of any length
        return isinstance(value, tuple) and all(fits(one, parts[0]) for one in value)
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, hint)

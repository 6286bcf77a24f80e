"""`key=value` settings on a command line, read by tyro as a builder or config annotates them."""

from __future__ import annotations

import ast
import io
import math
from collections.abc import Callable
from contextlib import redirect_stderr
from inspect import formatannotation
from typing import Any, get_type_hints

import tyro
from tyro.constructors import UnsupportedTypeAnnotationError

WORDS = {"true": "True", "false": "False", "none": "None"}  # as settings are written elsewhere


def labelled(text: str) -> tuple[str, str]:
    """(label, what it names) of "label=what", or of "what", which is its own label."""
    label, equals, what = text.partition("=")
    if equals and label and what and "/" not in label and "," not in label:
        return label, what
    return text, text


def pairs(changes: tuple[str, ...]) -> dict[str, str]:
    """`key=value` texts by key; ValueError for one that has no key or no value."""
    split = {change: change.partition("=") for change in changes}
    for change, (key, equals, _) in split.items():
        if not equals or not key:
            raise ValueError(f"{change!r} is no setting: write key=value")
    return {key: WORDS.get(text, text) for key, _, text in split.values()}


def literals(changes: tuple[str, ...]) -> dict[str, Any]:
    """Values that nothing annotates, as Python writes numbers, booleans and tuples, else text."""
    return {key: _literal(text) for key, text in pairs(changes).items()}


def typed(option: str, texts: dict[str, str], taker: Callable[..., Any]) -> dict[str, Any]:
    """The texts as values of the types that `taker` annotates.

    Names that it does not know are left to it as they are. Raises ValueError for a text of another
    type, and for a number that is not finite.
    """
    hints = get_type_hints(taker)
    return {
        name: _value(option, name, text, hints[name]) if name in hints else text
        for name, text in texts.items()
    }


def _value(option: str, name: str, text: str, hint: Any) -> Any:
    words = [word for word in text.strip("()").replace(" ", "").split(",") if word]
    try:
        with redirect_stderr(io.StringIO()):  # tyro explains options; these are no options
            value = tyro.cli(hint, args=words)
        numbers = value if isinstance(value, tuple) else (value,)
        if all(math.isfinite(x) for x in numbers if isinstance(x, float)):
            return value
    except (SystemExit, UnsupportedTypeAnnotationError):
        pass
    takes = formatannotation(hint).replace("float", "finite float")
    raise ValueError(f"{option} {name}={text}: {name} takes {takes}")


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text

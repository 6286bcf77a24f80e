"""What every kind of executor offers: tasks that are submitted, waited for and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run a function on items.

    submit: an item -> a task, which can be hashed.
    result: a task -> what the function returned, or the error that it raised.
    first: tasks -> one of them that is done; it waits for it.
    workers: tasks that run at the same time.
    """

    submit: Callable[[Any], Any]
    result: Callable[[Any], Any]
    first: Callable[[list[Any]], Any]
    workers: int


def extra(module: str, name: str) -> Any:
    """A module of an extra; ImportError says what to install."""
    try:
        return import_module(module)
    except ImportError:
        message = f"executor {name}:… needs the extra: pip install 'longplay[{name}]'"
        raise ImportError(message) from None

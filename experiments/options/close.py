"""The name that a person may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ " (did you mean 'x'?)", or nothing where no name is like it."""
    near = get_close_matches(name, [*known], n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""

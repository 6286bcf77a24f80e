"""Item names that begin like what somebody types."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

MOST = 20


class Names:
    """Finds names by their beginning, whatever the case; in the time of a binary search."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names, key=str.casefold)

    def like(self, text: str, most: int = MOST) -> list[str]:
        """Up to `most` names that begin so, in alphabetical order."""
        start = text.casefold()
        first = bisect_left(self._names, start, key=str.casefold)
        some = self._names[first : first + most]
        return [name for name in some if name.casefold().startswith(start)]

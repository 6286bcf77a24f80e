"""Ids as a user knows them and the codes 0, 1, 2 … that stand for them inside: one frozen table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Names in the order of their codes.

    Raises LogError for an empty name and for a name that stands there twice.
    """

    names: tuple[str, ...]
    kind: str = "items"  # what they name, for messages
    _codes: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        codes = {name: code for code, name in enumerate(self.names)}
        object.__setattr__(self, "_codes", codes)
        if len(codes) < len(self.names):
            code, name = next((c, n) for c, n in enumerate(self.names) if codes[n] != c)
            raise LogError(
                f"{self.kind}: {name!r} is the name of {code} and of {codes[name]}. Give each its "
                "own name."
            )
        if "" in codes:
            raise LogError(f"{self.kind}[{codes['']}] has an empty name. Give it one.")

    @classmethod
    def of(cls, values: ArrayLike | Iterable[Any], kind: str = "items") -> Self:
        """The distinct values that are there, sorted: whole numbers by size, else by name. None,
        NaN and empty text name nothing."""
        distinct, _ = distinct_names(values)
        return cls(tuple(name for name in distinct if name), kind)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits: equal for equal names in the same order."""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._codes

    def known(self, values: ArrayLike | Iterable[Any]) -> NDArray[np.int64]:
        """Codes of values, in their shape; -1 for what is missing or has no name here."""
        distinct, at = distinct_names(values)
        codes = np.array([self._codes.get(name, -1) for name in distinct], np.int64)
        return np.asarray(codes[at] if len(codes) else at, np.int64)

    def codes(self, values: ArrayLike | Iterable[Any], column: str = "") -> NDArray[np.int64]:
        """As `known`. Raises LogError, which names the first value that has no code."""
        distinct, at = distinct_names(values)
        unknown = [name for name in distinct if name and name not in self._codes]
        if unknown:
            place = int(np.flatnonzero(at.ravel() == distinct.index(unknown[0]))[0])
            row = place // max(int(np.prod(at.shape[1:])), 1)
            name = repr(unknown[0])
            what = f"{column}[{row}] holds {name}, which is" if column else f"{name} is"
            raise LogError(
                f"{what} none of the {len(self):,} {self.kind}"
                f"{self._like(unknown[0])}. ({len(unknown)} such names)"
            )
        codes = np.array([self._codes.get(name, -1) for name in distinct], np.int64)
        return np.asarray(codes[at] if len(codes) else at, np.int64)

    def of_codes(self, codes: ArrayLike) -> list[str]:
        """Names of codes; "" for -1."""
        return ["" if code < 0 else self.names[code] for code in np.asarray(codes).tolist()]

    def _like(self, name: str) -> str:
        """Names that are written alike."""
        from difflib import get_close_matches

        some = get_close_matches(name, self.names[:20_000], n=1)
        example = some[0] if some else self.names[0] if self.names else ""
        return f"; one of them is {example!r}" if example else ""

    def to_bytes(self) -> NDArray[np.uint8]:
        """The names as an array that files of arrays can hold."""
        return np.frombuffer(json.dumps(self.names).encode(), np.uint8)

    @classmethod
    def from_bytes(cls, data: NDArray[np.uint8], kind: str = "items") -> Self:
        """What `to_bytes` made. Raises LogError where it is no list of names."""
        try:
            names = json.loads(np.asarray(data, np.uint8).tobytes())
        except ValueError as error:
            raise LogError(f"the names of the {kind} are damaged ({error}).") from error
        return cls(texts(names, f"the names of the {kind}"), kind)


def distinct_names(values: ArrayLike | Iterable[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """(names, codes in the shape of the values): the distinct values as text, sorted; where all
    are whole numbers, by size. What is missing (None, NaN, a negative number, empty text) has the
    name "".

    Raises LogError for a fraction, and for a float that has lost the id it stood for.
    """
    a = values if isinstance(values, np.ndarray) else _array(values)
    if a.dtype.kind in "OT":
        named = [_name(x) for x in a.ravel().tolist()]
        flat = np.array(named, dtype="U") if named else np.zeros(0, "U1")
    else:
        flat = _of_floats(a.ravel()) if a.dtype.kind == "f" else a.ravel()
    found, code = np.unique(flat, return_inverse=True)
    names = [_name(x) for x in found.tolist()]
    if names and all(map(_is_number, names)):
        order = sorted(range(len(names)), key=lambda i: int(names[i]) if names[i] else -1)
        place = np.empty(len(names), np.int64)
        place[order] = np.arange(len(names))
        names, code = [names[i] for i in order], place[code]
    if names.count("") > 1:  # of several negative numbers
        first = names.index("")
        keep = [i for i, name in enumerate(names) if name or i == first]
        at = np.array(
            [keep.index(i) if i in keep else keep.index(first) for i in range(len(names))]
        )
        names, code = [names[i] for i in keep], at[code]
    return names, np.asarray(code, np.int64).reshape(a.shape)


def _is_number(name: str) -> bool:
    """Whether it is how a whole number is written, or missing: 7 is, 007 is not."""
    return name == "" or (name.isascii() and name.isdigit() and str(int(name)) == name)


def _of_floats(x: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers that a missing entry made floats; -1 for what is missing."""
    gone = np.isnan(x)
    whole = np.where(gone, -1, x)
    wrong = np.flatnonzero((whole != np.floor(whole)) | (np.abs(whole) >= 2.0**53))
    if wrong.size:
        raise LogError(
            f"row {wrong[0]} holds {x[wrong[0]]!r}, a number that is no id. Read ids as text or as "
            "whole numbers."
        )
    return whole.astype(np.int64)


def _name(value: Any) -> str:
    """One id as text."""
    if value is None or value != value or (isinstance(value, int | float) and value < 0):
        return ""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _array(values: Any) -> NDArray[Any]:
    """Any values as an array; whole numbers of any size stay what they are."""
    listed = list(values) if not hasattr(values, "__array__") else values
    try:
        a = np.asarray(listed)
    except (ValueError, OverflowError):
        return np.array(listed, object)
    mixed = isinstance(listed, list) and a.dtype.kind in "UfO"
    return np.array(listed, object) if mixed and a.ndim == 1 else a


def texts(names: Any, where: str) -> tuple[str, ...]:
    """A list of names that was read. Raises LogError where it is none."""
    if not isinstance(names, Sequence) or isinstance(names, str):
        raise LogError(f"{where} holds no list of names.")
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise LogError(f"{where} holds {wrong!r}, which is no text.")
    return tuple(names)

"""Odd arguments: valid ones, changed at a few places into what a caller may send by mistake."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Arguments = dict[str, Any]

# fmt: off
AMOUNTS: tuple[Any, ...] = (
    0, -1, 1, 2, 3, 0.5, 2.0, math.nan, math.inf, -math.inf, True, "3", "", None, [], [1], (2,),
    {}, np.int64(2), np.float32(1.5), np.nan, 1 + 2j, b"1", -(2**63),
)
# fmt: on
# of what is counted or allocated: no number by which an honest call would take hours
# fmt: off
IDS = (
    -(2**63), -(2**31) - 1, -2, -1, 0, 1, 2, 3, 7, 255, 2**15, 2**31 - 1, 2**31, 2**63 - 1,
    2**63, 10**30,
)
# fmt: on
# fmt: off
REALS = (
    math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, -1e-12, 0.5, 1.0, 1 + 1e-9, 1.5, 2.0,
    5e-324, 1e-300, 1e-9, 1e9, 1e120, 1e200, 1.7e308, -1e308,
)
# fmt: on
# fmt: off
STRANGE: tuple[Any, ...] = (
    None, True, "", "x", "nan", "1", "\0", "é\u202e\U0001f600", "\ud800", b"x", [], [None],
    [[1], [2, 3]], (), {}, {"a": 1}, 1 + 2j,
)
# fmt: on
# fmt: off
WORDS: tuple[Any, ...] = (
    "", " ", "x", "no such", "UNIFORM", "\0", "é\U0001f600", "\ud800", "../..", "a" * 300, "1",
    "nan", None, 3, 0.5, [], b"x",
)
# fmt: on
# fmt: off
DTYPES = (
    "int8", "uint8", "int64", "uint64", "float16", "float32", "float64", ">i4", ">f8", "bool",
    "complex128", "U8", "S3", "object", "datetime64[s]",
)
# fmt: on


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An object that is made when the call is: a wrong field is refused by its class, or not."""

    cls: Callable[..., Any]
    given: Arguments

    def __call__(self) -> Any:
        return self.cls(**{name: made(value) for name, value in self.given.items()})


def made(value: Any) -> Any:
    """What a value is when the call begins."""
    if isinstance(value, list | tuple) and any(isinstance(one, Made) for one in value):
        return type(value)(made(one) for one in value)
    return value() if isinstance(value, Made) else value


def spoiled(
    given: Mapping[str, Any], rng: Generator, *, spared: frozenset[str] = frozenset()
) -> Arguments:
    """The same arguments, of which none, one or two are odd."""
    out, names = dict(given), sorted(given.keys() - spared)
    if not names:
        return out
    count = int(rng.choice(3, p=(0.15, 0.6, 0.25)))
    for name in rng.choice(names, size=min(count, len(names)), replace=False).tolist():
        out[name] = odd(out[name], rng)
    return out


def odd(value: Any, rng: Generator) -> Any:
    """Something like the value that may be wrong."""
    if isinstance(value, Made):
        return replace(value, given=spoiled(value.given, rng))
    if rng.random() < 0.05:
        return pick(STRANGE, rng)
    if isinstance(value, np.ndarray):
        return odd_array(value, rng)
    if isinstance(value, bool | np.bool_):
        return pick((True, False, 0, 1, 2, None, "yes"), rng)
    if isinstance(value, int | np.integer):
        return pick(AMOUNTS, rng)
    if isinstance(value, float | np.floating):
        return pick((*REALS, *AMOUNTS), rng)
    if isinstance(value, str):
        return pick(WORDS, rng)
    if isinstance(value, list | tuple):
        return odd_items(value, rng)
    if isinstance(value, dict):
        return odd_mapping(value, rng)
    if is_dataclass(value) and not isinstance(value, type):
        return Made(type(value), spoiled(_fields(value), rng))
    return value if value is not None else pick((*STRANGE, *AMOUNTS), rng)


def pick(values: Any, rng: Generator) -> Any:
    """One of several values, itself and no numpy scalar of it."""
    return values[int(rng.integers(len(values)))]


def odd_items(value: list[Any] | tuple[Any, ...], rng: Generator) -> Any:
    """A sequence that lost, gained, repeats or changed an item, or is none."""
    items = list(value)
    place = int(rng.integers(len(items) + 1))
    way = int(rng.integers(5))
    if way == 0 or not items:
        return pick(([], (), None, "", 3, {}, [[]], [None]), rng)
    place = min(place, len(items) - 1)
    if way == 1:
        items.insert(place, items[place])
    elif way == 2:
        del items[place]
    elif way == 3:
        return np.array(items, dtype=object)
    else:
        items[place] = odd(items[place], rng)
    return type(value)(items)


def odd_mapping(value: dict[Any, Any], rng: Generator) -> Any:
    """A mapping that lost, gained or changed an entry, or is none."""
    if not value or rng.random() < 0.2:
        return pick(({}, None, [], "x", {"x": 1}, {1: "x"}, {"": None}), rng)
    key = pick(sorted(value, key=str), rng)
    rest = {k: v for k, v in value.items() if k != key}
    way = int(rng.integers(3))
    return rest if way == 0 else rest | {(key if way == 1 else f"{key}?"): odd(value[key], rng)}


def odd_array(value: NDArray[Any], rng: Generator) -> Any:
    """An array with a wrong entry, shape, type or layout, or nearly an array."""
    ways = (_entry, _entry, _entry, _dtype, _shape, _shape, _layout, _nearly)
    return ways[int(rng.integers(len(ways)))](value, rng)


def _entry(x: NDArray[Any], rng: Generator) -> Any:
    """One entry, or all, replaced."""
    if not x.size:
        return x.copy()
    if x.dtype.kind == "f":
        out = x.astype(np.float64)
        new: Any = pick(REALS, rng)
    elif x.dtype.kind in "iu":
        new = pick((*IDS, int(x.max()) + 1, 0.5, math.nan), rng)
        wide = isinstance(new, float) or not -(2**63) <= new < 2**63
        out = x.astype(np.float64 if wide else np.int64)
    elif x.dtype.kind == "b":
        out, new = x.copy(), bool(rng.integers(2))
    else:
        out, new = x.astype(object), pick(STRANGE, rng)
    if rng.random() < 0.2:
        out[...] = new
    else:
        out[np.unravel_index(int(rng.integers(x.size)), x.shape)] = new
    keep = out.dtype != x.dtype and rng.random() < 0.5 and out.dtype.kind == x.dtype.kind
    with np.errstate(all="ignore"):
        return out.astype(x.dtype) if keep else out


def _dtype(x: NDArray[Any], rng: Generator) -> Any:
    """The same numbers in another type."""
    try:
        with np.errstate(all="ignore"):
            return x.astype(pick(DTYPES, rng))
    except (TypeError, ValueError):
        return x.astype(object)


def _shape(x: NDArray[Any], rng: Generator) -> Any:
    """Rows, columns or axes more or fewer."""
    axis = int(rng.integers(max(x.ndim, 1)))
    if not x.ndim:
        return np.repeat(x[None], int(rng.integers(3)))
    size = x.shape[axis]
    ways: tuple[Callable[[], Any], ...] = (
        lambda: x.take(np.arange(max(size - 1, 0)), axis=axis),
        lambda: x.take(np.append(np.arange(size), max(size - 1, 0)), axis=axis) if size else x,
        lambda: x.take(np.arange(0), axis=axis),
        lambda: x[None],
        lambda: x[..., None],
        lambda: x.ravel(),
        lambda: x.T.copy(),
        lambda: x.flat[0] if x.size else x,
        lambda: np.repeat(x, 2, axis=axis),
        lambda: x.take(np.arange(min(size, 1)), axis=axis),
    )
    return ways[int(rng.integers(len(ways)))]()


def _layout(x: NDArray[Any], rng: Generator) -> Any:
    """The same numbers, which lie otherwise in memory."""
    frozen = x.copy()
    frozen.flags.writeable = False
    ways = (
        frozen,
        np.asfortranarray(x),
        x[::-1],
        np.repeat(x, 2, axis=0)[::2] if x.ndim else x,
        np.ma.masked_array(x),
        x.astype(x.dtype.newbyteorder()) if x.dtype.kind in "iuf" else x,
    )
    return ways[int(rng.integers(len(ways)))]


def _nearly(x: NDArray[Any], rng: Generator) -> Any:
    """Lists, ragged lists, scalars, nothing."""
    lists = x.tolist()
    ways = [lists, None, [], [[]], 3, "x", [*lists, None] if isinstance(lists, list) else lists]
    if isinstance(lists, list) and lists and isinstance(lists[0], list):
        ways.append([lists[0][:-1], *lists[1:]])
    return pick(ways, rng)


def _fields(value: Any) -> Arguments:
    return {f.name: getattr(value, f.name) for f in fields(value) if f.init}

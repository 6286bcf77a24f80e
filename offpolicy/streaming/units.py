"""Whether the rows of every unit stand together, in one file, without holding the units' ids.

Files whose ids increase and whose ranges are apart are known to share no unit. Of other files the
ids become keys of 64 bits. Where there are few, the keys are kept from the first reading; else the
ids are read once more, and their keys spread over temporary files by their first bits and sorted
one such file at a time. What has equal keys is read again by name, so that the answer is exact.
Memory is 8 bytes for one in `SPREAD` units, or for `KEPT` of them if that is more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError

KEPT = 1 << 22  # keys of all files together that are kept
KEYS = 1 << 21  # looked at together
SPREAD = 256  # temporary files, at most
ROWS = 1 << 17  # read at a time
U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class UnitSpan:
    """Which units a file holds."""

    path: Path
    column: str
    kind: str  # "number" or "name"
    low: Any
    high: Any
    count: int  # of runs of rows of one unit
    ascending: bool  # each run's unit is larger than the one before, so that none comes twice
    keys: tuple[U64, ...] | None  # of the runs, where they are few


def span_of(path: Path, column: str, heads: NDArray[Any]) -> UnitSpan:
    """The span of the first units (G,) of a file; `heads` are those of runs of rows."""
    ascending = bool((heads[1:] > heads[:-1]).all())
    low, high = (heads[0], heads[-1]) if ascending else (heads.min(), heads.max())
    kind = "number" if heads.dtype.kind in "iu" else "name"
    keys = (_key(heads),) if kind == "number" else None
    return UnitSpan(path, column, kind, low, high, len(heads), ascending, keys)


def joined(first: UnitSpan | None, then: UnitSpan, keep: int) -> UnitSpan:
    """The span of units and of those that follow them in the same file; `keep` keys at most."""
    if first is None:
        return then if then.count <= keep else replace(then, keys=None)
    ascending = first.ascending and then.ascending and bool(then.low > first.high)
    low, high = min(first.low, then.low), max(first.high, then.high)
    count = first.count + then.count
    few = first.keys is not None and then.keys is not None and count <= keep
    keys = (*(first.keys or ()), *(then.keys or ())) if few else None
    return UnitSpan(first.path, first.column, first.kind, low, high, count, ascending, keys)


def check_units(spans: list[UnitSpan]) -> None:
    """Raise LogError unless the rows of each unit stand together, in one file."""
    for span in spans[1:]:
        if (span.column, span.kind) != (spans[0].column, spans[0].kind):
            raise LogError(
                f"{span.path} names its units by a {span.kind} in {span.column}, "
                f"{spans[0].path} by a {spans[0].kind} in {spans[0].column}; write all files with "
                "the same columns and types."
            )
    doubtful = _doubtful(spans)
    if doubtful:
        twice = _twice(doubtful)
        if twice.size:
            _name(doubtful, twice)


def _doubtful(spans: list[UnitSpan]) -> list[UnitSpan]:
    """Files that may share a unit with another, or hold one twice."""
    ordered = sorted(spans, key=lambda span: span.low)
    groups: list[list[UnitSpan]] = []
    reach: Any = None
    for span in ordered:
        if groups and span.low <= reach:
            groups[-1].append(span)
            reach = max(reach, span.high)
        else:
            groups.append([span])
            reach = span.high
    return [s for g in groups if len(g) > 1 or not g[0].ascending for s in g]


def _twice(spans: list[UnitSpan]) -> U64:
    """Keys that come more than once."""
    kept = [span.keys for span in spans if span.keys is not None]
    if len(kept) == len(spans):
        return _repeated(np.sort(np.concatenate([key for keys in kept for key in keys])))
    total = sum(span.count for span in spans)
    bits = min((total // KEYS).bit_length(), SPREAD.bit_length() - 1)
    every = (_key(heads) for span in spans for heads in _heads(span))
    if bits == 0:
        return _repeated(np.sort(np.concatenate(list(every))))
    with tempfile.TemporaryDirectory(prefix="longplay-units-") as folder:
        files = [Path(folder, str(k)) for k in range(1 << bits)]
        _spread(every, files, bits)
        return np.concatenate([_repeated(np.sort(np.fromfile(f, np.uint64))) for f in files])


def _spread(every: Iterable[U64], files: list[Path], bits: int) -> None:
    edges = (np.arange(1, len(files), dtype=np.uint64) << np.uint64(64 - bits)).astype(np.uint64)
    with ExitStack() as stack:
        writers = [stack.enter_context(file.open("wb")) for file in files]
        for keys in every:
            ordered = np.sort(keys)
            for writer, own in zip(
                writers, np.split(ordered, np.searchsorted(ordered, edges)), strict=True
            ):
                writer.write(own.data)


def _repeated(ordered: U64) -> U64:
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _name(spans: list[UnitSpan], twice: U64) -> None:
    """Raise LogError naming the first unit whose key is among `twice` and that really comes again;
    names that only share a key are none."""
    seen: dict[Any, Path] = {}
    for span in spans:
        for heads in _heads(span):
            for unit in heads[np.isin(_key(heads), twice, kind="sort")].tolist():
                if unit in seen:
                    where = sorted({str(seen[unit]), str(span.path)})
                    raise LogError(
                        f"unit {unit} stands in several places or files ({', '.join(where)}); run "
                        "`longplay compact` so that the rows of a session (or user) stand together."
                    )
                seen[unit] = span.path


def _heads(span: UnitSpan) -> Iterator[NDArray[Any]]:
    """The unit of every run of rows of a file, a batch at a time."""
    import pyarrow.parquet as pq

    last: Any = None
    for batch in pq.ParquetFile(span.path).iter_batches(ROWS, columns=[span.column]):
        unit = whole_ids(batch.column(0).to_numpy(zero_copy_only=False))
        if len(unit):
            starts = np.append(last is None or unit[0] != last, unit[1:] != unit[:-1])
            last = unit[-1]
            yield unit[starts]


def whole_ids(ids: NDArray[Any]) -> NDArray[Any]:
    """Ids as whole numbers where they are numbers.

    Raises:
        ValueError: a fraction, or a float so large that different ids may have become one.
    """
    if ids.dtype.kind == "b":
        return ids.astype(np.int64)
    if ids.dtype.kind != "f":
        return ids
    bad = ~((np.abs(ids) < 2.0**53) & (ids == np.floor(ids)))
    if bad.any():
        raise ValueError(
            f"holds {ids[bad][0]!r}; floats tell whole numbers apart only below 2^53. Write ids "
            "as integers or strings"
        )
    return ids.astype(np.int64)


def _key(units: NDArray[Any]) -> U64:
    """64 bits of an id: of numbers no two have the same."""
    if units.dtype.kind in "iu":
        return units.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    from pandas.util import hash_array

    return np.asarray(hash_array(units.astype(object), categorize=False), np.uint64)

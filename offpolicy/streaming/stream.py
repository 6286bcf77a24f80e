"""Logs larger than memory: Parquet in, moments out, a batch at a time.

A row needs a session, a step, a reward and either a weight (target / logging probability) or both
probabilities. Rows of a session stand together and in order (`longplay compact` does that), and
no session is split between files. With a column `user` all of this holds for users: they are then
the independent units, as everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial as bound
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.registry import ESTIMATORS, fitting
from offpolicy.estimators.terms import check_gamma
from offpolicy.executors.running import run_on
from offpolicy.intervals.inference import Interval
from offpolicy.storage.manifest import Part, damage, unreadable, verify_part
from offpolicy.storage.parquet import parquet_parts
from offpolicy.streaming.merging import merge, partial
from offpolicy.streaming.moments import Moments
from offpolicy.streaming.raw_terms import raw_terms, unit_column
from offpolicy.streaming.units import KEPT, UnitSpan, check_units, joined, span_of, whole_ids

BATCH = 1 << 17  # rows in memory per worker
OPTIONAL = ("weight", "user", "row_weight")
OWN_WEIGHTS = ("mips", "snmips", "lips")  # embeddings' and abstractions'
ROLES = ("session", "step", "reward", "propensity", "target", "weight", "user", "row_weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """What to read and what to estimate; small, so that it can be sent to workers."""

    horizon: str  # one_step | per_decision | trajectory
    estimators: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)  # role -> name in the files
    hyper: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if self.horizon not in ("one_step", "per_decision", "trajectory"):
            raise ValueError(
                f"no horizon {self.horizon!r} to stream; one_step, per_decision or trajectory"
            )
        records = {n: ESTIMATORS[n] for n in fitting(self.horizon)}
        known = [n for n, e in records.items() if not (e.needs_model or e.whole)]
        if not self.estimators or set(self.estimators) - set(known):
            raise ValueError(
                f"estimators = {', '.join(self.estimators) or 'none'}: a stream holds no model, so "
                f"that of {self.horizon} there are {', '.join(known)}"
            )
        check_gamma(self.gamma)
        odd = set(self.columns) - set(ROLES)
        if odd:
            raise ValueError(f"columns names {', '.join(odd)}; the roles are {', '.join(ROLES)}")


@dataclass(frozen=True, slots=True)
class StreamLine:
    """One estimator's value and uplift on a streamed log."""

    estimator: str
    value: Interval
    uplift: Interval


def stream_estimates(
    path: str | os.PathLike[str],
    spec: StreamSpec,
    *,
    executor: str = "threads:2",
    level: float = 0.95,
    verify: bool = True,
) -> tuple[Moments, tuple[StreamLine, ...]]:
    """Estimates over all Parquet files at `path` (a log, a folder of parts, or one file), each a
    shard; memory is one batch per worker. Files are compared with the sha256 of their manifest, if
    there is one, unless `verify` is False; checksums of pages are always verified.

    Raises:
        LogError: nothing to read, a missing column, a session that is split or out of order.
    """
    total: Moments | None = None
    spans: list[UnitSpan] = []
    parts = parquet_parts(path)
    work = bound(file_moments, spec=spec, verify=verify, keep=KEPT // len(parts))
    for shard in run_on(executor, work, parts):
        if shard is not None:
            total = shard.moments if total is None else merge(total, shard.moments)
            spans.append(shard.units)
    if total is None:
        raise LogError(f"no file at {path} has a row; check the path, or the filter that wrote it.")
    check_units(spans)
    whole = total
    return whole, tuple(
        StreamLine(n, whole.interval(n, level), whole.uplift(n, level)) for n in spec.estimators
    )


@dataclass(frozen=True, slots=True)
class FileMoments:
    """Moments of one file, and which units are in it."""

    moments: Moments
    units: UnitSpan


def file_moments(
    part: Part, *, spec: StreamSpec, verify: bool = True, keep: int = 0
) -> FileMoments | None:
    """One file, a batch at a time; None if it has no rows, as parts of other writers may. Of its
    units the keys are kept where they are at most `keep`."""
    if verify:
        verify_part(part)
    total: Moments | None = None
    span: UnitSpan | None = None
    for columns in _whole_units(part.path, spec):
        terms = raw_terms(columns, spec.horizon, spec.gamma, str(part.path))
        shard = partial(terms, spec.estimators, spec.hyper, like=total)
        total = shard if total is None else merge(total, shard)
        role = unit_column(columns)
        unit, name = columns[role], spec.columns.get(role, role)
        heads = unit[np.append(True, unit[1:] != unit[:-1])]
        span = joined(span, span_of(part.path, name, heads), keep)
    return None if total is None or span is None else FileMoments(total, span)


def _whole_units(path: Path, spec: StreamSpec) -> Iterator[dict[str, NDArray[Any]]]:
    """Batches that end where a unit ends."""
    rest: dict[str, NDArray[Any]] | None = None
    for batch, last in _batches(path, spec):
        if rest is not None:
            batch = {k: np.concatenate([rest[k], x]) for k, x in batch.items()}
        if last:
            yield batch
            return
        unit = batch[unit_column(batch)]
        other = unit[::-1] != unit[-1]
        cut = len(unit) - int(other.argmax()) if other.any() else 0
        if cut:
            yield {k: x[:cut] for k, x in batch.items()}
        rest = {k: x[cut:] for k, x in batch.items()}


def _batches(path: Path, spec: StreamSpec) -> Iterator[tuple[dict[str, NDArray[Any]], bool]]:
    """Batches with rows, and whether no row comes after them."""
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        names, left = _names(file.schema_arrow.names, spec, path), file.metadata.num_rows
        for batch in file.iter_batches(BATCH, columns=list(names.values()), use_threads=False):
            columns = {r: _numbers(batch.column(n), r, n, path) for r, n in names.items()}
            left -= batch.num_rows
            if batch.num_rows:
                yield columns, left == 0
    except LogError:
        raise
    except damage() as error:
        raise unreadable(path, error) from error
    if left:
        raise LogError(f"{path} ends {left} rows before its footer says; copy it again.")


def _numbers(column: Any, role: str, name: str, path: Path) -> NDArray[Any]:
    """A column; only sessions and users may be names, and nothing may be missing."""
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    if column.null_count or (role not in ("session", "user") and values.dtype.kind not in "iufb"):
        what = "misses entries" if column.null_count else f"holds {column.type}, no numbers"
        raise LogError(f"{path}: {name} {what}; fix the column, or drop those rows.")
    try:
        return whole_ids(values) if role in ("session", "user") else values
    except ValueError as error:
        raise LogError(f"{path}: {name} {error}.") from error


def _names(there: list[str], spec: StreamSpec, path: Path) -> dict[str, str]:
    expected = {role: spec.columns.get(role, role) for role in ROLES}
    present = {role: name for role, name in expected.items() if name in there}
    own = [n for n in spec.estimators if n in OWN_WEIGHTS]
    asked = "weight" in spec.columns or own
    if not asked and {"propensity", "target"} <= present.keys():
        present.pop("weight", None)  # a column of that name may mean anything; asked for, it counts
    needed = {"session", "reward"} | (set() if spec.horizon == "one_step" else {"step"})
    if "weight" not in present:
        needed |= {"propensity", "target"}
        if own:
            raise LogError(
                f"{', '.join(own)} need weights of their own: write them "
                f"into {path} as a column, columns={{'weight': ...}}."
            )
    missing = sorted(expected[r] for r in needed - present.keys())
    if missing:
        raise LogError(
            f"{path} has no column {', '.join(missing)} (it has {', '.join(there[:12])}). Say what "
            "its columns are called: columns={'target': 'their_name'}; weight alone stands for "
            "propensity and target."
        )
    return {r: n for r, n in present.items() if r in needed or r in OPTIONAL}

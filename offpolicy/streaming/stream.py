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
from offpolicy.intervals.inference import Interval
from offpolicy.storage.parquet import MANIFEST, log_parts, unreadable
from offpolicy.streaming.executors import run_on
from offpolicy.streaming.moments import Moments, merge, partial
from offpolicy.streaming.raw_terms import raw_terms, unit_column

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
) -> tuple[Moments, tuple[StreamLine, ...]]:
    """Estimates over all Parquet files at `path` (a log, a folder of parts, or one file), each a
    shard; memory is one batch per worker.

    Raises:
        LogError: nothing to read, a missing column, a session that is split or out of order.
    """
    work = bound(file_moments, spec=spec)
    shards = [s for s in run_on(executor, work, parquet_files(path)) if s is not None]
    if not shards:
        raise LogError(f"no file at {path} has a row; check the path, or the filter that wrote it.")
    _check_units(np.concatenate([s.units for s in shards]), path)
    total = merge(*(s.moments for s in shards))
    names = spec.estimators
    return total, tuple(
        StreamLine(n, total.interval(n, level), total.uplift(n, level)) for n in names
    )


@dataclass(frozen=True, slots=True)
class FileMoments:
    """Moments of one file, and the units in it in their order."""

    moments: Moments
    units: NDArray[Any]


def file_moments(path: Path, *, spec: StreamSpec) -> FileMoments | None:
    """One file, a batch at a time; None if it has no rows, as parts of other writers may."""
    total: Moments | None = None
    units = []
    for columns in _whole_units(path, spec):
        terms = raw_terms(columns, spec.horizon, spec.gamma, str(path))
        shard = partial(terms, spec.estimators, spec.hyper)
        total = shard if total is None else merge(total, shard)
        unit = columns[unit_column(columns)]
        units.append(unit[np.append(True, unit[1:] != unit[:-1])])
    return None if total is None else FileMoments(total, np.concatenate(units))


def parquet_files(path: str | os.PathLike[str]) -> list[Path]:
    """Files of a log, or of any folder of Parquet, by name."""
    path = Path(path)
    if path.is_dir() and not (path / MANIFEST).exists():
        files = sorted(path.glob("*.parquet"))
        if not files:
            raise LogError(f"{path} holds no .parquet files; check the path.")
        return files
    return log_parts(path)


def _whole_units(path: Path, spec: StreamSpec) -> Iterator[dict[str, NDArray[Any]]]:
    """Batches that end where a unit ends."""
    rest: dict[str, NDArray[Any]] | None = None
    for batch in _batches(path, spec):
        if rest is not None:
            batch = {k: np.concatenate([rest[k], x]) for k, x in batch.items()}
        unit = batch[unit_column(batch)]
        other = unit[::-1] != unit[-1]
        cut = len(unit) - int(other.argmax()) if other.any() else 0
        if cut:
            yield {k: x[:cut] for k, x in batch.items()}
        rest = {k: x[cut:] for k, x in batch.items()}
    if rest is not None and len(rest["session"]):
        yield rest


def _batches(path: Path, spec: StreamSpec) -> Iterator[dict[str, NDArray[Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = _names(file.schema_arrow.names, spec, path)
        for batch in file.iter_batches(BATCH, columns=list(names.values()), use_threads=False):
            columns = {r: _numbers(batch.column(n), r, n, path) for r, n in names.items()}
            if batch.num_rows:
                yield columns
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def _numbers(column: Any, role: str, name: str, path: Path) -> NDArray[Any]:
    """A column; only sessions and users may be names, and nothing may be missing."""
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    if column.null_count or (role not in ("session", "user") and values.dtype.kind not in "iufb"):
        what = "misses entries" if column.null_count else f"holds {column.type}, no numbers"
        raise LogError(f"{path}: {name} {what}; fix the column, or drop those rows.")
    return values


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


def _check_units(units: NDArray[Any], path: str | os.PathLike[str]) -> None:
    """Raise unless the rows of each unit stand together, in one file."""
    if units.dtype.kind in "iu" and bool((units[1:] > units[:-1]).all()):
        return
    _, first = np.unique(units, return_index=True)
    if len(first) < len(units):
        again = np.ones(len(units), bool)
        again[first] = False
        raise LogError(
            f"unit {units[again][0]} of {path} stands in several places or files; run `longplay "
            "compact` so that the rows of a session (or user) stand together."
        )

"""Whether one more part fits a log on disk, so that the whole can be read afterwards."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.dataset import PRIOR_COLUMNS, LoggedDataset
from offpolicy.log.groups import group
from offpolicy.log.session_checks import check_sessions
from offpolicy.storage.arrow import read_metadata
from offpolicy.storage.manifest import Part, damage, unreadable

if TYPE_CHECKING:
    import pyarrow as pa

ORDER = ("session", "step", "terminated", "truncated", "user")  # what the rules of sessions read
APART = (
    "Write the part to a folder of its own; LoggedDataset.concat joins logs, giving sessions new "
    "numbers where their ids coincide."
)


def check_fits(log: LoggedDataset, table: pa.Table, path: Path, parts: list[Part]) -> None:
    """Raise LogError unless the parts and `log`, whose table is `table`, are one log together.

    Only parts whose range of session ids meets the new one's are looked at, a part at a time.
    """
    if parts:
        _check_columns(table, path, parts[0].path)
    ids, low, high = np.unique(log.session), log.session.min(), log.session.max()
    near = [p for p in parts if p.sessions is None or not _apart(p.sessions, (low, high))]
    shared = [found for p in near if len((found := _rows_of(ids, p.path, table))["session"])]
    if not shared:
        return
    at = int(shared[0]["session"][0])
    if any(name in log.columns() for name in PRIOR_COLUMNS):
        raise LogError(
            f"session {at} of the new part is in the log at {path} already, which was left as it "
            "was: with prior histories a session stands in one part. Append whole sessions."
        )
    own = {k: v for k, v in log.columns().items() if k in ORDER}
    joined = {k: np.concatenate([*(part[k] for part in shared), own[k]]) for k in own}
    try:
        check_sessions(joined, group(joined["session"]), log.names)
    except LogError as error:
        raise LogError(
            f"session {at} of the new part is in the log at {path} already, which was left as it "
            f"was, and does not go on where it stopped: {error} {APART}"
        ) from error


def _check_columns(table: pa.Table, path: Path, first: Path) -> None:
    import pyarrow.parquet as pq

    schema = pq.read_schema(first)
    there, new = (read_metadata(s, str(path)) for s in (schema, table.schema))
    names = sorted(there["shapes"].keys() ^ new["shapes"].keys())
    if names:
        raise LogError(
            f"the new part and the log at {path} do not both carry {', '.join(names)}; the log was "
            "left as it was. Add the column to both, or leave it out of both."
        )
    kinds, kinds_new = _kinds(schema), _kinds(table.schema)
    widths = [
        f"{name} ({kinds[name]} of width {shape}, now {kinds_new[name]} of {new['shapes'][name]})"
        for name, shape in there["shapes"].items()
        if (kinds[name], shape) != (kinds_new[name], new["shapes"][name])
    ]
    source = "propensity_source"
    if there[source] != new[source]:
        widths.append(f"propensities ({there[source]}, now {new[source]})")
    if widths:
        raise LogError(
            f"the new part differs from the log at {path} in {', '.join(widths)}; the log was left "
            f"as it was. {APART}"
        )


def _kinds(schema: pa.Schema) -> defaultdict[str, str]:
    """Types of columns, or of their entries; a column of width 0 has none."""
    types = {field.name: getattr(field.type, "value_type", field.type) for field in schema}
    return defaultdict(lambda: "nothing", {name: str(kind) for name, kind in types.items()})


def _apart(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[1] < b[0] or b[1] < a[0]


def _rows_of(ids: NDArray[np.int64], part: Path, table: pa.Table) -> dict[str, NDArray[Any]]:
    """What a part holds of these sessions."""
    import pyarrow.parquet as pq

    names = [name for name in ORDER if name in table.column_names]
    try:
        there = pq.read_table(
            part, columns=names, partitioning=None, page_checksum_verification=True
        )
    except damage() as error:
        raise unreadable(part, error) from error
    columns = {name: there.column(name).to_numpy() for name in names}
    keep = np.isin(columns["session"], ids)
    return {name: x[keep] for name, x in columns.items()}

"""Sessions that a policy has learnt from, or was chosen on: on them it looks better than it is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offpolicy import LoggedDataset
from policies.saving.checkpoint import saved_in

SEEN = "seen.npy"  # beside the policies that `longplay improve` writes
I64 = NDArray[np.int64]


def seen_by(policies: Iterable[str | Path]) -> I64:
    """Session ids that stand beside saved policies, each once, in order."""
    files = {saved_in(Path(p)).parent / SEEN for p in policies if Path(p).is_dir()}
    found = [np.load(f, allow_pickle=False) for f in sorted(files) if f.is_file()]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def sessions_seen(policies: Iterable[str | Path], logs: Sequence[LoggedDataset]) -> I64:
    """Those, and the sessions of logs that teach and choose now."""
    parts = [seen_by(policies), *(log.session for log in logs)]
    return np.unique(np.concatenate(parts)).astype(np.int64)


def warning_of(policies: Iterable[str | Path], log: LoggedDataset) -> str:
    """What to know where policies have seen sessions of the log; "" where they have not."""
    own = np.unique(log.session)
    known = own[np.isin(own, seen_by(policies))]
    if not len(known):
        return ""
    first = log.names_of("session", known[:1])[0]
    return (
        f"WARNING: {len(known):,} of {len(own):,} sessions that judge here (the first: {first}) "
        "have ids of sessions that taught the policy, or chose it: its value is too high here. "
        "Judge it on sessions that were logged since"
    )


def warn(policies: Iterable[str | Path], log: LoggedDataset) -> None:
    """Say so on stderr."""
    if said := warning_of(policies, log):
        print(said, file=sys.stderr)

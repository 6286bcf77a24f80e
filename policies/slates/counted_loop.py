"""The compiled loop of `counted.fill`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.slates.compiling import njit_cached

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@njit_cached()
def fill_rows(
    base: F64, noise: F64, groups: I32, least: I64, most: I64, slate: I32, logits: F64
) -> None:
    """groups: (S, B, C) of S rules; least, most: (S,); slate (B, K) and logits (K, B, C) are
    written."""
    rules, rows, columns = groups.shape
    places = slate.shape[1]
    for b in range(rows):
        left, placed = base[b].copy(), np.zeros(rules, np.int64)
        for s in range(rules):
            if most[s] <= 0:
                close(left, groups[s, b], -1)
        for k in range(places):
            now = logits[k, b]
            now[:] = left
            need = 0
            for s in range(rules):
                need += max(least[s] - placed[s], 0)
            if need >= places - k:
                keep_required(now, groups[:, b], least - placed)
            best, value = 0, -np.inf
            for c in range(columns):
                if now[c] + noise[b, k, c] > value:
                    best, value = c, now[c] + noise[b, k, c]
            slate[b, k] = best if now[best] > -np.inf else -1
            if slate[b, k] < 0:
                continue
            left[best] = -np.inf
            for s in range(rules):
                group = groups[s, b, best]
                if group < 0:
                    continue
                placed[s] += 1
                same = 0
                for above in range(k + 1):
                    if slate[b, above] >= 0 and groups[s, b, slate[b, above]] == group:
                        same += 1
                if same >= most[s]:
                    close(left, groups[s, b], group)


@njit_cached()
def close(left: F64, group: I32, which: int) -> None:
    """Columns (C,) of a group, or of any with `which` -1, may not stand any more."""
    for c in range(len(left)):
        if group[c] >= 0 and (which < 0 or group[c] == which):
            left[c] = -np.inf


@njit_cached()
def keep_required(now: F64, groups: I32, lacking: I64) -> None:
    """Only columns (C,) of rules that lack some may stand, where any can."""
    rules, columns = groups.shape
    found = False
    for c in range(columns):
        for s in range(rules):
            if lacking[s] > 0 and groups[s, c] >= 0 and now[c] > -np.inf:
                found = True
    if not found:
        return
    for c in range(columns):
        wanted = False
        for s in range(rules):
            if lacking[s] > 0 and groups[s, c] >= 0:
                wanted = True
        if not wanted:
            now[c] = -np.inf

"""How much memory a piece of work takes at its peak."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PROCESS = Path("/proc/self")


def with_peak(work: Callable[[], T]) -> tuple[T, int | None]:
    """What the work returns, and by how many bytes the peak of resident memory grew meanwhile; None
    where the system does not tell (Linux does)."""
    try:
        (PROCESS / "clear_refs").write_text("5")  # the peak is what is resident now
        before = _kilobytes("VmRSS")
    except OSError:
        return work(), None
    done = work()
    return done, max(0, _kilobytes("VmHWM") - before) * 1024


def resident() -> int | None:
    """Bytes that the process holds now; None where the system does not tell."""
    try:
        return _kilobytes("VmRSS") * 1024
    except OSError:
        return None


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", (PROCESS / "status").read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{PROCESS / 'status'} does not say {name}")
    return int(found[1])

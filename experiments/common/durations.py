"""Lengths and moments of time on a command line."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime

UNITS = {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")


def seconds_of(option: str, text: str) -> float:
    """ "30s", "10min", "2h", "1d" -> seconds. Raises ValueError, which names the option."""
    match = LENGTH.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise ValueError(
            f"{option} {text}: write a number above 0 and its unit, s, min, h or d, as 10min"
        )
    return float(match[1]) * UNITS[match[2]]


def moment_of(option: str, text: str) -> float:
    """ "now", "end" (after everything), seconds since 1970, or a date, of UTC unless it says
    otherwise -> seconds. Raises ValueError, which names the option."""
    if text in ("now", "end"):
        return time.time() if text == "now" else math.inf
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = datetime.fromisoformat(text)
        except ValueError:
            seconds = math.nan
        else:
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(
            f"{option} {text}: write now, end, seconds since 1970, or a date as 2026-05-01T12:00"
        )
    return seconds


def date_of(seconds: float) -> str:
    """The moment as a date of UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

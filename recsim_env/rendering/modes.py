"""Render modes of an environment, and what each of them gives."""

from __future__ import annotations

from typing import Any

from recsim_env.rendering.picture import pixels_of
from recsim_env.rendering.text import session_text
from recsim_env.rendering.trace import Trace

MODES = ["ansi", "human", "rgb_array"]


def check_render_mode(mode: str | None) -> None:
    """Raise ValueError for a mode that there is none of."""
    if mode is not None and mode not in MODES:
        names = ", ".join(map(repr, MODES))
        raise ValueError(f"render_mode = {mode!r}: choose one of {names}, or None")


def rendered(trace: Trace, mode: str) -> Any:
    """What `render()` returns in a mode: text, pixels (H, W, 3), or None where it prints."""
    if mode == "ansi":
        return session_text(trace)
    return pixels_of(trace) if mode == "rgb_array" else None

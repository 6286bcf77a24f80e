"""A session as text: two lines a step, what was shown and taken, and the user's state after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.rendering.trace import Trace, as_numbers

LAST = 5  # steps that are told
WHOLE, LARGEST = 6, 3  # entries: of a vector that is told in full; that are told of a longer one


def session_text(trace: Trace, last: int = LAST) -> str:
    """The last steps of a session, each with the state after it, and how it ended.

    last: how many steps, at least 1; ValueError otherwise.
    """
    if last < 1:
        raise ValueError(f"last = {last}: give the number of steps to tell, at least 1")
    first = max(len(trace) - last, 0)
    lines = [_state_line(trace, first, f"step {first}")]
    for t in range(first, len(trace)):
        lines += [_step_line(trace, t), _state_line(trace, t + 1, " " * len(f"step {t + 1}"))]
    return "\n".join([*lines, trace.end] if trace.end else lines)


def _step_line(trace: Trace, t: int) -> str:
    """What was shown at decision `t`, what was taken of it, and what came back."""
    shown = " ".join(trace.name_of(int(item)) for item in trace.slates[t])
    item = int(trace.consumed[t])
    taken = "nothing" if item < 0 else f"item {trace.name_of(item)}"
    parts = [f"step {t + 1}", f"slate {shown}", f"taken {taken}", f"reward {trace.reward[t]:.2f}"]
    pairs = zip(trace.response_names, trace.responses[t], strict=True)
    told = ", ".join(f"{name} {value:.3g}" for name, value in pairs if value)
    return " | ".join([*parts, told] if told else parts)


def _state_line(trace: Trace, t: int, head: str) -> str:
    told = [_told(name, values[t : t + 1]) for name, values in trace.state.items()]
    return f"{head} | state {', '.join(told) or 'none'}"


def _told(name: str, value: NDArray[Any]) -> str:
    """A field's value; of a long vector the largest entries, with their places."""
    row = as_numbers(value)[0]
    if len(row) == 1:
        return f"{name} {row[0]:.3g}"
    if len(row) <= WHOLE:
        return f"{name} ({' '.join(f'{x:.3g}' for x in row)})"
    order = np.argsort(-np.abs(row), kind="stable")[:LARGEST]
    large = " ".join(f"[{i}] {row[i]:.3g}" for i in order if row[i])
    return f"{name} {large}" if large else f"{name} all 0"

"""Histories inside the compiled loops: moved on, begun, shown. Compiled once for all models.

Rows are copied whole, by the machine's own copy: numba cannot know that two arrays do not overlap,
so a loop over a short row checks it each time and takes eight times as long.
"""

# mypy: disable-error-code="misc,no-untyped-call"
from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from recsim_env.jit import njit
from recsim_env.kernel.state import SLACK


@intrinsic
def _copy(typing: Any, target: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    """target.flat[at : at + count] = source.flat[start : start + count]; they may overlap."""
    if target.layout != "C" or source.layout != "C" or target.dtype != source.dtype:
        raise TypingError(f"copy from {source} to {target}: both C-contiguous, of one dtype")

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        to, at, of, start, count = values
        size = context.get_abi_sizeof(context.get_data_type(target.dtype))
        data = context.make_array(target)(context, builder, to).data
        seen = context.make_array(source)(context, builder, of).data
        there, here = builder.gep(data, [at]), builder.gep(seen, [start])
        cgutils.raw_memmove(builder, there, here, count, size)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, types.intp), code


copy: Any = _copy  # an intrinsic's first argument is the compiler's own


@njit
def remember(row: int, head: int, items: Any, responses: Any, item: int, response: Any) -> int:
    """Where a user's history begins, 0..SLACK, after one more item; from the end it goes to 0."""
    size = items.shape[1]
    if size == 0:
        return 0
    length, width, first = size - SLACK, response.size, row * size
    if head >= SLACK:
        copy(items, first, items, first + SLACK + 1, length - 1)
        copy(
            responses,
            first * width,
            responses,
            (first + SLACK + 1) * width,
            (length - 1) * width,
        )
        head = 0
    else:
        head += 1
    last = head + length - 1
    items[row, last] = item
    for r in range(width):
        responses[row, last * width + r] = response[r]
    return head


@njit
def recall(row: int, person: int, offer: Any, items: Any, responses: Any) -> None:
    """A session's first history: the person's own, or none."""
    length, had = items.shape[1] - SLACK, offer.past_items.shape[1]
    for h in range(length):
        items[row, h] = offer.past_items[person, h - length + had] if h >= length - had else -1
    if length > 0:
        entries, had = responses.shape[1] // items.shape[1] * length, offer.past_responses.shape[1]
        for r in range(entries):
            known = r >= entries - had
            responses[row, r] = offer.past_responses[person, r - entries + had] if known else 0.0


@njit
def show(
    row: int,
    head: int,
    items: Any,
    responses: Any,
    candidates: Any,
    features: Any,
    view: Any,
    to: int,
) -> None:
    """Copy a user's history, oldest item first, and offer into row `to` of an observation."""
    length, room = view.history_items.shape[1], items.shape[1]
    width, first = view.history_responses.shape[1] // max(length, 1), row * room + head
    copy(view.history_items, to * length, items, first, length)
    copy(view.history_responses, to * length * width, responses, first * width, length * width)
    size, wide = candidates.shape[1], view.candidate_features.shape[2]
    copy(view.candidates, to * size, candidates, row * size, size)
    for c in range(size if wide > 0 else 0):
        at = (to * size + c) * wide
        copy(view.candidate_features, at, features, candidates[row, c] * wide, wide)

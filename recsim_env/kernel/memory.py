"""Moving bytes inside compiled loops, a whole row at once.

Numba cannot know that two arrays do not overlap, so a loop over a short row checks it each time:
copying 20 history items that way costs eight times as much as the machine's own copy.
"""

# mypy: disable-error-code="misc,no-untyped-call"
from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic


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

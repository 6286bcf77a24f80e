"""Whether what is pickled may be read: only where the caller of `policies.load` trusts it, or the
user of a command does, by `--trust`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

VARIABLE = "LONGPLAY_TRUST"  # "1": of --trust; worker processes inherit it
HOW = "load it with trust=True, on a command line with --trust"
_TRUSTED: ContextVar[bool] = ContextVar("trusted", default=False)


def told() -> bool:
    """Whether the user of this process trusts the pickles that it reads."""
    return os.environ.get(VARIABLE) == "1"


@contextmanager
def trusting(trust: bool) -> Iterator[None]:
    """Inside, pickles may be read if `trust`, or where `--trust` was given."""
    token = _TRUSTED.set(trust or told())
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def require_trust(what: str) -> None:
    """Raise ValueError outside of `trusting(True)`."""
    if not _TRUSTED.get():
        raise ValueError(
            f"the policy holds {what}: pickled code, which runs when it is read. If you made it "
            f"yourself, {HOW}."
        )

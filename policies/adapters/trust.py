"""Whether what is pickled may be read: only where the caller of `policies.load` trusts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TRUSTED: ContextVar[bool] = ContextVar("trusted", default=False)


@contextmanager
def trusting(trust: bool) -> Iterator[None]:
    """Inside, pickles may be read if `trust`."""
    token = _TRUSTED.set(trust)
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def require_trust(what: str) -> None:
    """Raise ValueError outside of `trusting(True)`."""
    if not _TRUSTED.get():
        raise ValueError(
            f"the policy holds {what}: pickled code, which runs when it is read. If you made it "
            "yourself, load it with trust=True."
        )

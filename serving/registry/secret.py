"""The secret under which users are hashed and slates are drawn: one for a registry, made once."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from serving.keys import SHORTEST
from serving.registry.durable import write_durably

SECRET, VARIABLE, BYTES = "secret", "LONGPLAY_SECRET", 32
CHECK = "secret.sha256"  # of the secret, which it does not tell


def secret_of_environment() -> bytes | None:
    """LONGPLAY_SECRET, if it is set. Raises ValueError where it is too short."""
    given = os.environ.get(VARIABLE)
    if given is None:
        return None
    if len(given.encode()) < SHORTEST:
        raise ValueError(
            f"{VARIABLE} has {len(given.encode())} bytes; give at least {SHORTEST}, for example "
            "what `openssl rand -hex 32` prints"
        )
    return given.encode()


def read_secret(folder: Path) -> bytes:
    """Raises FileNotFoundError where none was made, and ValueError for one that others may read or
    that is damaged."""
    file = folder / SECRET
    content = file.read_bytes()
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise ValueError(f"{file} can be read by others: chmod 600 {file}")
    if len(content) != BYTES:
        raise ValueError(
            f"{file} has {len(content)} bytes instead of {BYTES}: take it from a copy. With "
            "another secret every user is new"
        )
    known = folder / CHECK
    if known.is_file() and known.read_text(errors="replace").strip() != _check(content):
        raise ValueError(
            f"{file} or {known} was altered after it was made: take both from a copy. With another "
            f"secret every user is new; where that is meant, delete {known}"
        )
    return content


def kept_secret(folder: Path, alone: Callable[[], AbstractContextManager[None]]) -> bytes:
    """The one that is there, else a new one, made in the context in which nobody else changes the
    registry."""
    try:
        return read_secret(folder)
    except FileNotFoundError:
        pass
    with alone():
        try:
            return read_secret(folder)  # another process was first
        except FileNotFoundError:
            return make_secret(folder)


def make_secret(folder: Path) -> bytes:
    """Write a new one, for the holder of the registry's lock."""
    made = secrets.token_bytes(BYTES)
    write_durably(folder / CHECK, _check(made).encode() + b"\n", mode=0o600)
    write_durably(folder / SECRET, made, mode=0o600)
    return made


def _check(secret: bytes) -> str:
    return hashlib.sha256(b"longplay secret " + secret).hexdigest()

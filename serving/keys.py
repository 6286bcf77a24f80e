"""Keyed hashes: no caller's id of a user or session is kept, and nobody can choose a draw."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policies.slates.row_streams import stream_keys

SHORTEST = 16  # bytes of a secret


class Keys:
    """HMAC-SHA-256 under one secret, which all processes share and which survives restarts: with
    another one every user is new. Krawczyk, Bellare & Canetti (1997, RFC 2104).

    Raises ValueError for a secret of less than 16 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes) or len(secret) < SHORTEST:
            raise ValueError(
                f"secret must be at least {SHORTEST} bytes: keep secrets.token_bytes(32) where the "
                "other secrets are"
            )
        self._secret = secret
        self._draws = hmac.digest(secret, b"draws", "sha256")

    def __repr__(self) -> str:
        return "Keys(secret=...)"

    def user(self, user: str) -> str:
        """32 hexadecimal digits that stand for a user."""
        return self._hash(f"4:user{len(user)}:{user}")

    def session(self, user: str, session: str) -> str:
        """The same for a session: those of two users are two, whatever they are called."""
        return self._hash(f"7:session{len(user)}:{user}{len(session)}:{session}")

    def draws(self, version: str, request_ids: Sequence[str]) -> NDArray[np.uint64]:
        """(B,) keys of what each request is drawn with under a version of the policy."""
        return stream_keys((f"{version}\0{r}" for r in request_ids), secret=self._draws)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell secrets apart and say nothing of them."""
        return self._hash("11:fingerprint")[:16]

    def _hash(self, said: str) -> str:
        return hmac.digest(self._secret, said.encode(), "sha256")[:16].hex()

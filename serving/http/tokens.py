"""The token that callers show, and where it is kept."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from serving.http.errors import CLOSE, HttpError

VARIABLE = "LONGPLAY_TOKEN"
SHORTEST = 16  # characters


def read_token(path: str | os.PathLike[str] | None) -> str | None:
    """The token in a file, or in the environment's LONGPLAY_TOKEN where there is no file; None
    where there is neither.

    Raises ValueError for one that is shorter than 16 characters or not of visible ASCII, and
    OSError for a file that cannot be read.
    """
    if path is None and VARIABLE not in os.environ:
        return None
    where = VARIABLE if path is None else str(path)
    given = os.environ[VARIABLE] if path is None else Path(path).read_text(encoding="utf-8")
    return check_token(given.strip(), where)


def check_token(token: str, where: str = "token") -> str:
    """The same; ValueError, which says where it came from, for one that is too weak."""
    if len(token) < SHORTEST or not all("!" <= c <= "~" for c in token):
        raise ValueError(
            f"{where}: a token has at least {SHORTEST} visible ASCII characters; make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return token


def check_shown(token: str, authorization: bytes | None) -> None:
    """Raise HttpError 401 unless the header shows the token, as `Bearer TOKEN`. To compare takes
    as long for every wrong one."""
    kind, _, given = (authorization or b"").partition(b" ")
    shown = given.strip() if kind.lower() == b"bearer" else b""
    if not hmac.compare_digest(shown, token.encode()):
        raise HttpError(
            401,
            "show the server's token: Authorization: Bearer TOKEN",
            field="authorization",
            headers=CLOSE | {"www-authenticate": 'Bearer realm="longplay"'},
        )

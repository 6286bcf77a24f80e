"""What a caller did wrong, as an HTTP answer that names the field and the limit."""

from __future__ import annotations

from collections.abc import Mapping

from serving.contracts.fields import ContractError

CLOSE = {"connection": "close"}  # of an answer while a body is still to come
SOON = {"retry-after": "1"}  # s


class HttpError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        limit: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.limit = status, message, field, limit
        self.headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        """{"error": {"field", "message", "limit"}}"""
        return {"error": {"field": self.field, "message": self.message, "limit": self.limit}}


def broken(error: ContractError) -> HttpError:
    """422 for a field that breaks its contract, 400 where the body as a whole is none."""
    status = 400 if error.field is None else 422
    return HttpError(status, str(error), field=error.field, limit=error.limit)


def too_many(message: str, limit: float, field: str | None = None) -> HttpError:
    """429, with when to try again."""
    return HttpError(429, message, field=field, limit=limit, headers=SOON)


def not_now(message: str) -> HttpError:
    """503: the fault is the server's, and the same may be sent again."""
    return HttpError(503, message, headers=SOON)


def failed() -> HttpError:
    """500, without what went wrong: that is for the server's log."""
    return HttpError(500, "the server failed; its log says why")

"""What a caller did wrong, as an HTTP answer that names the field and the limit."""

from __future__ import annotations

from collections.abc import Mapping

from serving.contracts.fields import ContractError


class HttpError(Exception):
    """A request that gets no answer but an error. `why` is one word, for counting."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        why: str,
        field: str | None = None,
        limit: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.why = status, message, why
        self.field, self.limit, self.headers = field, limit, dict(headers or {})

    def body(self) -> dict[str, object]:
        """{"error": {"field", "message", "limit"}}"""
        return {"error": {"field": self.field, "message": self.message, "limit": self.limit}}


def broken(error: ContractError) -> HttpError:
    """422 for a field that breaks its contract, 400 where the body as a whole is none."""
    status = 400 if error.field is None else 422
    return HttpError(status, str(error), why="contract", field=error.field, limit=error.limit)


def no_more(what: str, limit: float) -> HttpError:
    """429, with when to try again."""
    return HttpError(
        429,
        f"{what}; try again after a second",
        why="rate" if what.startswith("user") else "queue",
        field="user" if what.startswith("user") else None,
        limit=limit,
        headers={"retry-after": "1"},
    )


def not_now(message: str) -> HttpError:
    """503: the fault is the server's, and the same may be sent again."""
    return HttpError(503, message, why="unavailable", headers={"retry-after": "1"})

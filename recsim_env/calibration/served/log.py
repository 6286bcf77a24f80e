"""A log of served slates as plain arrays, in the order of sessions, and its clock."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
RESPONSES = 3  # click, watch time, quality: what environments show of an item that was taken
FEWEST_SESSIONS = 20
ROWS = ("session", "step", "slate", "position", "reward", "responses", "left", "candidates")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedLog:
    """N decisions of S whole sessions, session after session, in time order; build with `of`."""

    session: I64  # (N,) 0..S-1
    step: I64  # (N,) 0-based in the session
    slate: NDArray[np.int32]  # (N, K) items 0..A-1, -1 = empty
    position: I64  # (N,) of the item taken, -1 = nothing was taken
    reward: F64  # (N,)
    responses: F64  # (N, 3); 0 where nothing was taken
    left: NDArray[np.bool_]  # (N,) the user left after this decision; a cut is no leaving
    n_items: int  # A
    candidates: NDArray[np.int32] | None = None  # (N, C) on offer, -1 = empty
    prior_items: NDArray[np.int32] | None = None  # (S, H0) had before the session, -1 on the left
    prior_responses: NDArray[np.float32] | None = None  # (S, H0, 3)
    max_steps: int | None = None  # sessions are cut after so many decisions by design

    @classmethod
    def of(
        cls,
        *,
        session: NDArray[Any],
        step: NDArray[Any],
        slate: NDArray[Any],
        consumed: NDArray[Any],
        reward: NDArray[Any],
        left: NDArray[Any],
        n_items: int,
        responses: NDArray[Any] | None = None,
        candidates: NDArray[Any] | None = None,
        prior_items: NDArray[Any] | None = None,
        prior_responses: NDArray[Any] | None = None,
        max_steps: int | None = None,
    ) -> ServedLog:
        """Rows in any order, with the item `consumed` (N,) of each, -1 for none. Priors (S, ...)
        are those of sessions in order of their ids.

        Responses are the click, the watch time and the quality of what was taken; without them the
        click is 1 and the watch time the reward, and further ones are not kept.

        Raises:
            ValueError: an item taken was not shown, or there are too few sessions.
        """
        order = np.lexsort((step, session))
        slate = np.asarray(slate, np.int32).reshape(len(order), -1)[order]
        taken = np.asarray(consumed)[order]
        shown = (slate == taken[:, None]) & (taken >= 0)[:, None]
        lost = (taken >= 0) & ~shown.any(1)
        if lost.any():
            row = int(order[np.argmax(lost)])
            raise ValueError(
                f"row {row}: item {consumed[row]} was taken but not shown in the slate "
                f"({int(lost.sum())} of {len(order)} rows). Log what was taken OF the slate, -1 "
                "where nothing was."
            )
        code = np.unique(np.asarray(session)[order], return_inverse=True)[1]
        if code[-1] + 1 < FEWEST_SESSIONS:
            raise ValueError(
                f"{code[-1] + 1} sessions: a world needs at least {FEWEST_SESSIONS} to be fitted"
            )
        paid = np.asarray(reward, np.float64)[order]
        seen = np.zeros((len(order), RESPONSES))
        if responses is None:
            seen[:, 0], seen[:, 1] = 1.0, paid
        else:
            some = np.asarray(responses)[order].reshape(len(order), -1)[:, :RESPONSES]
            seen[:, : some.shape[1]] = some
        seen[taken < 0] = 0.0
        return cls(
            session=code.astype(np.int64),
            step=np.asarray(step, np.int64)[order],
            slate=slate,
            position=np.where(taken >= 0, shown.argmax(1), -1).astype(np.int64),
            reward=paid,
            responses=seen,
            left=np.asarray(left, np.bool_)[order],
            n_items=n_items,
            candidates=None if candidates is None else np.asarray(candidates, np.int32)[order],
            prior_items=prior_items,
            prior_responses=prior_responses,
            max_steps=max_steps,
        )

    def __len__(self) -> int:
        return len(self.session)

    @property
    def n_sessions(self) -> int:
        """S."""
        return int(self.session[-1]) + 1

    @property
    def consumed(self) -> I64:
        """(N,) the item taken, -1 = nothing."""
        items = np.take_along_axis(self.slate, np.maximum(self.position, 0)[:, None], 1)[:, 0]
        return np.where(self.position >= 0, items, -1).astype(np.int64)

    @property
    def starts(self) -> I64:
        """(S + 1,) row at which each session begins, and N."""
        return np.searchsorted(self.session, np.arange(self.n_sessions + 1)).astype(np.int64)

    def returns(self) -> F64:
        """(S,) reward of each session."""
        return np.bincount(self.session, self.reward, self.n_sessions).astype(np.float64)

    def sessions(self, chosen: NDArray[np.bool_]) -> ServedLog:
        """Those sessions (S,) alone, numbered anew."""
        rows = chosen[self.session]
        kept: dict[str, Any] = {}
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if name in ROWS and value is not None:
                kept[name] = value[rows]
            elif name.startswith("prior") and value is not None:
                kept[name] = value[chosen]
        kept["session"] = (np.cumsum(chosen) - 1)[kept["session"]]
        return replace(self, **kept)

    def halves(self, share: float, seed: int) -> tuple[ServedLog, ServedLog]:
        """About that share of the sessions, drawn at random, and the others."""
        order = np.random.default_rng(seed).permutation(self.n_sessions)
        first = np.zeros(self.n_sessions, np.bool_)
        first[order[: max(int(share * self.n_sessions), 1)]] = True
        return self.sessions(first), self.sessions(~first)


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """Rows by the time of their session: entry t holds the t-th decision of all sessions that have
    one, in an order of sessions in which those that last are a prefix."""

    rows: tuple[I64, ...]
    n_sessions: int
    n_rows: int

    @classmethod
    def of(cls, log: ServedLog) -> Clock:
        """The clock of a log."""
        starts = log.starts
        length = np.diff(starts)
        order = np.argsort(-length, kind="stable")
        lasting = np.searchsorted(-length[order], -np.arange(length.max()), side="left")
        first = starts[:-1][order]
        return cls(tuple(first[:n] + t for t, n in enumerate(lasting)), len(length), len(log))

    def faded(self, values: F64, keep: float) -> F64:
        """(N, ...) sums of `values` (N, ...) from the session's start up to and with each row, each
        fading by `keep` per row."""
        out, state = np.empty(values.shape), np.zeros((self.n_sessions, *values.shape[1:]))
        for rows in self.rows:
            n = len(rows)
            state[:n] = keep * state[:n] + values[rows]
            out[rows] = state[:n]
        return out

    def faded_back(self, values: F64, keep: float) -> F64:
        """(N,) the transpose of `faded`: sums from each row to the session's end."""
        out, state = np.empty(self.n_rows), np.zeros(self.n_sessions)
        for rows in reversed(self.rows):
            n = len(rows)
            state[:n] = keep * state[:n] + values[rows]
            out[rows] = state[:n]
        return out

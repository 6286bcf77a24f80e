"""The decision log: one schema, checked once on construction. The one record all packages share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.log import checks
from offpolicy.log.columns import (
    check_shapes,
    flags,
    item_ids,
    labels,
    matrix,
    numbers,
    numbers2,
    numbers32,
    whole_numbers,
)
from offpolicy.log.groups import Groups, group
from offpolicy.log.histories import histories
from offpolicy.log.joining import join_columns

ROW_COLUMNS = (
    "session", "step", "slate", "propensity", "reward", "position_propensity", "position_reward",
    "user", "terminated", "truncated", "logger", "candidates", "candidate_propensity", "consumed",
    "responses", "context",
)  # fmt: skip
PRIOR_COLUMNS = ("prior_items", "prior_responses")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LoggedDataset:
    """N decisions in S sessions; slates of K positions out of A items.

    Propensities are the probability of the logged slate AT SERVE TIME under the policy that served
    it; they are never recomputed. Checked once, here, and nowhere else: whoever holds a
    LoggedDataset need not check again. Build one with `LoggedDataset.from_columns`.

    Raises:
        LogError: a rule is broken; the message names the row, the rule and the fix.
    """

    session: NDArray[np.int64]  # (N,) the independent unit: one user session
    step: NDArray[np.int32]  # (N,) 0-based step in the session, growing in row order
    slate: NDArray[np.int32]  # (N, K) item ids 0..A-1 in the order shown, -1 = empty position
    propensity: NDArray[np.float64]  # (N,) of the whole ordered slate, in (0, 1]
    reward: NDArray[np.float64]  # (N,) what the agent was paid
    terminated: NDArray[np.bool_]  # (N,) the user left
    truncated: NDArray[np.bool_]  # (N,) we stopped looking
    n_items: int  # A
    position_propensity: NDArray[np.float64] | None = None  # (N, K) given the positions above
    position_reward: NDArray[np.float64] | None = None  # (N, K) what came back per position
    user: NDArray[np.int64] | None = None  # (N,) several sessions may share a user
    logger: NDArray[Any] | None = None  # (N,) which policy served the row: int or str
    candidates: NDArray[np.int32] | None = None  # (N, C) items offered to the policy, -1 = empty
    candidate_propensity: NDArray[np.float64] | None = None  # (N, C) first-position probabilities
    consumed: NDArray[np.int32] | None = None  # (N,) the item taken, -1 = none
    responses: NDArray[np.float32] | None = None  # (N, R) what was observed of the item taken
    context: NDArray[np.float32] | None = None  # (N, D) the observation's user vector
    prior_items: NDArray[np.int32] | None = None  # (S, H0) history before the session, -1 padded
    prior_responses: NDArray[np.float32] | None = None  # (S, H0, R)
    propensity_source: str = "logged"  # or "estimated": then every report says so
    groups: Groups = field(init=False, repr=False)  # sessions, in order of first appearance

    def __post_init__(self) -> None:
        columns = self.columns()
        check_shapes(columns)
        checks.check_lengths(columns)
        object.__setattr__(self, "groups", group(self.session))
        checks.check_propensities(columns, self.propensity_source)
        checks.check_numbers(columns, self.n_items)
        checks.check_items(columns, self.n_items)
        checks.check_sessions(columns, self.groups)
        checks.check_prior(columns, self.n_sessions)

    @classmethod
    def from_columns(
        cls,
        *,
        session: ArrayLike,
        step: ArrayLike,
        slate: ArrayLike,
        propensity: ArrayLike | None,
        reward: ArrayLike,
        n_items: int,
        position_propensity: ArrayLike | None = None,
        position_reward: ArrayLike | None = None,
        user: ArrayLike | None = None,
        terminated: ArrayLike | None = None,
        truncated: ArrayLike | None = None,
        logger: ArrayLike | None = None,
        candidates: ArrayLike | None = None,
        candidate_propensity: ArrayLike | None = None,
        consumed: ArrayLike | None = None,
        responses: ArrayLike | None = None,
        context: ArrayLike | None = None,
        prior_items: ArrayLike | None = None,
        prior_responses: ArrayLike | None = None,
    ) -> LoggedDataset:
        """Any array-likes -> a checked log. A slate of one position may be (N,); session and user
        ids may be strings, whose numbers are their hashes: the same in every log.

        Raises:
            LogError: a rule is broken; the message names the row, the rule and the fix.
        """
        if propensity is None:
            raise LogError(
                "the log has no propensity. It is never filled in: log, at serve time, the "
                "probability the serving policy gave the slate. To estimate it from the log "
                "instead, which marks every result, use offpolicy.estimate_propensity."
            )
        ids = whole_numbers("session", session, np.int64, names=True)
        never = np.zeros(ids.shape, bool)
        return cls(
            session=ids,
            step=whole_numbers("step", step, np.int32),
            slate=matrix(whole_numbers("slate", slate, np.int32)),
            propensity=numbers("propensity", propensity),
            reward=numbers("reward", reward),
            n_items=_catalogue_size(n_items),
            terminated=never if terminated is None else flags("terminated", terminated),
            truncated=never if truncated is None else flags("truncated", truncated),
            position_propensity=numbers2("position_propensity", position_propensity),
            position_reward=numbers2("position_reward", position_reward),
            user=None if user is None else whole_numbers("user", user, np.int64, names=True),
            logger=None if logger is None else labels(logger),
            candidates=item_ids("candidates", candidates),
            candidate_propensity=numbers2("candidate_propensity", candidate_propensity),
            consumed=item_ids("consumed", consumed),
            responses=numbers32("responses", responses),
            context=numbers32("context", context),
            prior_items=item_ids("prior_items", prior_items),
            prior_responses=numbers32("prior_responses", prior_responses),
        )

    def __len__(self) -> int:
        return len(self.session)

    @property
    def sessions(self) -> NDArray[np.int64]:
        """Session codes (N,) 0..S-1, in order of first appearance."""
        return self.groups.code

    @property
    def n_sessions(self) -> int:
        """S."""
        return self.groups.n

    @property
    def unit(self) -> NDArray[np.int64]:
        """(N,) what is independent: users where the log names them, else sessions."""
        return self.session if self.user is None else self.user

    @property
    def slate_size(self) -> int:
        """K."""
        return int(self.slate.shape[1])

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns that are present, by name; `n_items` is not among them."""
        names = ROW_COLUMNS + PRIOR_COLUMNS
        return {k: v for k in names if (v := getattr(self, k)) is not None}

    def with_estimated_propensities(self) -> LoggedDataset:
        """The same log, marked for good: every report will say that nobody logged them."""
        return replace(self, propensity_source="estimated")

    def take(self, rows: ArrayLike | slice) -> LoggedDataset:
        """The chosen rows (mask, indices or slice) as a log of their own.

        Removing rows INSIDE sessions is allowed, but such a log has no histories and no session
        values; asking for them raises LogError.
        """
        pick = np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows)]
        columns: dict[str, Any] = {
            k: v[pick] if k in ROW_COLUMNS else v[_first_codes(self.sessions[pick])]
            for k, v in self.columns().items()
        }
        return replace(self, **columns)

    @classmethod
    def concat(cls, logs: Sequence[LoggedDataset]) -> LoggedDataset:
        """Logs one after another. Sessions of different logs are different sessions: where their
        ids coincide, all sessions are numbered anew; user ids keep their meaning across logs.

        Raises:
            LogError: the logs differ in catalogue, in slate size or in the columns they carry.
        """
        if not logs:
            raise LogError("nothing to join: concat needs at least one log.")
        columns = join_columns([log.columns() for log in logs], [log.n_items for log in logs])
        sources = {log.propensity_source for log in logs}
        source = "estimated" if "estimated" in sources else "logged"
        return cls(**columns, n_items=logs[0].n_items, propensity_source=source)

    def histories(self, length: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Items (N, H) and responses (N, H, R) the policy saw at each row, most recent last.

        Raises:
            LogError: a session has missing steps (rows were removed).
        """
        self.require_whole_sessions("histories would not be what the policy was shown.")
        return histories(self.columns(), self.groups, length)

    def require_whole_sessions(self, why: str) -> None:
        """Raise LogError where a session has missing steps; `why` says what they would spoil."""
        checks.check_whole_sessions(self.session, self.step, self.groups, why)

    def hash(self) -> str:
        """sha256 of the contents: names, types, shapes and values of all columns."""
        digest = hashlib.sha256(f"longplay-log/{self.n_items}/{self.propensity_source}".encode())
        for name, x in self.columns().items():
            x = x.astype("U") if name == "logger" else x
            digest.update(f"|{name}:{x.dtype.str}:{x.shape}|".encode())
            digest.update(np.ascontiguousarray(x).data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        named = ", ".join(f.name for f in fields(self) if f.name in self.columns())
        return (
            f"LoggedDataset({len(self)} decisions, {self.n_sessions} sessions, "
            f"slates of {self.slate_size} of {self.n_items} items; {named})"
        )


def _first_codes(code: NDArray[np.int64]) -> NDArray[np.int64]:
    return code[group(code).first]


def _catalogue_size(n_items: int) -> int:
    if int(n_items) != n_items or n_items < 1:
        raise LogError(f"n_items = {n_items!r}; the catalogue has a whole number of items, >= 1.")
    return int(n_items)

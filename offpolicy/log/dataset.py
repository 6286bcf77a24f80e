"""The decision log: one schema, checked once on construction. The one record all packages share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.log import checks, session_checks
from offpolicy.log.columns import check_shapes, picked
from offpolicy.log.conversion import catalogue_size, coded_items, typed_columns
from offpolicy.log.groups import Groups, group
from offpolicy.log.histories import histories
from offpolicy.log.joining import joined
from offpolicy.log.names import NameTable, item_table
from offpolicy.log.provenance import Provenance

ROW_COLUMNS = (
    "session", "step", "slate", "propensity", "reward", "position_propensity", "position_reward",
    "user", "terminated", "truncated", "logger", "candidates", "candidate_propensity", "consumed",
    "responses", "context", "row_weight",
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
    step: NDArray[np.int32]  # (N,) 0-based decision in the session, growing in row order
    slate: NDArray[np.int32]  # (N, K) item ids 0..A-1 in the order shown, -1 = empty position
    propensity: NDArray[np.float64]  # (N,) probability of the whole ordered slate, in (0, 1], under
    # the policy that served it
    reward: NDArray[np.float64]  # (N,) what the decision earned, in a unit of your own; finite
    terminated: NDArray[np.bool_]  # (N,) the user left after the row: nothing was lost
    truncated: NDArray[np.bool_]  # (N,) we stopped looking after the row: how it went on is unknown
    n_items: int  # A, the size of the catalogue
    position_propensity: NDArray[np.float64] | None = None  # (N, K) probability of each position's
    # item given the items above it, an empty position 1; the product is `propensity`
    position_reward: NDArray[np.float64] | None = None  # (N, K) what came back per position, in the
    # unit of `reward`
    user: NDArray[np.int64] | None = None  # (N,) who it was: several sessions may share a user, and
    # intervals are then clustered by user
    logger: NDArray[Any] | None = None  # (N,) which policy served the row: int or str
    candidates: NDArray[np.int32] | None = None  # (N, C) item ids offered to the policy, -1 = empty
    # or not allowed; None = the whole catalogue
    candidate_propensity: NDArray[np.float64] | None = None  # (N, C) probability of each candidate
    # in the first position, which the log doctor checks
    consumed: NDArray[np.int32] | None = None  # (N,) id of the item taken, -1 = none
    responses: NDArray[np.float32] | None = None  # (N, R) what was observed of the item taken, such
    # as click (0 or 1), watch time (minutes) and quality; 0 where none was
    context: NDArray[np.float32] | None = None  # (N, D) the observation's user vector
    row_weight: NDArray[np.float64] | None = None  # (N,) 1 / chance that the row was kept, > 0
    prior_items: NDArray[np.int32] | None = None  # (S, H0) item ids before the session, -1 padded
    prior_responses: NDArray[np.float32] | None = None  # (S, H0, R) what was observed of them
    propensity_source: str = "logged"  # or "estimated": then every report says so
    repeats: bool = False  # whether a slate may show an item several times
    max_steps: int | None = None  # decisions after which sessions end by design
    names: Mapping[str, NameTable] = field(default_factory=dict)  # of session, user, item ids
    provenance: Provenance = field(default_factory=Provenance)  # what its reader had to assume
    groups: Groups = field(init=False, repr=False)  # S sessions, in order of first appearance

    def __post_init__(self) -> None:
        columns = self.columns()
        check_shapes(columns)
        checks.check_lengths(columns)
        object.__setattr__(self, "groups", group(self.session))
        checks.check_propensities(columns, self.propensity_source)
        checks.check_numbers(columns, self.n_items)
        checks.check_items(columns, self.n_items, repeats=self.repeats)
        session_checks.check_longest(columns, self.max_steps)
        session_checks.check_sessions(columns, self.groups, self.names)
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
        row_weight: ArrayLike | None = None,
        prior_items: ArrayLike | None = None,
        prior_responses: ArrayLike | None = None,
        repeats: bool = False,
        max_steps: int | None = None,
        item_names: Sequence[str] | None = None,
        names: Mapping[str, NameTable] | None = None,
        provenance: Provenance | None = None,
    ) -> LoggedDataset:
        """Any array-likes -> a checked log. A slate of one position may be (N,), slates of
        different length may be lists: they are padded. Session and user ids may be strings, whose
        numbers are their hashes, the same in every log; items may be strings, which `item_names`
        names in the order of their codes 0, 1, 2 …, by default sorted. Names are kept and printed.
        `repeats` says that a slate may show an item several times, `max_steps` that sessions end
        after so many decisions by design: one truncated there is whole. `names` and `provenance`
        are for readers of stored logs.

        Raises:
            LogError: a rule is broken; the message names the row, the rule and the fix.
        """
        if propensity is None:
            raise LogError(
                "the log has no propensity. It is never filled in: log, at serve time, the "
                "probability the serving policy gave the slate. To estimate it from the log "
                "instead, which marks every result, use offpolicy.estimate_propensity."
            )
        given = {
            "session": session, "step": step, "slate": slate, "propensity": propensity,
            "reward": reward, "position_propensity": position_propensity,
            "position_reward": position_reward, "user": user, "terminated": terminated,
            "truncated": truncated, "logger": logger, "candidates": candidates,
            "candidate_propensity": candidate_propensity, "consumed": consumed,
            "responses": responses, "context": context, "row_weight": row_weight,
            "prior_items": prior_items, "prior_responses": prior_responses,
        }  # fmt: skip
        size, known = catalogue_size(n_items), dict(names or {})
        if item_names is None and "item" not in known:
            given, item_names = coded_items(given)
        if item_names is not None:
            known["item"] = item_table(item_names, size)
        columns, known = typed_columns(given, known)
        never = np.zeros(columns["session"].shape, bool)
        ends = {"terminated": never, "truncated": never}
        return cls(
            **(ends | columns),
            n_items=size,
            repeats=repeats,
            max_steps=max_steps,
            names=known,
            provenance=provenance or Provenance(),
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

    def session_rewards(self) -> NDArray[np.float64]:
        """(S,) reward summed over each session."""
        return np.bincount(self.sessions, self.reward, self.n_sessions).astype(np.float64)

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

    def with_max_steps(self, max_steps: int | None) -> LoggedDataset:
        """The same rows; sessions end after so many decisions by design.

        Raises:
            LogError: a session is longer.
        """
        return replace(self, max_steps=max_steps)

    def take(self, rows: ArrayLike | slice) -> LoggedDataset:
        """The chosen rows (mask, indices or slice) as a log of their own.

        Removing rows INSIDE sessions is allowed, but such a log has no histories and no session
        values; asking for them raises LogError.

        Raises:
            LogError: rows that are not there, or none.
        """
        pick = picked(rows, len(self))
        columns: dict[str, Any] = {
            k: v[pick] if k in ROW_COLUMNS else v[_first_codes(self.sessions[pick])]
            for k, v in self.columns().items()
        }
        moved = bool((pick[1:] < pick[:-1]).any())
        held = replace(self.provenance, reordered=True) if moved else self.provenance
        return replace(self, **columns, provenance=held)

    @classmethod
    def concat(cls, logs: Sequence[LoggedDataset]) -> LoggedDataset:
        """Logs one after another. Sessions of different logs are different sessions: where their
        ids coincide, all sessions are numbered anew; user ids keep their meaning across logs.

        Raises:
            LogError: the logs differ in catalogue, in slate size or in the columns they carry.
        """
        if not logs:
            raise LogError("nothing to join: concat needs at least one log.")
        for nth, log in enumerate(logs):
            if not isinstance(log, cls):
                raise LogError(f"logs[{nth}] is {type(log).__name__}, no LoggedDataset.")
        return cls(**joined(logs))

    def histories(self, length: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Items (N, H) and responses (N, H, R) the policy saw at each row, most recent last.

        Raises:
            LogError: a session has missing steps (rows were removed).
        """
        why = "histories would not be what the policy was shown."
        session_checks.check_whole_sessions(self.columns(), self.groups, self.names, why)
        return histories(self.columns(), self.groups, length)

    def require_whole_sessions(self, why: str) -> None:
        """Raise LogError where a session has missing steps, or where the log was read from a table
        that names no sessions; `why` says what that would spoil."""
        session_checks.check_names_sessions(self.provenance, why)
        session_checks.check_session_weights(self.columns(), self.groups, self.names)
        session_checks.check_whole_sessions(self.columns(), self.groups, self.names, why)

    def names_of(self, column: str, ids: ArrayLike) -> list[str]:
        """What a reader calls these ids of a session, user or item: names where they were given."""
        known, ids = self.names.get(column), np.asarray(ids)
        return [str(i) for i in ids.tolist()] if known is None else known.of(ids)

    def unit_names(self, ids: ArrayLike) -> list[str]:
        """As `names_of`, of independent units."""
        return self.names_of("session" if self.user is None else "user", ids)

    def require_users(self) -> None:
        """Raise LogError where the column user has one value for several sessions."""
        session_checks.check_several_users(self.columns(), self.groups, self.names)

    def hash(self) -> str:
        """sha256 of the contents: names, types, shapes and values of all columns."""
        digest = hashlib.sha256(f"longplay-log/{self.n_items}/{self.propensity_source}".encode())
        for name, x in self.columns().items():
            x = x.astype("U") if name == "logger" else x
            digest.update(f"|{name}:{x.dtype.str}:{x.shape}|".encode())
            digest.update(np.ascontiguousarray(x).data)
        if "item" in self.names:  # those of sessions and users are what their ids are made of
            digest.update("\0".join(self.names["item"].names.tolist()).encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        named = ", ".join(f.name for f in fields(self) if f.name in self.columns())
        sessions = f"{self.n_sessions} sessions"
        if self.provenance.single_decisions:
            sessions = "each alone (the table names no sessions)"
        return (
            f"LoggedDataset({len(self)} decisions, {sessions}, "
            f"slates of {self.slate_size} of {self.n_items} items; {named})"
        )


def _first_codes(code: NDArray[np.int64]) -> NDArray[np.int64]:
    return code[group(code).first]

"""A bandit that learns on, session after session, beside what serves; snapshots of it are
challengers like any other, behind the same gate."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.splitting import parts_of
from policies.base import Learner, Policy
from policies.improve.path import Kind
from policies.saving.folders import load, save
from policies.validation import COUNT
from serving.registry.durable import durable_folder, write_durably
from serving.registry.registry import Registry
from serving.relearning.cut import Cut, cut_of, part_of
from serving.relearning.recipe import Snapshot
from serving.relearning.relearn import Challenge, Guardrails, Terms, relearn

I64 = NDArray[np.int64]
POSITION, TAUGHT, POLICY = "position.json", "taught.npy", "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How far a learner is in a log."""

    rows: int = 0  # read: each was learnt from once, or left to the judge
    sessions: int = 0  # among them
    offered: int = 0  # sessions at the last snapshot that was judged
    cut: Cut | None = None  # these rows, when they were last kept on disk


class OnlineLearner:
    """Learns in order from a joined log that grows, each row once; what serves is never touched.

    A copy of `policy` is taken. Only the units that teach by `terms.split` teach it: the others
    judge its snapshots. `follow` after each join; `offer` gives a snapshot to the gate every
    `every` sessions; `keep` and `resume` for restarts.

    Raises ValueError for a policy that learns by acting only.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        name: str,
        terms: Terms | None = None,
        every: int = 1_000,
        step: bool = True,
        kind: Kind = "geometric",
    ) -> None:
        COUNT.check("every", every)
        if isinstance(policy, Learner):
            raise ValueError(f"{name} learns by acting in a world, not from a log")
        self.policy, self.name, self.every = copy.deepcopy(policy), name, every
        self.terms, self.step, self.kind = terms or Terms(), step, kind
        self.followed = Followed()
        self.taught: I64 = np.zeros(0, np.int64)

    def follow(self, log: LoggedDataset) -> int:
        """Learn from what the log holds beyond what was read; the rows that taught.

        Raises LogError where the log is shorter than what was read, or, after `resume`, no longer
        begins with it; and where a session goes on that was read (join whole sessions).
        """
        at = self.followed
        if at.cut is not None:
            part_of(log, at.cut)
        if len(log) < at.rows:
            raise LogError(
                f"the log has {len(log):,} decisions, {at.rows:,} were read: it is another log"
            )
        if len(log) == at.rows:
            return 0
        new = log.take(slice(at.rows, None)) if at.rows else log
        before = np.unique(log.session[: at.rows])
        if np.isin(new.session, before).any():
            raise LogError("a session that was read goes on: append whole sessions, as joins do")
        teach = _teaching(new, self.terms)
        if teach is not None:
            self.policy.update(teach)
            self.taught = np.union1d(self.taught, teach.unit)
        self.followed = Followed(
            rows=len(log), sessions=at.sessions + new.n_sessions, offered=at.offered
        )
        return 0 if teach is None else len(teach)

    @property
    def due(self) -> bool:
        """Whether enough sessions were read since the last snapshot."""
        return self.followed.sessions - self.followed.offered >= self.every

    def snapshot(self) -> Snapshot:
        """The policy as it is, frozen."""
        return Snapshot(
            policy=copy.deepcopy(self.policy),  # type: ignore[arg-type]
            taught=self.taught.copy(),
            name=self.name,
            settings={"online": True, "rows": self.followed.rows},
            step=self.step,
            kind=self.kind,
        )

    def offer(
        self,
        registry: Registry,
        log: LoggedDataset,
        *,
        champion: str = "live",
        guardrails: Guardrails | None = None,
        seed: int = 0,
        by: str | None = None,
    ) -> Challenge | None:
        """A snapshot through the gate of `relearn`, where one is due; nothing is promoted.

        Raises LogError where `log` is not what was followed, and as `relearn` does.
        """
        if not self.due:
            return None
        if len(log) != self.followed.rows:
            raise LogError(
                f"the log has {len(log):,} decisions and {self.followed.rows:,} were read: follow "
                "it first"
            )
        challenge = relearn(
            registry,
            log,
            self.snapshot(),
            cut=cut_of(log),
            champion=champion,
            terms=self.terms,
            guardrails=guardrails,
            seed=seed,
            by=by,
            trigger=f"{self.followed.sessions:,} sessions followed",
        )
        at = self.followed
        self.followed = Followed(rows=at.rows, sessions=at.sessions, offered=at.sessions)
        return challenge

    def keep(self, folder: str | os.PathLike[str], log: LoggedDataset) -> None:
        """Write the policy and the position together, whole or not at all."""
        at = self.followed
        cut = cut_of(log.take(slice(0, at.rows))) if at.rows else None
        said = {
            "rows": at.rows,
            "sessions": at.sessions,
            "offered": at.offered,
            "cut": None if cut is None else json.loads(cut.to_json()),
        }
        with durable_folder(Path(folder)) as fresh:
            save(self.policy, fresh / POLICY)
            np.save(fresh / TAUGHT, self.taught, allow_pickle=False)
            write_durably(fresh / POSITION, json.dumps(said).encode())

    @classmethod
    def resume(
        cls,
        folder: str | os.PathLike[str],
        *,
        name: str,
        terms: Terms | None = None,
        every: int = 1_000,
        step: bool = True,
        kind: Kind = "geometric",
    ) -> Self:
        """The learner that `keep` wrote: rows that it has read are not learnt from again.

        Raises FileNotFoundError where none was kept.
        """
        folder = Path(folder)
        said = json.loads((folder / POSITION).read_bytes())
        cut = None if said["cut"] is None else Cut.from_json(said["cut"])
        found = cls(
            load(folder / POLICY), name=name, terms=terms, every=every, step=step, kind=kind
        )
        found.taught = np.load(folder / TAUGHT, allow_pickle=False)
        found.followed = Followed(
            rows=said["rows"], sessions=said["sessions"], offered=said["offered"], cut=cut
        )
        return found


def _teaching(log: LoggedDataset, terms: Terms) -> LoggedDataset | None:
    """The rows of the units that teach by the split; None where there are none."""
    teach = parts_of(log, terms.split, seed=terms.split_seed) == 0
    return log.take(teach) if teach.any() else None

"""What planners keep of logs: sums of fixed size, in which logs and logging policies add up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.improve.decisions import Decisions, decisions
from policies.improve.kernels import KNOTS, Kernels, step_levels
from policies.improve.sums import Sums
from policies.observation import Observation
from policies.saved import prefixed, under

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
ROWS = 1 << 15  # rows whose features are in memory at a time
SUMS = ("choice", "now", "later", "means")
REST, NOW = 0, 1  # outcomes of `Evidence.later`; a state follows, where a session was cut


class Layout(NamedTuple):
    """Columns of a decision's features: constant, item taken (P), then for each logging policy the
    state (Q), the mean of the items shown (P) and the step's levels, for what a state is worth
    depends on who goes on serving.

    Beside the mean of the slate, slopes of the item taken compare the items of one slate, and not
    users whose slates differ: Mundlak (1978).
    """

    items: int  # P
    state: int  # Q
    loggers: int

    @classmethod
    def of(cls, kernels: Kernels, loggers: int) -> Self:
        return cls(kernels.size, kernels.state_size, loggers)

    @property
    def width(self) -> int:
        """Columns of one logging policy."""
        return self.state + self.items + len(KNOTS)

    @property
    def size(self) -> int:
        return 1 + self.items + self.width * self.loggers

    def columns(self, logger: int) -> I64:
        """Those that rows of one logging policy fill: constant, items, state, levels."""
        start = 1 + self.items + self.width * logger
        return np.append(np.arange(1 + self.items), np.arange(start, start + self.width))

    def pooled(self) -> F64:
        """(D, 1 + Q) 0/1: the columns of constant and state, whoever served."""
        out = np.zeros((self.size, 1 + self.state))
        out[0, 0] = 1.0
        for logger in range(self.loggers):
            of_state = self.columns(logger)[1 + self.items : 1 + self.items + self.state]
            out[of_state, 1 + np.arange(self.state)] = 1.0
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Sums over all logs so far; A + 1 items, the last stands for nothing taken."""

    loggers: tuple[str, ...]
    choice: Sums  # shown places where their item or nothing was taken: (1, P) -> taken
    now: Sums  # decisions where an item was taken: (1, P, Q) -> reward
    later: Sums  # decisions: Layout -> rest of the session, reward, Layout of where it was cut
    means: Sums  # decisions where an item was taken -> responses
    ended: F64  # (1,) decisions in sessions that were seen to their end

    @classmethod
    def none(cls, kernels: Kernels) -> Self:
        """Nothing seen."""
        items, p, q = kernels.serving.n_items + 1, kernels.size, kernels.state_size
        size = Layout.of(kernels, 0).size
        return cls(
            (),
            Sums.none(items, 1 + p, 1),
            Sums.none(items, 1 + p + q, 1),
            Sums.none(items, size, 2 + size),
            Sums.none(items, 0, len(kernels.serving.response_names)),
            np.zeros(1),
        )

    @property
    def decisions(self) -> float:
        """How many rows there were."""
        return float(self.later.n.sum())

    def plus_log(self, log: LoggedDataset, obs: Observation, kernels: Kernels) -> Evidence:
        """With the rows of a log (session by session) and what was observed on them."""
        if not (log.slate >= 0).any():
            raise ValueError("every slate of the log is empty: no item's value can be learnt")
        rows = decisions(log)
        made = self._with_loggers(np.unique(rows.logger).tolist(), kernels)
        cut = np.flatnonzero(rows.cut & (rows.last == np.arange(len(log))))
        seen = kernels.seen(obs.rows(cut))
        at_cut = np.concatenate(
            [kernels.state(seen), slate_means(kernels.items(seen, log.slate[cut]), log.slate[cut])],
            axis=1,
        )
        for start in range(0, len(log), ROWS):
            block = np.arange(start, min(start + ROWS, len(log)))
            made = made._plus_block(log, obs.rows(block), rows, block, cut, at_cut, kernels)
        return replace(made, ended=made.ended + np.count_nonzero(~rows.cut))

    def _with_loggers(self, names: list[str], kernels: Kernels) -> Evidence:
        """With room for these logging policies, too."""
        new = (*self.loggers, *(name for name in names if name not in self.loggers))
        if new == self.loggers:
            return self
        before = np.arange(Layout.of(kernels, len(self.loggers)).size)
        size = Layout.of(kernels, len(new)).size
        outcomes = np.concatenate([[REST, NOW], 2 + before])
        later = self.later.placed(before, outcomes, size, 2 + size)
        return replace(self, loggers=new, later=later)

    def _plus_block(
        self,
        log: LoggedDataset,
        obs: Observation,
        rows: Decisions,
        block: I64,
        cut: I64,
        at_cut: F64,
        kernels: Kernels,
    ) -> Evidence:
        n_items = log.n_items
        item, seen = rows.taken[block], kernels.seen(obs)
        state = kernels.state(seen)
        some = np.flatnonzero(item < n_items)
        one = np.ones((len(block), 1))
        of_item = kernels.items(seen, np.where(item < n_items, item, -1)[:, None].astype(np.int32))
        x = np.concatenate([one, of_item[:, 0], state], axis=1)
        now = self.now.plus(Sums.of(item[some], x[some], rows.now[block][some, None], n_items + 1))
        means = self.means
        if log.responses is not None:
            observed = log.responses[block][some].astype(np.float64)
            means = means.plus(Sums.of(item[some], observed[:, :0], observed, n_items + 1))
        shown = kernels.items(seen, log.slate[block])
        means_shown = slate_means(shown, log.slate[block])
        later = self.later
        layout = Layout.of(kernels, len(self.loggers))
        for number, name in enumerate(self.loggers):
            mine = np.flatnonzero((rows.logger[block] == name) & rows.known[block])
            if not len(mine):
                continue
            here = block[mine]
            columns = layout.columns(number)
            levels = step_levels(log.step[here])
            end = np.zeros((len(here), len(columns)))
            goes_on = np.flatnonzero(rows.cut[here])
            if len(goes_on):
                last = rows.last[here[goes_on]]
                end[goes_on, 0] = 1.0
                end[goes_on, 1 + layout.items :] = np.concatenate(
                    [at_cut[np.searchsorted(cut, last)], step_levels(log.step[last])], axis=1
                )
            y = np.concatenate([rows.rest[here, None], rows.now[here, None], end], axis=1)
            here_x = np.concatenate([x[mine], means_shown[mine], levels], axis=1)
            sums = Sums.of(item[mine], here_x, y, n_items + 1, rows.choice[here])
            outcomes = np.concatenate([[REST, NOW], 2 + columns])
            later = later.plus(sums.placed(columns, outcomes, layout.size, 2 + layout.size))
        choice = self.choice.plus(_choices(log.slate[block], shown, item, n_items))
        return replace(self, choice=choice, now=now, later=later, means=means)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a policy saves beside the names of the logging policies."""
        arrays: dict[str, NDArray[Any]] = {"ended": self.ended}
        for name in SUMS:
            arrays |= prefixed(f"{name}.", getattr(self, name).to_arrays())
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], loggers: list[str]) -> Self:
        """The evidence that gave the arrays."""
        kept = {n: Sums(**under(f"{n}.", arrays)) for n in SUMS}
        return cls(loggers=tuple(loggers), ended=arrays["ended"], **kept)


def slate_means(shown: F64, slate: NDArray[np.int32]) -> F64:
    """(N, P) means of the features (N, K, P) of the items shown."""
    filled = (slate >= 0).sum(axis=1, keepdims=True)
    return np.asarray(shown.sum(axis=1) / np.maximum(filled, 1))


def _choices(slate: NDArray[np.int32], shown: F64, taken: I64, n_items: int) -> Sums:
    """Of a multinomial logit: given that the item or nothing was taken, which does not depend on
    what else was shown (Luce, 1959)."""
    is_taken = slate == taken[:, None]
    use = (slate >= 0) & (is_taken | (taken == n_items)[:, None])
    x = np.concatenate([np.ones((int(use.sum()), 1)), shown[use]], axis=1)
    outcome = is_taken[use].astype(np.float64)[:, None]
    return Sums.of(slate[use].astype(np.int64), x, outcome, n_items + 1)

"""How decisions and outcomes are joined: declared, so that a log can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from policies.observation import Serving
from policies.validation import COUNT, FROM_0, POSITIVE
from serving.catalogue import Catalogue
from serving.contracts.outcomes import SHOWN
from serving.contracts.starts import Start


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCap:
    """Of one user, over the sessions that begin in one window of time. Raises ValueError for bad
    numbers.

    A cap bounds what a ring of bots can do to anything that is learned from the log. It changes
    rewards of whoever reaches it, so that it belongs far above what people do (`heavy_users`
    suggests one), and is the same for all policies that are compared.
    """

    reward: float | None = None  # the most total reward, in size; None: no cap
    decisions: int | None = None  # the most decisions
    window: float = 86_400.0  # s; windows begin at its multiples since 1970

    def __post_init__(self) -> None:
        POSITIVE.check("the cap's window", self.window)
        if self.reward is not None:
            FROM_0.check("the cap of reward", self.reward)
        if self.decisions is not None:
            COUNT.check("the cap of decisions", self.decisions)
        if self.reward is None and self.decisions is None:
            raise ValueError("a cap of nothing: give reward, decisions or both")


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRule:
    """Windows, the reward, and when a session is over. Raises ValueError for bad numbers.

    The reward of a row is the sum of weight x value over its outcomes; those of an item are the
    reward of its place.
    """

    window: float = 600.0  # s in which an outcome counts after its decision
    windows: Mapping[str, float] = field(default_factory=dict)  # the same, of single kinds
    reward: Mapping[str, float] = field(default_factory=dict)  # weight of a kind of outcome
    idle: float = 1_800.0  # s without a decision after which a session is over; not less than
    # those of the session store, or decisions of sessions that go on come too late
    idle_end: Literal["terminated", "truncated"] = "truncated"  # how it then ended
    cap: UserCap | None = None  # the most that one user may add

    def __post_init__(self) -> None:
        POSITIVE.check("window", self.window)
        POSITIVE.check("idle", self.idle)
        for name in ("windows", "reward"):
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number for each kind")
        for kind, seconds in self.windows.items():
            POSITIVE.check(f"windows[{kind!r}]", seconds)
        if SHOWN in self.reward:
            raise ValueError(
                f"reward[{SHOWN!r}]: a slate that a cache shows once more is the same decision; a "
                "reward of it would pay for repeats. Report views under another word"
            )
        for kind, weight in self.reward.items():
            FROM_0.check(f"the size of reward[{kind!r}]", abs(weight))
        if self.idle_end not in ("terminated", "truncated"):
            raise ValueError(f"idle_end is {self.idle_end!r}; it is terminated or truncated")

    def window_of(self, kind: str) -> float:
        """Seconds in which an outcome of the kind counts."""
        return self.windows.get(kind, self.window)

    @property
    def longest(self) -> float:
        """The longest of all windows."""
        return max((self.window, *self.windows.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of the rows, which those of the policy give."""

    n_items: int  # A
    slate_size: int  # K
    history_length: int  # H
    responses: int  # R
    item_names: tuple[str, ...] | None = None
    max_steps: int | None = None  # sessions end after so many decisions by design
    keep_priors: bool = False  # write first histories also where all are empty
    keep_candidates: bool = False  # write candidates also where all are the whole catalogue
    keep_tables: bool = True  # write the candidates' probabilities where every decision has them

    @classmethod
    def of(cls, serving: Serving, catalogue: Catalogue) -> Shape:
        """Of what an engine serves."""
        return cls(
            n_items=serving.n_items,
            slate_size=serving.slate_size,
            history_length=serving.history_length,
            responses=len(serving.response_names),
            item_names=catalogue.names,
        )

    @classmethod
    def of_start(cls, start: Start) -> Shape:
        """Of what an engine said when it started: an event log explains itself."""
        return cls(
            n_items=start.n_items,
            slate_size=start.slate_size,
            history_length=start.history_length,
            responses=len(start.response_names),
            item_names=start.item_names,
            max_steps=start.max_steps,
        )

"""Simulated users who come back: what they are shown by a service, and what they report to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.live.users.crowd import DAY, Crowd, seats_of, visits_of
from experiments.live.users.due import Due
from experiments.live.users.messages import happened_in, outcomes_of, request_of
from recsim_env.disturb.observations import moved, unit
from recsim_env.random import slot_keys
from recsim_env.vector import RecVectorEnv
from serving import Outcome, Request

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BATCH = 256  # requests that are decided at once, at most
TASTE = "interest"  # the field of a user's state that is the person's, not the visit's
QUALITY = "quality"  # of an item: how good users find it


class Shown(Protocol):
    """What a service answers; `serving.Decision` is one."""

    @property
    def items(self) -> tuple[str, ...]: ...
    @property
    def policy(self) -> str: ...


class Door(Protocol):
    """A service as its callers see it, on a simulated clock."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def response_names(self) -> Sequence[str]: ...

    def at(self, now: float) -> None:
        """The clock stands there, s."""

    def decide(self, requests: Sequence[Request]) -> Sequence[Shown]: ...

    def report(self, outcomes: Sequence[Outcome]) -> None: ...


@dataclass(slots=True)
class Sessions:
    """The S sessions that were played, in the order in which they ended, as users saw them."""

    user: list[int] = field(default_factory=list)
    began: list[float] = field(default_factory=list)  # s
    value: list[float] = field(default_factory=list)  # reward of the whole session
    steps: list[int] = field(default_factory=list)
    policy: list[str] = field(default_factory=list)  # of the first decision
    decisions: int = 0

    def of(self, name: str) -> NDArray[Any]:
        """One column (S,)."""
        return np.array(getattr(self, name))


@dataclass(slots=True)
class _Visit:
    user: int
    nth: int  # of the user
    began: float
    step: int = 0
    value: float = 0.0
    policy: str = ""


class Players:
    """N users of a world, each with interests of their own that come back with them; boredom,
    satisfaction and time are the visit's. The n-th visit of user u draws from the random stream
    of (seed, u, n), whatever was served to whom: services under one seed meet the same users. In
    worlds whose users have no `interest`, only what a service remembers joins a user's visits.

    make_env: a world for so many sessions at a time; sessions of at most `max_steps` decisions.
    """

    def __init__(self, make_env: Callable[..., Any], crowd: Crowd, *, seed: int) -> None:
        probe = make_env(1)
        if probe.max_steps is None:
            raise ValueError("sessions must end within a day: give the world a max_steps")
        self.crowd, self.seed, self.longest = crowd, seed, int(probe.max_steps)
        self.env: RecVectorEnv = make_env(seats_of(crowd, self.longest), autoreset_mode="NextStep")
        self.obs, _ = self.env.reset(seed=seed)
        state = self.env.live.users
        width = state[TASTE].shape[1] if TASTE in (state.dtype.names or ()) else 0
        self.tastes = np.full((crowd.users, width), np.nan, np.float32)
        self.visits = np.zeros(crowd.users, np.int64)
        self.turns = 0  # changes of what users like
        rng = np.random.default_rng(np.random.SeedSequence((crowd.direction, 2)))
        self._direction = unit(rng.normal(size=width)) if width else np.zeros(0)

    def turn(self) -> None:
        """What users like changes at once: their interests are mirrored along the direction that
        they share, and so is what they find good of items about its mean, where items have a
        quality. What most liked most is what they now like least; no taste is stronger than it
        was. Users who come for the first time from now on have turned, too.

        Raises ValueError in a world whose users have no interests.
        """
        if not self.tastes.shape[1]:
            raise ValueError(
                f"{self.env.model_name} users have no `{TASTE}` that could turn: take a world "
                "whose users have one (longplay, interest_evolution, boredom)"
            )
        known = ~np.isnan(self.tastes[:, 0])
        self.tastes[known] = self._turned(self.tastes[known])
        self._turn_items()
        self.turns += 1

    def _turn_items(self) -> None:
        items: NDArray[Any] = getattr(self.env.world, "items", np.zeros(0))
        if QUALITY in (items.dtype.names or ()):
            good = items[QUALITY]
            good[:] = np.clip(2 * good.mean() - good, 0, 1)

    def _first(self, interests: NDArray[Any]) -> NDArray[Any]:
        """Interests (n, D) of users who come for the first time."""
        interests = moved(interests, self.crowd.shared, self._direction)
        for _ in range(self.turns):
            interests = self._turned(interests)
        return interests

    def _turned(self, interests: NDArray[Any]) -> NDArray[Any]:
        size = -2 * (interests @ self._direction)[:, None]
        length = np.linalg.norm(interests, axis=1, keepdims=True)
        return moved(interests, size / np.maximum(length, 1e-9), self._direction)

    def day(self, day: int, door: Door, each: Callable[[float], None] | None = None) -> Sessions:
        """Play a whole day: its sessions begin, are served and end, and all outcomes are reported,
        before the next.

        each: called between two moments of the day with the time, s, also when nobody is there.
        """
        played, due = Sessions(), Due(self.crowd, self.seed, day)
        visits = visits_of(self.crowd, day, self.seed, last=self.longest + 8)
        waiting = [*zip(visits.tick.tolist(), visits.user.tolist(), strict=True)][::-1]
        seats: list[_Visit | None] = [None] * self.env.num_envs
        tick = 0
        while tick < self.crowd.ticks or waiting or len(due) or any(seats):
            now = day * DAY + tick * self.crowd.think
            door.at(now)
            if waiting and waiting[-1][0] <= tick:
                self._seat(seats, waiting, tick, now)
            taken = [i for i, visit in enumerate(seats) if visit is not None]
            if taken:
                self._step(seats, taken, door, due, played, now)
            for at, outcomes in due.until(now + self.crowd.think):
                door.at(at)
                door.report(outcomes)
            tick += 1
            if each is not None:
                each(day * DAY + tick * self.crowd.think)
        if tick > self.crowd.ticks:
            raise ValueError("sessions did not end with the day: there are too few seats for them")
        return played

    def _seat(
        self, seats: list[_Visit | None], waiting: list[tuple[int, int]], tick: int, now: float
    ) -> None:
        """Sessions that are due begin, as far as there are seats."""
        rows: list[int] = []
        for row, visit in enumerate(seats):
            if not waiting or waiting[-1][0] > tick:
                break
            if visit is None:
                user = waiting.pop()[1]
                seats[row] = _Visit(user, int(self.visits[user]), now)
                self.visits[user] += 1
                rows.append(row)
        if not rows:
            return
        who = np.array([seats[row].user for row in rows])  # type: ignore[union-attr]
        state = self.env.live.users
        state["stream"][rows] = slot_keys(self.seed, who)
        state["session"][rows] = self.visits[who] - 2  # the next one begins
        mask = np.zeros(len(seats), np.bool_)
        mask[rows] = True
        self.obs, _ = self.env.reset(options={"reset_mask": mask})
        if self.tastes.shape[1]:
            known = ~np.isnan(self.tastes[who, 0])
            interests = self._first(state[TASTE][rows])
            interests[known] = self.tastes[who[known]]
            state[TASTE][rows] = interests
            self.obs = self.env.observed(self._look())

    def _look(self) -> Any:
        """What is to be seen of all users now."""
        view = self.env.engine.view()
        self.env.engine.begin(np.zeros(self.env.num_envs, np.bool_), view)
        return view

    def _step(
        self,
        seats: list[_Visit | None],
        taken: list[int],
        door: Door,
        due: Due,
        played: Sessions,
        now: float,
    ) -> None:
        """One decision for each session that is under way."""
        obs, names = self.obs, door.names
        visits = [(row, visit) for row in taken if (visit := seats[row]) is not None]
        requests = [
            request_of(_id(v), f"user {v.user}", f"visit {v.nth}", obs, row, names)
            for row, v in visits
        ]
        shown: list[Shown] = []
        for first in range(0, len(requests), BATCH):
            shown += door.decide(requests[first : first + BATCH])
        action = np.tile(np.arange(self.env.slate_size), (len(seats), 1))
        for (row, _), request, answer in zip(visits, requests, shown, strict=True):
            action[row] = _places(answer.items, request.candidates or names, self.env.slate_size)
        self.obs, reward, terminated, truncated, info = self.env.step(action)
        for (row, visit), answer in zip(visits, shown, strict=True):
            happened = happened_in(row, terminated, truncated, info)
            told = _id(visit), answer.items, happened, names, door.response_names
            due.add(now, [*outcomes_of(f"user {visit.user}", *told)])
            if visit.step == 0:
                visit.policy = answer.policy
            visit.step, visit.value = visit.step + 1, visit.value + float(reward[row])
            played.decisions += 1
            if terminated[row] or truncated[row]:
                if self.tastes.shape[1]:
                    self.tastes[visit.user] = self.env.live.users[TASTE][row]
                for name in ("user", "began", "value", "policy"):
                    getattr(played, name).append(getattr(visit, name))
                played.steps.append(visit.step)
                seats[row] = None

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a later day depends on, between two days."""
        return {"tastes": self.tastes, "visits": self.visits, "turns": np.array(self.turns)}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on after the day whose state it was."""
        self.tastes, self.visits = state["tastes"].copy(), state["visits"].copy()
        for _ in range(int(state["turns"]) - self.turns):
            self._turn_items()
            self.turns += 1


def _id(visit: _Visit) -> str:
    return f"{visit.user}/{visit.nth}/{visit.step}"


def _places(items: Sequence[str], offered: Sequence[str], size: int) -> list[int]:
    """The slate as numbers of the offer; the first others, where fewer items were shown."""
    chosen = [offered.index(item) for item in items]
    spare = (i for i in range(len(offered)) if i not in chosen)
    return chosen + [next(spare) for _ in range(size - len(chosen))]

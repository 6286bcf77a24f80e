"""Failure modes of production as vector wrappers: composable, each with a seed and a schedule.

Every wrapper acts from decision `start` until before `stop` of its own count of steps and has luck
of its own, so that the users met are those of the undisturbed world.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from recsim_env.oracle import bare

Obs = dict[str, NDArray[Any]]


class Disturbance(VectorWrapper[Any, Any, Any, Any, Any]):
    """Counts steps, keeps the schedule, and owns the luck; what it does is in the subclasses."""

    def __init__(
        self, env: VectorEnv[Any, Any, Any], *, start: int = 0, stop: int = 2**62, seed: int = 0
    ) -> None:
        super().__init__(env)
        if not 0 <= start < stop:
            raise ValueError(f"start = {start}, stop = {stop}: need 0 <= start < stop")
        self.start, self.stop, self.seed = start, stop, seed
        self._restart()

    def _restart(self) -> None:
        self.clock = 0
        self.luck = np.random.default_rng(np.random.SeedSequence([self.seed, 77]))

    @property
    def active(self) -> bool:
        """Whether the schedule says that the disturbance is on."""
        return self.start <= self.clock < self.stop

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Reset the world; a seed also restarts the schedule."""
        if seed is not None:
            self._restart()
        obs, infos = self.env.reset(seed=seed, options=options)
        return self.observed(obs, np.ones(self.num_envs, np.bool_)), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Serve what becomes of the actions, and return what becomes of the answer."""
        if self.active:
            self.before()
        actions = self.served(np.array(actions)) if self.active else actions
        obs, reward, terminated, truncated, infos = self.env.step(actions)
        ended = terminated | truncated
        reward = self.paid(reward, ended, infos)
        self.clock += 1
        return self.observed(obs, ended), reward, terminated, truncated, infos

    def before(self) -> None:
        """Change the world before a step."""

    def served(self, actions: NDArray[Any]) -> NDArray[Any]:
        """What is served instead of the actions."""
        return actions

    def observed(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """What is seen instead of the observation; `fresh` rows have just begun a session."""
        return obs

    def paid(
        self, reward: NDArray[Any], ended: NDArray[np.bool_], infos: dict[str, Any]
    ) -> NDArray[Any]:
        """What is paid instead of the reward."""
        return reward


class Drift(Disturbance):
    """Stands for: tastes that move by season, news or a redesign, whatever is recommended.

    Signal: reward falls while propensities stay right; the reward model's residuals drift.
    `kind` "sudden" turns interests once at `start`, "gradual" a little at every step, "seasonal"
    there and back with `period`. Needs users with an `interest` vector.
    """

    def __init__(
        self,
        env: Any,
        *,
        kind: str = "sudden",
        size: float = 0.5,
        period: int = 50,
        **schedule: int,
    ) -> None:
        if kind not in ("sudden", "gradual", "seasonal"):
            raise ValueError(f"kind = {kind!r}: choose 'sudden', 'gradual' or 'seasonal'")
        super().__init__(env, **schedule)
        self.kind, self.size, self.period = kind, size, period
        interest = bare(env).live.users["interest"]
        self.direction = np.random.default_rng([self.seed, 78]).normal(size=interest.shape[1])
        self.direction /= float(np.linalg.norm(self.direction))

    def before(self) -> None:
        """Move every user's interests along one direction, at unchanged length."""
        age = self.clock - self.start
        amount = self.size
        if self.kind == "sudden" and age > 0:
            return
        if self.kind == "gradual":
            amount = self.size / self.period
        if self.kind == "seasonal":
            turn = 2 * np.pi / self.period
            amount = float(self.size * turn * np.cos(turn * age))
        interest = bare(self.env).live.users["interest"]
        length = np.linalg.norm(interest, axis=1, keepdims=True)
        moved = interest + amount * length * self.direction
        moved = moved * length / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
        interest[:] = np.clip(moved, -1, 1)


class StaleObservations(Disturbance):
    """Stands for: a feature store that lags. Observed histories and sums are `lag` steps old.

    Signal: logged features differ from features derived from the log (training-serving skew).
    """

    def __init__(self, env: Any, *, lag: int = 3, **schedule: int) -> None:
        self.lag = lag
        super().__init__(env, **schedule)

    def _restart(self) -> None:
        super()._restart()
        self.past: deque[Obs] = deque(maxlen=self.lag + 1)

    def observed(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """The user's part as it was; candidates are always today's."""
        mine = {k: v for k, v in obs.items() if k.startswith("history") or k == "user"}
        for old in self.past:
            for key, array in mine.items():
                old[key][fresh] = array[fresh]
        self.past.append({key: array.copy() for key, array in mine.items()})
        return obs | {k: v.copy() for k, v in self.past[0].items()} if self.active else obs


class MissingFeatures(Disturbance):
    """Stands for: a broken join. Each row loses its user vector and features with chance `rate`.

    Signal: the share of zero rows in the context; calibration of the propensities by context.
    """

    def __init__(self, env: Any, *, rate: float = 0.2, **schedule: int) -> None:
        super().__init__(env, **schedule)
        self.rate = rate

    def observed(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """Zeros where the join failed."""
        lost = self.luck.random(self.num_envs) < self.rate
        if not self.active:
            return obs
        out = dict(obs)
        for key in ("user", "candidate_features"):
            if key in out:
                out[key] = out[key].copy()
                out[key][lost] = np.clip(0, self._low(key)[lost], None)
        return out

    def _low(self, key: str) -> NDArray[Any]:
        """The least that the space allows, where 0 is not inside it."""
        space: Any = self.env.observation_space
        return np.asarray(np.minimum(space[key].low, 0))


class ColdStart(Disturbance):
    """Stands for: a wave of new users (a campaign). Observed histories are empty while it lasts.

    Signal: the share of empty histories; reward by history length.
    """

    def observed(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """Nobody is known."""
        if not self.active:
            return obs
        empty = np.full_like(obs["history_items"], -1)
        blank = np.zeros_like(obs["history_responses"])
        return obs | {"history_items": empty, "history_responses": blank}


class Bots(Disturbance):
    """Stands for: click farms. A share of slots reports a full reward on every decision.

    Signal: slots whose reward does not vary; the tail of reward per user.
    """

    def __init__(
        self, env: Any, *, share: float = 0.05, reward: float = 5.0, **schedule: int
    ) -> None:
        super().__init__(env, **schedule)
        self.bots = np.random.default_rng([self.seed, 79]).random(self.num_envs) < share
        self.reward = reward

    def paid(
        self, reward: NDArray[Any], ended: NDArray[np.bool_], infos: dict[str, Any]
    ) -> NDArray[Any]:
        """Bots always pay."""
        return np.where(self.bots, self.reward, reward) if self.active else reward


class DelayedRewards(Disturbance):
    """Stands for: conversions that arrive late. A reward comes `delay` steps later, or at the end.

    Signal: reward per step of the session is shifted; one-step estimators credit the wrong slate.
    """

    def __init__(self, env: Any, *, delay: int = 3, **schedule: int) -> None:
        self.delay = delay
        super().__init__(env, **schedule)

    def _restart(self) -> None:
        super()._restart()
        self.owed = np.zeros((self.delay, self.num_envs))

    def paid(
        self, reward: NDArray[Any], ended: NDArray[np.bool_], infos: dict[str, Any]
    ) -> NDArray[Any]:
        """What was owed is paid; a session's end settles everything, so nothing is lost."""
        now = reward if not self.active else np.zeros_like(reward)
        due = self.owed[0] + now
        self.owed = np.roll(self.owed, -1, axis=0)
        self.owed[-1] = reward - now
        due = due + np.where(ended, self.owed.sum(0), 0.0)
        self.owed[:, ended] = 0.0
        return np.asarray(due)


class LostRows(Disturbance):
    """Stands for: a log pipeline that drops events. infos["lost"] marks rows not to be written.

    Signal: sessions with missing steps, which `LoggedDataset.histories` refuses.
    """

    def __init__(self, env: Any, *, rate: float = 0.02, **schedule: int) -> None:
        super().__init__(env, **schedule)
        self.rate = rate

    def paid(
        self, reward: NDArray[Any], ended: NDArray[np.bool_], infos: dict[str, Any]
    ) -> NDArray[Any]:
        """The reward stays; the row is marked."""
        infos["lost"] = (self.luck.random(self.num_envs) < self.rate) & self.active
        infos["_lost"] = np.ones(self.num_envs, np.bool_)
        return reward


class LatencyBudget(Disturbance):
    """Stands for: a ranker that misses its deadline. Places below `places` fall back to defaults.

    Signal: served slates differ from logged ones, so logged propensities are wrong (mean weight).
    """

    def __init__(self, env: Any, *, rate: float = 0.2, places: int = 1, **schedule: int) -> None:
        super().__init__(env, **schedule)
        self.rate, self.places = rate, places

    def served(self, actions: NDArray[Any]) -> NDArray[Any]:
        """The first choices that the slate does not hold yet, in order, below the deadline."""
        late = self.luck.random(self.num_envs) < self.rate
        if actions.ndim == 1:
            return actions
        for row in np.flatnonzero(late):
            kept = actions[row, : self.places].tolist()
            spare = (c for c in range(actions.shape[1] * 2) if c not in kept)
            actions[row, self.places :] = [next(spare) for _ in actions[row, self.places :]]
        return actions


def churning(
    n_items: int, *, share: float = 0.3, every: int = 20, ticks: int = 200, seed: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Windows (A,) each for `Catalogue.with_windows`: stands for catalogue churn.

    A share of the items appears at a random multiple of `every` and retires as many ticks later.
    Signal: support holes, logged items that the target can no longer serve and the reverse.
    """
    rng = np.random.default_rng(seed)
    moving = rng.random(n_items) < share
    since = rng.integers(0, max(ticks // every, 1), n_items) * every
    until = since + rng.integers(1, max(ticks // every, 2), n_items) * every
    never = np.full(n_items, 2**31 - 1)
    return (
        np.where(moving, since, 0).astype(np.int32),
        np.where(moving, until, never).astype(np.int32),
    )

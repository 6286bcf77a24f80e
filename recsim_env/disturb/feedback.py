"""Disturbances of what is served, paid and written down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.columns import check_finite, check_whole
from recsim_env.disturb.disturbance import Disturbance, Obs, check_chance
from recsim_env.oracles.oracle import bare


class Bots(Disturbance):
    """Stands for: click farms. A share of slots takes the first item of every slate it is shown.

    What they take is what is consumed, responded, paid and remembered: histories are poisoned as in
    production. Their sessions end when the user's would have. Signal: "heavy units" of the log
    doctor where they are few and paid much; users whose reward does not vary, as nobody's does.
    """

    def __init__(
        self, env: Any, *, share: float = 0.05, reward: float = 5.0, **schedule: int
    ) -> None:
        check_chance("share", share)
        check_finite("reward", reward)
        super().__init__(env, **schedule)
        high = np.broadcast_to(bare(env).model.responses.high, len(bare(env).response_names))
        self.response = np.minimum([1.0, reward, *high[2:] * 0.0][: len(high)], high)
        self.bots = np.random.default_rng([self.seed, 79]).random(self.num_envs) < share
        self.reward = reward

    def _restart(self) -> None:
        super()._restart()
        self.past: Obs = {}
        self.acted = False

    def actions(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Slates as they are; the first item is what bots take."""
        core, choice = bare(self.env), actions.reshape(self.num_envs, -1)[:, 0].astype(np.int64)
        drawn = (
            core.live.candidates[np.arange(self.num_envs), choice] if core.n_candidates else None
        )
        self.first = choice.astype(np.int32) if drawn is None else drawn
        return actions

    def rewards(
        self, reward: NDArray[Any], ended: NDArray[np.bool_], infos: dict[str, Any]
    ) -> NDArray[Any]:
        """Bots click, for a full reward, and their click joins the history they show."""
        self.acted = self.active
        if not self.acted:
            return reward
        bots = self.bots
        infos["consumed"][bots] = self.first[bots]
        infos["responses"][bots] = self.response
        infos["position_reward"][bots] = 0.0
        infos["position_reward"][bots, 0] = self.reward
        self._remember(infos["responses"])
        return np.where(bots, self.reward, reward)

    def _remember(self, responses: NDArray[Any]) -> None:
        """The last item and its response enter the bots' histories at the end."""
        entered = {"history_items": self.first, "history_responses": responses}
        for key, newest in entered.items():
            if self.past[key].shape[1]:
                self.past[key][self.bots, :-1] = self.past[key][self.bots, 1:]
                self.past[key][self.bots, -1] = newest[self.bots]
        watched = self.response[1] if len(self.response) > 1 else 0.0
        self.past["user"][self.bots, -3:-1] += 1.0, watched

    def final(self, last: Obs, rows: NDArray[np.int64]) -> Obs:
        """Where a bot's session ends, what it did is what it shows."""
        if not (self.acted and self.past):
            return last
        out, bots = {key: array.copy() for key, array in last.items()}, self.bots[rows]
        for key, old in self.past.items():
            out[key][bots] = old[rows[bots]]
        return out

    def observations(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """What a bot shows is what it did; everything else is the user's, and so is a new start."""
        keys = ("history_items", "history_responses", "user")
        mine = {key: obs[key].copy() for key in keys}
        if self.active and self.past:
            going_on = self.bots & ~fresh
            for key in keys:
                mine[key][going_on] = self.past[key][going_on]
        self.past = {key: array.copy() for key, array in mine.items()}
        return obs | mine


class DelayedRewards(Disturbance):
    """Stands for: conversions that arrive late. A reward comes `delay` steps later, or at the end,
    at the positions that earned it.

    Signal: mean reward by step of the session: none before the delay. One-step estimators credit
    the wrong slate; the log doctor's "maturity" knows where ages of rewards are logged.
    """

    def __init__(self, env: Any, *, delay: int = 3, **schedule: int) -> None:
        check_whole("delay", delay, 1, "at least one step")
        self.delay = delay
        super().__init__(env, **schedule)

    def _restart(self) -> None:
        super()._restart()
        self.owed = np.zeros((self.delay, self.num_envs))
        self.owed_positions = np.zeros((self.delay, self.num_envs, bare(self.env).slate_size))

    def forget(self, rows: NDArray[np.bool_]) -> None:
        """Sessions that were broken off are not paid any more."""
        self.owed[:, rows], self.owed_positions[:, rows] = 0.0, 0.0

    def rewards(
        self, reward: NDArray[Any], ended: NDArray[np.bool_], infos: dict[str, Any]
    ) -> NDArray[Any]:
        """What was owed is paid; a session's end settles everything, so nothing is lost."""
        earned = infos["position_reward"]
        due, self.owed = late(self.owed, reward, ended, self.active)
        infos["position_reward"], self.owed_positions = late(
            self.owed_positions, earned, ended, self.active
        )
        return due


def late(
    owed: NDArray[np.float64], earned: NDArray[Any], ended: NDArray[np.bool_], held: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is due (N, ...) of owed amounts (delay, N, ...), and what is owed next; held: what was
    earned (N, ...) joins them."""
    now = np.zeros_like(earned) if held else earned
    due = owed[0] + now
    owed = np.roll(owed, -1, axis=0)
    owed[-1] = earned - now
    due[ended] += owed[:, ended].sum(0)
    owed[:, ended] = 0.0
    return due, owed


class LostRows(Disturbance):
    """Stands for: a log pipeline that drops events. infos["lost"] (N,): rows not to be written.

    The user is served and remembers; only the record is lost, so the mark is for whoever writes the
    log: `policies.collect` leaves such rows out. Signal: sessions with missing steps, which
    `LoggedDataset.histories` and all values per session raise on.
    """

    def __init__(self, env: Any, *, rate: float = 0.02, **schedule: int) -> None:
        check_chance("rate", rate)
        super().__init__(env, **schedule)
        self.rate = rate

    def rewards(
        self, reward: NDArray[Any], ended: NDArray[np.bool_], infos: dict[str, Any]
    ) -> NDArray[Any]:
        """The reward stays; the row is marked."""
        infos["lost"] = (self.rng.random(self.num_envs) < self.rate) & self.active
        infos["_lost"] = np.ones(self.num_envs, np.bool_)
        return reward


class LatencyBudget(Disturbance):
    """Stands for: a ranker that misses its deadline. Only the first `places` positions are ranked.

    The others fall back to defaults.

    Signal: consumed items that the logged slate does not hold. The mean weight cannot see it: what
    was logged was drawn as logged, only something else was served.
    """

    def __init__(self, env: Any, *, rate: float = 0.2, places: int = 1, **schedule: int) -> None:
        check_chance("rate", rate)
        check_whole("places", places, 0, "which must not be negative")
        super().__init__(env, **schedule)
        self.rate, self.places = rate, places

    def actions(self, actions: NDArray[Any]) -> NDArray[Any]:
        """The first choices that may be served and are not above already, below the deadline."""
        late = self.rng.random(self.num_envs) < self.rate
        if actions.ndim == 1:
            return actions
        allowed: NDArray[np.bool_] = self.env.action_masks()  # type: ignore[attr-defined]
        for row in np.flatnonzero(late):
            ranked, rest = actions[row, : self.places], len(actions[row, self.places :])
            spare = (c for c in np.flatnonzero(allowed[row]) if c not in ranked)
            actions[row, self.places :] = [next(spare) for _ in range(rest)]
        return actions

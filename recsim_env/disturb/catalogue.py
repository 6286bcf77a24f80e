"""Disturbances of the catalogue: items that appear and retire."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from recsim_env.catalogue import NEVER
from recsim_env.columns import check_whole
from recsim_env.disturb.disturbance import Disturbance, Obs, check_chance
from recsim_env.oracles.oracle import bare


def churning(
    n_items: int, *, share: float = 0.3, every: int = 20, ticks: int = 200, seed: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Windows (A,) each: a share of the items appears at some multiple of `every` and retires.

    For `Catalogue.with_windows`, where each slot's own calendar counts the ticks, and for `Churn`.
    """
    rng = np.random.default_rng(seed)
    moving = rng.random(n_items) < share
    since = rng.integers(0, max(ticks // every, 1), n_items) * every
    until = since + rng.integers(1, max(ticks // every, 2), n_items) * every
    return (
        np.where(moving, since, 0).astype(np.int32),
        np.where(moving, until, NEVER).astype(np.int32),
    )


class Churn(Disturbance):
    """Stands for: a catalogue that changes under policies that learned on yesterday's.

    From `start` on a share of the items appears and retires, at the same time for all users, as
    `churning` draws it. Drawn candidates that are not there are drawn again among those that are;
    of a whole catalogue the mask says what is there, and a slate that names what is not gets the
    first choices that are. Signal: items that the log never shows ("support" of the log doctor for
    a target that would); on a whole catalogue, consumed items that the logged slate does not hold.

    Raises ValueError where fewer items would ever be there than are offered, and on worlds that
    have windows or groups of their own.
    """

    def __init__(
        self, env: Any, *, share: float = 0.3, every: int = 20, ticks: int = 200, **schedule: int
    ) -> None:
        check_chance("share", share)
        check_whole("every", every, 1, "need 1 <= every <= ticks")
        check_whole("ticks", ticks, 1, "need 1 <= every <= ticks", 2**30)
        if not 1 <= every <= ticks:
            raise ValueError(f"every = {every}, ticks = {ticks}: need 1 <= every <= ticks")
        super().__init__(env, **schedule)
        core = bare(env)
        if core.catalogue.ruled:
            raise ValueError(
                "this world's items have windows or groups already: give its catalogue the windows "
                "of churning(n_items) by with_windows, instead of this wrapper"
            )
        self.since, self.until = churning(
            core.n_items, share=share, every=every, ticks=ticks, seed=self.seed
        )
        needed, ages = core.n_candidates or core.slate_size, np.unique([*self.since, *self.until])
        fewest = min(int(self._there(int(age)).sum()) for age in ages[ages < NEVER])
        if fewest < needed:
            raise ValueError(
                f"at some step only {fewest} items would be there and {needed} are offered; lower "
                f"share = {share:g}"
            )
        if core.n_candidates is None:
            mask = {"action_mask": Box(0, 1, (core.n_items,), np.int8)}
            space: Any = core.single_observation_space
            self.single_observation_space = Dict({**space.spaces, **mask})
            self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def _there(self, age: int) -> NDArray[np.bool_]:
        """Which items (A,) may be served `age` steps after the start."""
        return np.asarray((self.since <= age) & (age < self.until))

    def there(self) -> NDArray[np.bool_]:
        """Which items (A,) may be served now: all, outside the schedule."""
        if not self.active:
            return np.ones(len(self.since), np.bool_)
        return self._there(self.clock - self.start)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices (N, C) may be served now; drawn candidates always may."""
        inner: NDArray[np.bool_] = self.env.action_masks()  # type: ignore[attr-defined]
        return inner & self.there() if bare(self.env).n_candidates is None else inner

    def actions(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Of a whole catalogue: the first choices that are there, for those that are not."""
        if bare(self.env).n_candidates is not None:
            return actions
        allowed, slates = self.action_masks(), actions.reshape(self.num_envs, -1)
        gone = ~np.take_along_axis(allowed, slates, axis=1)
        for row in np.flatnonzero(gone.any(1)):
            spare = iter(np.setdiff1d(np.flatnonzero(allowed[row]), slates[row]))
            for position in np.flatnonzero(gone[row]):
                slates[row, position] = next(spare)
        return actions

    def observations(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """Candidates that are there, or the mask that says what is."""
        core = bare(self.env)
        if core.n_candidates is None:
            return obs | {"action_mask": self.action_masks().astype(np.int8)}
        if not self.active:
            return obs
        return obs | self._offered(core.live.candidates, self.rng, obs)

    def final(self, last: Obs, rows: NDArray[np.int64]) -> Obs:
        """The same for last observations, whose offers nobody is served."""
        if bare(self.env).n_candidates is None:
            return last | {"action_mask": np.tile(self.there().astype(np.int8), (len(rows), 1))}
        return (
            last | self._offered(last["candidates"].copy(), self.final_rng, last)
            if self.active
            else last
        )

    def _offered(self, offer: NDArray[np.int32], rng: np.random.Generator, before: Obs) -> Obs:
        """Offers (n, C), in place with others for what is not there, and their features where the
        observation `before` holds them."""
        there = self.there()
        missing = ~there[offer]
        while missing.any():
            offer[missing] = rng.choice(np.flatnonzero(there), int(missing.sum()))
            missing = repeats(offer)
        seen: Obs = {"candidates": offer.copy()}
        if "candidate_features" in before:
            seen["candidate_features"] = bare(self.env).item_features[offer]
        return seen


def repeats(rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which entries (N, C) equal another to the left of them."""
    order = np.argsort(rows, axis=1, kind="stable")
    values = np.take_along_axis(rows, order, axis=1)
    again = np.zeros(rows.shape, np.bool_)
    np.put_along_axis(again, order[:, 1:], values[:, 1:] == values[:, :-1], axis=1)
    return again

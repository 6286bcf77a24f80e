"""Can a fitted world tell policies apart, and a utility of nothing for those that cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from recsim_env.calibration.world import FittedWorld
from recsim_env.oracles.oracle import (
    Returns,
    appraise,
    greedy_oracle,
    look_ahead,
    random_slates,
    session_returns,
)

LEAST_GAIN = 0.02  # of the uniform return: less says nothing about policies
MOST_CHOICES = 1_000_000  # appraised at a step
ROUNDS = 3
TRIED_STEPS = 10
_brentq: Any = brentq


class Spread(NamedTuple):
    """Mean returns of sessions under rules that no policy can be much better or worse than."""

    uniform: float
    greedy: float  # the highest expected reward now
    ahead: float  # the same with a guess of what follows
    gain: float  # of the better of the two over uniform slates
    error: float  # standard error of that gain, paired
    take_rate: float  # under uniform slates

    @property
    def tells(self) -> bool:
        """Whether slates make a difference here."""
        return self.gain > max(LEAST_GAIN * abs(self.uniform), 2 * self.error)


def spread(world: FittedWorld, *, users: int = 1000, max_steps: int = 200, seed: int = 0) -> Spread:
    """Serve the same users uniform slates, and those of two oracles."""
    offered = world.serving.get("n_candidates") or len(world.catalogue)
    n = max(min(users, MOST_CHOICES // int(offered)), 50)
    most = world.serving.get("max_steps")
    env = world.make_vec(n, max_steps=max_steps if most is None else most)
    runs: list[Returns] = [
        session_returns(env, rule, seed=seed) for rule in (random_slates, greedy_oracle, look_ahead)
    ]
    plain, best = runs[0], max(runs[1:], key=lambda run: float(run.total.mean()))
    gain = best.total - plain.total
    return Spread(
        uniform=float(plain.total.mean()),
        greedy=float(runs[1].total.mean()),
        ahead=float(runs[2].total.mean()),
        gain=float(gain.mean()),
        error=float(gain.std(ddof=1) / n**0.5),
        take_rate=float(plain.consumed.sum() / max(plain.steps.sum(), 1)),
    )


def in_words(seen: Spread) -> str:
    """What a session is worth at least and at most, roughly."""
    return (
        f"A session is worth {seen.uniform:.2f} under uniform slates, {seen.greedy:.2f} under the "
        f"greedy oracle and {seen.ahead:.2f} with look-ahead; users take something of "
        f"{seen.take_rate:.0%} of uniform slates."
    )


def warning(seen: Spread) -> str | None:
    """In words, where the world cannot tell policies apart."""
    if seen.tells:
        return None
    words = (
        f"This world cannot tell policies apart: uniform slates earn {seen.uniform:.2f} a session, "
        f"the greedy oracle {seen.greedy:.2f} and look-ahead {seen.ahead:.2f}. What is learned or "
        "compared in it says nothing of which policy is better."
    )
    if seen.take_rate > 0.98:
        words += (
            f" Users take something of {seen.take_rate:.0%} of all slates, whatever is shown: "
            "--take-rate 0.3 sets a utility of nothing at which they take something of 30 % of "
            "uniform slates, an assumption of yours that no log of consumption tells."
        )
    return words


def with_take_rate(
    world: FittedWorld, rate: float, *, users: int = 500, seed: int = 0
) -> FittedWorld:
    """The world with the utility of nothing at which users take something of so many uniform
    slates.

    Raises:
        ValueError: a rate outside 0..1.
    """
    if not 0 < rate < 1:
        raise ValueError(f"take_rate = {rate}: it lies between 0 and 1, such as 0.3")
    for _ in range(ROUNDS):  # what is taken changes what users want next
        margins = take_margins(world, users, seed)
        shift = _brentq(lambda c, m=margins: float(expit(m - c).mean()) - rate, -200.0, 200.0)
        config = replace(world.config, no_choice=world.config.no_choice + float(shift))
        world = replace(world, config=config)
    return world


def take_margins(world: FittedWorld, users: int, seed: int) -> NDArray[np.float64]:
    """Logits of taking something of uniform slates, over the first decisions of users."""
    env = world.make_vec(users)
    obs, _ = env.reset(seed=seed)
    rng, out = np.random.default_rng(seed), []
    for _ in range(TRIED_STEPS):
        slates = random_slates(env, obs, rng)
        a = appraise(env)
        weight = np.take_along_axis(a.weight, slates.reshape(users, -1), axis=1).sum(1)
        out.append(np.log(weight) - np.log(a.none))
        obs = env.step(slates)[0]
    return np.concatenate(out)

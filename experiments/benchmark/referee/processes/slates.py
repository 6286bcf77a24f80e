"""Slates of three: whole-slate propensities, users who read down, places filled independently."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations, product
from typing import Literal, NamedTuple

import numpy as np
from scipy.optimize import brentq

from experiments.benchmark.referee.processes.process import (
    F64,
    I64,
    Draw,
    Process,
    Truth,
    pick,
    sharpness,
    softmax,
)
from offpolicy import LoggedDataset, TargetScores

Kind = Literal["whole", "cascade", "product"]
CONTEXTS, PLACES, WIDTH, SHOWN, CHOICES = 120, 3, 3, 7, 4
DRAWS = 6  # slates of the target behind each row's reward model
GIVES_UP = 0.2  # chance of a user who reads down to stop after a place that was not clicked


class Lists(NamedTuple):
    """A policy over all S slates of every context."""

    whole: F64  # (M, S)
    places: F64  # (M, S, K) of each place given those above


@dataclass(frozen=True, slots=True, kw_only=True)
class SlateWorld:
    """M contexts, and every slate there is."""

    x: F64  # (M, D)
    slates: I64  # (S, K)
    click: F64  # (M, S, K) chance of each place to be clicked, given that it is read
    reads_down: bool  # reading ends with a click, or when the user gives up
    logging: Lists
    target: Lists

    def expected(self) -> F64:
        """(M, S) expected clicks."""
        if not self.reads_down:
            return np.asarray(self.click.sum(-1))
        reading, total = np.ones(self.click.shape[:2]), np.zeros(self.click.shape[:2])
        for k in range(PLACES):
            total += reading * self.click[..., k]
            reading = reading * (1 - self.click[..., k]) * (1 - GIVES_UP)
        return total

    def value(self, lists: Lists) -> float:
        """Expected clicks a slate."""
        return float((lists.whole * self.expected()).sum(1).mean())


def plackett_luce(logits: F64, slates: I64) -> Lists:
    """Items drawn place by place without putting back; logits (M, A)."""
    e = np.exp(logits - logits.max(1, keepdims=True))
    left, places = np.repeat(e.sum(1)[:, None], len(slates), axis=1), []
    for k in range(PLACES):
        own = e[:, slates[:, k]]
        places.append(own / left)
        left = left - own
    stacked = np.stack(places, axis=2)
    return Lists(np.asarray(stacked.prod(2)), stacked)


def independent(logits: F64, slates: I64) -> Lists:
    """Each place drawn from four items of its own; logits (M, A)."""
    p = softmax(logits.reshape(len(logits), PLACES, CHOICES)).reshape(len(logits), -1)
    places = p[:, slates]
    return Lists(np.asarray(places.prod(2)), np.asarray(places))


def world(kind: Kind, rate: float, relative: float | None, seed: int) -> SlateWorld:
    """A world whose target earns `relative` more than its logger, at about `rate` a place."""
    rng = np.random.default_rng([seed, 67])
    items = PLACES * CHOICES if kind == "product" else SHOWN
    lists = independent if kind == "product" else plackett_luce
    slates = np.array(list(_every_slate(kind)), np.int64)
    x = rng.normal(size=(CONTEXTS, WIDTH))
    worth = x @ rng.normal(size=(WIDTH, items)) / 2 + 0.5 * rng.normal(size=items)
    habit = 0.8 * (x @ rng.normal(size=(WIDTH, items))) / WIDTH**0.5
    attract = worth[:, slates] - 0.3 * np.arange(PLACES)
    if kind == "whole":  # a place is worth less beside an item of its neighbours' kind
        same = np.abs(slates - np.roll(slates, 1, axis=1)) == 1
        attract = attract - 0.5 * same
    level = brentq(lambda c: float(_rates(attract, c).mean()) - rate, -20, 20)
    logged = lists(habit, slates)
    made = SlateWorld(
        x=x, slates=slates, click=_rates(attract, float(level)), reads_down=kind == "cascade",
        logging=logged, target=logged,
    )  # fmt: skip
    if relative is None:
        return made
    base, lean = made.value(logged), 0.5 * habit + 0.3 * rng.normal(size=habit.shape)

    def uplift(sharp: float) -> float:
        return made.value(lists(lean + sharp * worth, slates)) / base - 1

    return replace(made, target=lists(lean + sharpness(uplift, relative) * worth, slates))


def _rates(attract: F64, level: float) -> F64:
    return np.asarray(1 / (1 + np.exp(-level - attract)))


def _every_slate(kind: Kind) -> list[tuple[int, ...]]:
    if kind != "product":
        return list(permutations(range(SHOWN), PLACES))
    own = [range(k * CHOICES, (k + 1) * CHOICES) for k in range(PLACES)]
    return list(product(*own))


def draw(made: SlateWorld, kind: Kind, rng: np.random.Generator, n: int) -> Draw:
    """N slates; places' probabilities are logged unless `kind` is whole."""
    context, every = rng.integers(CONTEXTS, size=n), np.arange(n)
    shown = pick(made.logging.whole, context, rng)
    hit = rng.random((n, PLACES)) < made.click[context, shown]
    if made.reads_down:
        goes_on = ~hit & (rng.random((n, PLACES)) >= GIVES_UP)
        hit[:, 1:] &= np.cumprod(goes_on, axis=1)[:, :-1].astype(bool)
    places = kind != "whole"
    log = LoggedDataset.from_columns(
        session=every,
        step=np.zeros(n, np.int64),
        slate=made.slates[shown],
        propensity=made.logging.whole[context, shown],
        reward=hit.sum(1).astype(np.float64),
        n_items=int(made.slates.max()) + 1,
        position_propensity=made.logging.places[context, shown] if places else None,
        position_reward=hit.astype(np.float64),
        context=np.concatenate([made.x[context], rng.normal(size=(n, 1))], axis=1),
    )
    served = np.stack(
        [made.slates[pick(made.target.whole, context, rng)] for _ in range(DRAWS)], axis=1
    )
    scores = TargetScores(
        made.target.whole[context, shown],
        made.target.places[context, shown] if places else None,
        slates=served.astype(np.int32),
    )
    return Draw(log, scores)


EXTRA: dict[Kind, tuple[str, ...]] = {
    "whole": ("sips", "snsips", "cr", "log_smoothing_ips"),
    "cascade": ("sips", "snsips", "rips", "snrips"),
    "product": ("sips", "snsips", "iips", "rips", "sniips", "snrips", "pi", "wpi"),
}


def slate_process(
    kind: Kind, *, n: int, rate: float, relative: float | None, seed: int = 3
) -> Process:
    """One-decision logs of slates."""
    made = world(kind, rate, relative, seed)
    truth = Truth(made.value(made.target), made.value(made.logging))
    return Process(
        horizon="one_step",
        n=n,
        draw=partial(draw, made, kind),
        truth=truth,
        extra=EXTRA[kind],
        same=relative is None,
    )

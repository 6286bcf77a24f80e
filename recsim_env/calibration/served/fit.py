"""Fit a world to a log of served slates, part by part."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.calibration.calibrate import cluster
from recsim_env.calibration.checks import check_topics
from recsim_env.calibration.factors import item_vectors
from recsim_env.calibration.served.choice import Choice, fit_choice
from recsim_env.calibration.served.hazard import Hazard, fit_hazard
from recsim_env.calibration.served.log import RESPONSES, Clock, ServedLog
from recsim_env.calibration.served.outcomes import (
    Pay,
    Responses,
    extra_reward,
    fit_pay,
    fit_responses,
)
from recsim_env.calibration.served.taste import matches
from recsim_env.calibration.world import FittedWorld
from recsim_env.catalogue import Catalogue, Population
from recsim_env.users.served import ServedConfig


class Items(NamedTuple):
    """What is known of the items before the fit."""

    shown: NDArray[np.float32]  # (A, F) features that agents see
    features: NDArray[np.float32]  # (A, D) the same in fewer dimensions, for preferences
    topics: NDArray[np.int32]  # (A,)


class Parts(NamedTuple):
    """What was fitted."""

    items: Items
    choice: Choice
    pay: Pay
    responses: Responses
    hazard: Hazard


def items_of(
    log: ServedLog,
    features: NDArray[np.floating] | None,
    topics: NDArray[np.integer] | None,
    *,
    dims: int,
    n_topics: int,
    seed: int,
) -> Items:
    """Features and topics of items: the user's own, or from what sessions had together. All items
    are alike where no session had two, or fewer than three items could be had.

    Raises:
        ValueError: features or topics of another catalogue.
    """
    check_topics(topics, log.n_items)
    if features is None:
        consumed, took = log.consumed, log.position >= 0
        edges = np.searchsorted(log.session[took], np.arange(1, log.n_sessions))
        histories = [h for h in np.split(consumed[took], edges) if len(h) > 1]
        told = len(histories) > 1 and log.n_items > 2
        shown = (
            item_vectors(histories, log.n_items, dims)
            if told
            else np.zeros((log.n_items, 1), np.float32)
        )
    else:
        shown = np.asarray(features, np.float32)
        if shown.ndim != 2 or len(shown) != log.n_items or not np.isfinite(shown).all():
            raise ValueError(
                f"features are {shown.shape}; pass one row of finite numbers for each of the "
                f"{log.n_items} items"
            )
    codes = cluster(shown, n_topics, seed) if topics is None else np.asarray(topics, np.int32)
    return Items(shown, principal(shown, dims), codes)


def principal(features: NDArray[np.float32], dims: int) -> NDArray[np.float32]:
    """The first principal components (A, D) of features, whose mean square length is 1."""
    centred = features.astype(np.float64) - features.mean(0)
    _, size, right = np.linalg.svd(centred, full_matrices=False)
    keep = max(min(dims, int((size > 1e-6 * max(size[0], 1e-12)).sum())), 1)
    scores = centred @ right[:keep].T
    length = float(np.sqrt((scores**2).sum(1).mean()))
    return np.asarray(scores / max(length, 1e-12), np.float32)


def fit_parts(log: ServedLog, items: Items, *, seed: int = 0) -> Parts:
    """Choice first: reward, responses and leaving depend on what it says of users and items."""
    clock = Clock.of(log)
    choice = fit_choice(log, clock, items.features, items.topics)
    expected = matches(log, items.features, without_level(choice.tastes.mode))
    pay = fit_pay(log, choice.state, expected)
    responses = fit_responses(log, pay)
    traits = standard(np.column_stack([responses.item, choice.coefficients.appeal, pay.item]))
    extra = extra_reward(log, pay)
    hazard = fit_hazard(log, clock, choice.state.most_worn, extra, traits, seed)
    return Parts(items, choice, pay, responses, hazard)


def without_level(tastes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same preferences without the one for taking anything."""
    return np.column_stack([tastes[:, :-1], np.zeros(len(tastes))])


def standard(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns about 0 in units of their standard deviation; constant ones are left out."""
    spread = columns.std(0)
    some = spread > 1e-9
    return np.asarray((columns[:, some] - columns[:, some].mean(0)) / spread[some])


def fit_served(
    log: ServedLog,
    *,
    features: NDArray[np.floating] | None = None,
    topics: NDArray[np.integer] | None = None,
    names: tuple[str, ...] | None = None,
    history_length: int = 20,
    dims: int = 16,
    n_topics: int = 20,
    seed: int = 0,
) -> FittedWorld:
    """A world whose users answer slates as those of the log did, and leave as they did.

    Raises:
        ValueError: features or topics of another catalogue.
    """
    items = items_of(log, features, topics, dims=dims, n_topics=n_topics, seed=seed)
    parts = fit_parts(log, items, seed=seed)
    return world_of(log, parts, names=names, history_length=history_length)


def world_of(
    log: ServedLog, parts: Parts, *, names: tuple[str, ...] | None = None, history_length: int = 20
) -> FittedWorld:
    """The environment of fitted parts, with the sizes of the log."""
    responses, pay = parts.responses, parts.pay
    offered, serving = offers(log)
    catalogue = Catalogue.of(
        parts.items.topics,
        vectors=parts.items.features,
        quality=responses.item[:, RESPONSES - 1],
        popularity=offered,
        names=names,
        columns={
            "appeal": parts.choice.coefficients.appeal,
            "pay": pay.item,
            "departure": parts.hazard.departure,
            "response": responses.item,
            "shown": parts.items.shown,
        },
    )
    draw = parts.choice.tastes.draw
    population = Population(
        interests=draw[:, :-1].astype(np.float32),
        first_items=log.prior_items,
        first_responses=log.prior_responses,
        traits={
            "level": draw[:, -1],
            "purse": pay.purse,
            "patience": parts.hazard.patience,
            "position": parts.choice.coefficients.position,
            "slope": responses.slope,
            "spread": responses.spread,
            "low": responses.low,
            "high": responses.high,
        },
    )
    return FittedWorld(
        model="served",
        config=config_of(log, parts),
        catalogue=catalogue,
        population=population,
        serving=serving | {"history_length": history_length, "max_steps": log.max_steps},
    )


def config_of(log: ServedLog, parts: Parts) -> ServedConfig:
    """The coefficients that all users share."""
    c, pay, hazard = parts.choice.coefficients, parts.pay, parts.hazard
    leave = {f"leave_{name}": value for name, value in hazard.coefficients.items()}
    pays = {
        f"pay_{name}": float(slope)
        for name, slope in zip(("taste", "follow", "dull"), pay.slopes, strict=True)
    }
    return ServedConfig(
        no_choice=float(c.no_choice),
        follow=float(c.follow),
        dull=float(c.dull),
        keep=parts.choice.keep,
        pay_spread=pay.spread,
        pay_low=pay.low,
        pay_high=pay.high,
        pay_binary=int(pay.binary),
        idle_pay=pay.idle,
        strain_keep=hazard.keep,
        plan_leave=rest_lost(log, hazard.keep),
        **leave,
        **pays,
    )


def rest_lost(log: ServedLog, keep: float) -> float:
    """Roughly the reward that is lost where one logit more of leaving fades by `keep` per decision:
    the chance of leaving that it adds until it has faded, times half a session's reward."""
    hazard = float(log.left.mean())
    lasting = min(1 / max(1 - keep * (1 - hazard), 1e-6), len(log) / log.n_sessions)
    return hazard * (1 - hazard) * lasting * 0.5 * float(log.returns().mean())


def offers(log: ServedLog) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """How often each item was on offer (A,), and the sizes that the log was served with."""
    sizes: dict[str, Any] = {"slate_size": log.slate.shape[1]}
    if log.candidates is None:
        return np.ones(log.n_items), sizes | {"n_candidates": None}
    shown = log.candidates[log.candidates >= 0]
    counts = np.bincount(shown, minlength=log.n_items).astype(np.float64)
    return counts, sizes | {"n_candidates": int(log.candidates.shape[1]), "offer": "popularity"}

"""The compiled step against one user at a time in plain Python, written from the equations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recsim_env import RecVectorEnv
from tests.recsim_env.factories import Stream


def chosen(weights: list[float], none: float, u: float) -> int:
    edge, total = 0.0, none + sum(weights)
    for position, weight in enumerate(weights):
        edge += weight / total
        if u < edge:
            return position
    return -1


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def longplay_step(env: RecVectorEnv, user: dict, slate: np.ndarray) -> tuple[int, float, bool]:  # type: ignore[type-arg]
    """One user, one slate; `user` moves on. Returns what was consumed, minutes, and if it left."""
    c, cat = env.config, env.catalogue
    stream = Stream(int(user["key"]), int(user["step"]))
    x = cat.vectors / np.linalg.norm(cat.vectors, axis=1, keepdims=True)
    u, b = user["interest"], user["boredom"]
    utility = [
        c.taste * (x[i] @ u) - c.dull * b[cat.topics[i]] + c.bait * cat.clickbait[i] for i in slate
    ]
    position = chosen([math.exp(v) for v in utility], math.exp(c.no_choice), stream.uniform())
    item, minutes = -1, 0.0
    if position >= 0:
        item = int(slate[position])
        appeal = c.watch_taste * (x[item] @ u) + c.watch_quality * (cat.quality[item] - 0.5)
        appeal -= c.watch_dull * b[cat.topics[item]]
        share = c.watch_floor + (1 - c.watch_floor) * sigmoid(appeal)
        minutes = min(float(cat.length[item]) * share, float(user["budget"]))
    b *= c.boredom_keep
    user["satisfaction"] *= c.satisfaction_keep
    if item < 0:
        user["satisfaction"] -= c.satisfaction_idle
        user["budget"] -= c.idle_cost
    else:
        b[cat.topics[item]] = min(b[cat.topics[item]] + c.boredom_gain, 1)
        u += c.drift * (x[item] - u)
        u /= np.linalg.norm(u)
        honest = cat.quality[item] - 0.5 - (cat.clickbait[item] - c.clickbait_norm)
        user["satisfaction"] += c.satisfaction_gain * honest
        user["budget"] -= minutes
    logit = c.leave_base - c.leave_satisfaction * user["satisfaction"] + c.leave_boredom * b.max()
    left = user["budget"] <= 1e-9 or stream.uniform() < sigmoid(logit)
    user["step"] += 1
    return item, minutes, bool(left)


def test_longplay_matches_one_user_at_a_time() -> None:
    env = RecVectorEnv(25, model="longplay")
    env.reset(seed=8)
    names = ("key", "step", "interest", "boredom", "satisfaction", "budget")
    clones = [{k: np.array(row[k], copy=True) for k in names} for row in env.live.users]
    for clone in clones:
        clone["interest"], clone["boredom"] = (
            clone["interest"].astype(float),
            clone["boredom"].astype(float),
        )
    going = np.ones(25, bool)
    env.action_space.seed(1)
    served = 0
    while going.any() and served < 40:
        action = env.action_space.sample()
        shown = np.take_along_axis(env.live_choices(), action, axis=1)
        _, reward, terminated, _, infos = env.step(action)
        for i in np.flatnonzero(going):
            item, minutes, left = longplay_step(env, clones[i], shown[i])
            assert item == infos["consumed"][i]
            assert reward[i] == pytest.approx(minutes, rel=1e-4)
            assert left == terminated[i]
        going &= ~terminated
        served += 1
    assert served > 10


def test_interest_evolution_matches_one_user_at_a_time() -> None:
    env = RecVectorEnv(25, model="interest_evolution")
    env.reset(seed=8)
    env.action_space.seed(1)
    for _ in range(15):
        before = env.live.users.copy()
        action = env.action_space.sample()
        shown = np.take_along_axis(env.live_choices(), action, axis=1)
        _, reward, terminated, _, infos = env.step(action)
        for i, user in enumerate(before):
            stream = Stream(int(user["key"]), int(user["step"]))
            u = user["interest"].astype(float)
            weights = [u[env.catalogue.topics[d]] + 1 for d in shown[i]]
            position = chosen(weights, 2.0, stream.uniform())
            if position < 0:
                assert (infos["consumed"][i], reward[i]) == (-1, 0)
                assert terminated[i] == (user["budget"] - 0.5 <= 0)
                continue
            z, watch = env.catalogue.topics[shown[i, position]], min(float(user["budget"]), 4.0)
            assert infos["consumed"][i] == shown[i, position]
            assert reward[i] == watch
            toward = stream.uniform() < (u[z] + 1) / 2
            move = 0.3 * (1 - abs(u[z])) * (1 - u[z]) * (1 if toward else -1)
            budget = user["budget"] - watch + 0.9 / 3.4 * watch * infos["responses"][i, 2]
            assert terminated[i] == (budget <= 0)
            if not terminated[i]:
                assert env.live.users["interest"][i, z] == pytest.approx(u[z] + move, abs=1e-6)
                assert env.live.users["budget"][i] == pytest.approx(budget)

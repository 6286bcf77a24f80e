"""Longplay: users who drift, tire, are let down by clickbait, and leave.

This project's own world. Its terms have sources: interests drift to what is consumed and time is a
budget (interest evolution, Ie et al., 2019), topics bore (SARDINE, Deffayet et al., 2024),
satisfaction remembers quality against clickbait (long-term satisfaction, Ie et al., 2019), and an
unsatisfied user leaves (KuaiSim's temper, Zhao et al., 2023). Quality and clickbait are never
shown to the agent; they can be learned per item from what happens after it. Reward is minutes.

Switches of the config, all off by default, add days between visits (`days`: Retention's law of
return), `cohorts`, `newcomers` whose preferences are not formed yet, `churn` of the catalogue,
`quality_noise` of the quality that is observed and interests that `wander` by chance.
Planning pays here, `longplay benchmark planning` prints by how much, with every switch. Most of it
is static: the best ranking that is the same for everybody earns 67.1 of the planning oracle's 79.2
minutes, so that what is personal pays 18 % (37 % in LongplayPersonal).

With a the cosine of interests and item, b the boredom with its topic, x its clickbait and q its
quality:

    utility            = taste keen a - dull b + bait x; of nothing = no_choice
    minutes            = length (watch_floor + (1 - watch_floor) sigmoid(watch_taste a
                         + watch_quality (q - 1/2) - watch_dull b)), at most the budget
    b                  = boredom_keep b, + boredom_gain for the topic that was consumed, at most 1
    satisfaction       = satisfaction_keep satisfaction + satisfaction_gain ((q - 1/2)
                         - (x - clickbait_norm)); without a choice: - satisfaction_idle
    interests         += drift (item - interests), then at length 1
    P(leave)           = sigmoid(leave_base - leave_satisfaction satisfaction
                         + leave_boredom max b); 1 when the budget is spent
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np

from recsim_env.choice import multinomial_logit, sigmoid
from recsim_env.jit import njit, njit_sums
from recsim_env.model import Row, User, UserModel, World
from recsim_env.random import gamma, normal, uniform
from recsim_env.users.longplay_world import (
    LongplayConfig,
    build_catalogue,
    build_world,
    item_features,
    seen_of_user,
)
from recsim_env.users.retention import days_away


@njit_sums
def affinity(user: User, world: World, item: int) -> Any:
    """Cosine of the user's interests and an item: both have length 1."""
    a = b = c = d = np.float32(0.0)  # four sums at a time, for none waits for another
    u = user.interest
    whole = u.size // 4 * 4
    for i in range(0, whole, 4):
        a += u[i] * world.vectors[item, i]
        b += u[i + 1] * world.vectors[item, i + 1]
        c += u[i + 2] * world.vectors[item, i + 2]
        d += u[i + 3] * world.vectors[item, i + 3]
    for i in range(whole, u.size):
        a += u[i] * world.vectors[item, i]
    return (a + b) + (c + d)


@njit_sums
def at_length_one(vector: Row) -> None:
    """Scale a vector in place to length 1."""
    total = np.float32(0.0)
    for d in range(vector.size):
        total += vector[d] * vector[d]
    if total > 0.0:
        scale = np.float32(1.0) / np.sqrt(total)
        for d in range(vector.size):
            vector[d] *= scale


@njit
def sample(user: User, world: World) -> None:
    """A person of the population, or a mixture of topics p ~ Dirichlet; nothing bores yet."""
    cfg = world.cfg
    for d in range(user.interest.size):
        user.interest[d] = world.people[user.person, d] if user.person >= 0 else 0.0
    for z in range(world.centres.shape[0]):
        user.boredom[z] = 0.0
        if user.person < 0:
            weight = np.float32(gamma(user, cfg.concentration))
            for d in range(user.interest.size):
                user.interest[d] += weight * world.centres[z, d]
    at_length_one(user.interest)
    belong(user, world)
    user.keen = 1.0
    if cfg.newcomers > 0.0 and uniform(user) < cfg.newcomers:
        user.keen = cfg.newcomer_taste
    user.satisfaction = 0.0
    user.budget = user.minutes
    user.habit = cfg.return_habit * uniform(user) if cfg.days > 0.0 else 0.0
    user.day = user.gap = 0
    user.visits = 1


@njit
def belong(user: User, world: World) -> None:
    """A cohort, and what it says of the user."""
    user.cohort = 0
    if world.cohorts.shape[0] > 1:
        u = uniform(user)
        while user.cohort + 1 < world.cohorts.shape[0] and u >= world.cohorts[user.cohort, 0]:
            user.cohort += 1
    row = world.cohorts[user.cohort]
    user.minutes = world.cfg.budget * row[1]
    user.impatience = row[2]
    user.bait = world.cfg.bait * row[3]


@njit
def score(user: User, world: World, item: int) -> float:
    """Utility of an item now: preference, less boredom with its topic, plus bait."""
    it, cfg = world.items[item], world.cfg
    return (
        cfg.taste * user.keen * affinity(user, world, item)
        - cfg.dull * user.boredom[it.topic]
        + user.bait * it.clickbait
    )


@njit
def none(user: User, world: World) -> float:
    """Utility of taking nothing."""
    return world.cfg.no_choice


@njit
def worth(user: User, world: World, item: int) -> float:
    """Minutes watched of an item once it is chosen; at most the budget."""
    it, cfg = world.items[item], world.cfg
    appeal = (
        cfg.watch_taste * affinity(user, world, item)
        + cfg.watch_quality * (it.quality - 0.5)
        - cfg.watch_dull * user.boredom[it.topic]
    )
    share = cfg.watch_floor + (1.0 - cfg.watch_floor) * sigmoid(appeal)
    return min(it.length * share, user.budget)


@njit
def plan(user: User, world: World, item: int) -> float:
    """Minutes now and, roughly, later: quality keeps a user, clickbait and boredom drive off."""
    it, cfg = world.items[item], world.cfg
    keeps = cfg.plan_quality * (it.quality - 0.5)
    drives_off = cfg.plan_bait * (it.clickbait - cfg.clickbait_norm)
    return worth(user, world, item) + keeps - drives_off - cfg.plan_dull * user.boredom[it.topic]


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """Choose by multinomial logit; quality shows once the item is consumed."""
    for k in range(slate.size):
        scores[k] = score(user, world, slate[k])
    position = multinomial_logit(scores, none(user, world), uniform(user))
    if position >= 0:
        paid[position] = worth(user, world, slate[position])
        response[0] = 1.0
        response[1] = paid[position]
        response[2] = world.items[slate[position]].quality
        if world.cfg.quality_noise > 0.0:
            response[2] += world.cfg.quality_noise * normal(user)
    return position


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """Time passes, boredom fades, and a consumed item moves interests, boredom, satisfaction."""
    cfg = world.cfg
    for z in range(user.boredom.size):
        user.boredom[z] *= np.float32(cfg.boredom_keep)
    if cfg.wander > 0.0:
        for d in range(user.interest.size):
            user.interest[d] += np.float32(cfg.wander * normal(user))
        at_length_one(user.interest)
    user.satisfaction *= cfg.satisfaction_keep
    if item < 0:
        user.satisfaction -= cfg.satisfaction_idle
        user.budget -= cfg.idle_cost
        return 0.0
    it = world.items[item]
    user.boredom[it.topic] = min(user.boredom[it.topic] + np.float32(cfg.boredom_gain), 1.0)
    drift = np.float32(cfg.drift)
    for d in range(user.interest.size):
        user.interest[d] += drift * (world.vectors[item, d] - user.interest[d])
    at_length_one(user.interest)
    honest = (it.quality - 0.5) - (it.clickbait - cfg.clickbait_norm)
    user.satisfaction += cfg.satisfaction_gain * honest
    user.budget -= response[1]
    user.keen += cfg.newcomer_learn * (1.0 - user.keen)
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    """When time is up, or by chance: more likely the less satisfied and the more bored.

    Where an episode lasts days, the user comes back after some and the episode goes on.
    """
    cfg, most = world.cfg, np.float32(0.0)
    if user.budget > 1e-9:
        for z in range(user.boredom.size):
            most = max(most, user.boredom[z])
        logit = cfg.leave_base - cfg.leave_satisfaction * user.satisfaction
        logit += cfg.leave_boredom * most + user.impatience
        if uniform(user) >= sigmoid(logit):
            return False
    if cfg.days <= 0.0:
        return True
    come_back(user, world)
    return user.day >= cfg.days


@njit
def come_back(user: User, world: World) -> None:
    """Days pass, fewer the more satisfied the user left (see `retention`); a visit begins."""
    cfg = world.cfg
    daily = user.habit + cfg.return_base + cfg.return_pull * user.satisfaction
    user.gap = days_away(min(max(daily, 0.001), 0.999), uniform(user))
    user.day += user.gap
    user.visits += 1
    user.budget = user.minutes
    user.satisfaction *= cfg.day_memory**user.gap
    for z in range(user.boredom.size):
        user.boredom[z] = 0.0


@njit
def observe(user: User, world: World, out: Row) -> None:
    """The calendar and the cohort where there are any; all else of the user is hidden."""
    column = 0
    if world.cfg.days > 0.0:
        out[0] = user.day
        out[1] = user.gap
        out[2] = user.visits
        column = 3
    if world.cohorts.shape[0] > 1:
        for g in range(world.cohorts.shape[0]):
            out[column + g] = 1.0 if user.cohort == g else 0.0


MODEL = UserModel(
    config=LongplayConfig,
    catalogue=build_catalogue,
    world=build_world,
    fields=lambda config, catalogue: [
        ("interest", "f4", (catalogue.vectors.shape[1],)),
        ("boredom", "f4", (catalogue.n_topics,)),
        ("satisfaction", "f8"),
        ("budget", "f8"),  # minutes left of this visit
        ("minutes", "f8"),  # of a whole visit
        ("impatience", "f8"),
        ("bait", "f8"),
        ("keen", "f8"),  # share of the preferences that is formed
        ("habit", "f8"),
        ("cohort", "i4"),
        ("day", "i4"),
        ("gap", "i4"),
        ("visits", "i4"),
    ],
    features=item_features,
    sample=sample,
    respond=respond,
    advance=advance,
    leaves=leaves,
    observe=observe,
    user=seen_of_user,
    score=score,
    worth=worth,
    none=none,
    plan=plan,
    defaults={"slate_size": 3, "n_candidates": 20},
)

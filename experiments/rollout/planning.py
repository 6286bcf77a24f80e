"""What is known before a rollout: what sessions return, and how many users a decision takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.rollout.ledger import NAMES
from experiments.rollout.traffic import DAY, F64, Change, Traffic, Users
from offpolicy.trials.size import past_of, size_trial
from offpolicy.trials.units import TrialUnits
from serving.rollout.rule import RolloutRule

WORSE, POWER = 0.1, 0.95  # a canary so much worse is to be rolled back so often
BETTER = 0.05
PAST = 5 * DAY


def pool_of_returns(sessions: int, seed: int) -> list[float]:
    """Returns of whole sessions of Longplay-v0 under a LinUCB policy that learned from as many."""
    import gymnasium

    import recsim_env  # noqa: F401  (registers the environments)
    from policies import build, collect

    env = gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=min(400, sessions), slate_size=3, n_candidates=20,
        history_length=20,
    )  # fmt: skip
    policy = build("linucb", env)
    policy.update(collect(env, build("uniform", env), n_sessions=sessions, seed=seed))
    log = collect(env, policy, n_sessions=sessions, seed=seed + 1)
    return sorted(log.session_rewards().tolist())


def planned(traffic: Traffic, pool: F64, rule: RolloutRule, seed: int) -> dict[str, Any]:
    """Users of both arms, at one half, until a canary that is 10 % worse is seen to be below the
    margin, one that is 5 % better above it, and one that is as good; and where to tune the bounds.
    From days before the rollout."""
    users = Users(traffic, pool, np.random.default_rng([seed, 1]))
    met = users.play(0.0, PAST, 0.0, Change())
    there = met.sessions > 0
    n = int(there.sum())
    units = TrialUnits(
        np.arange(n), np.zeros(n, np.bool_), np.zeros(n, np.int64),
        np.stack([met.paid, met.sessions], axis=1)[there], met.sessions[there], NAMES,
    )  # fmt: skip
    past = past_of(units, rule.metric, per=rule.per)
    level, needed = rule.level_of(rule.metric, "rollout"), {}
    for name, distance in (
        ("worse", WORSE - rule.margin), ("better", BETTER + rule.margin), ("as good", rule.margin),
    ):  # fmt: skip
        size = size_trial(
            past, share=0.5, users_a_day=n / (PAST / DAY), effect=distance * past.mean.value,
            level=level, power=POWER if name == "worse" else 0.8,
        ).needed  # fmt: skip
        assert size is not None
        needed[name] = {"users": size.users, "tuned_at": size.tuned_at}
    return {"needed": needed, "users": n, "mean": past.mean.value, "variance": past.variance}

"""Logs whose drift is known."""

import numpy as np

from offpolicy import LoggedDataset, TargetScores

ITEMS = 6


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def world(
    seed,
    users=400,
    *,
    steps=5,
    sharp=1.0,
    worth=None,
    moved=0.0,
    lost=0.0,
    heavy=False,
    logger="v1",
    first_user=0,
    wrong=False,
    falls_at=None,
):
    """Users with a context of their own, one session each; the logger chooses by it. `sharp` is of
    its softmax, `moved` moves contexts, `worth` (ITEMS,) scales rewards, `lost` drops rewards,
    `falls_at` halves the rewards of users after that one."""
    rng = np.random.default_rng(seed)
    x = rng.normal(moved, 1, (users, 2)).repeat(steps, axis=0)
    taste = np.random.default_rng(7).normal(size=(2, ITEMS))
    p = softmax(sharp * (x @ taste)) * 0.9 + 0.1 / ITEMS
    n = len(x)
    item = (p.cumsum(1) > rng.random((n, 1))).argmax(1)
    size = rng.lognormal(0, 1, n) if heavy else 1.0 + rng.random(n)
    level = np.ones(ITEMS) if worth is None else np.asarray(worth)
    reward = np.where(rng.random(n) < 0.6, size * level[item], 0.0)
    reward = np.where(rng.random(n) < lost, 0.0, reward)
    user = np.arange(users).repeat(steps)
    if falls_at is not None:
        reward = np.where(user >= falls_at, reward / 2, reward)
    table = np.full_like(p, 1 / ITEMS) if wrong else p
    log = LoggedDataset.from_columns(
        session=user, user=user + first_user, step=np.tile(np.arange(steps), users), slate=item,
        propensity=table[np.arange(n), item], reward=reward, n_items=ITEMS, context=x,
        consumed=np.where(reward > 0, item, -1), candidate_propensity=table,
        terminated=np.tile(np.arange(steps) == steps - 1, users), logger=np.full(n, logger),
    )  # fmt: skip
    q = softmax(1.5 * (x @ taste)) * 0.9 + 0.1 / ITEMS
    scores = TargetScores(
        q[np.arange(n), item], slates=np.tile(np.arange(ITEMS)[:, None], (n, 1, 1)), slate_weight=q
    )
    return log, scores

"""Logs of people, and of bots among them."""

import numpy as np

from offpolicy import LoggedDataset

PLACES = 3


def people(seed, users=200, *, rows=20, bots=0, only=None):
    """Users with chances of their own to take something and to take it at each place; `bots` take
    the first item always, respond alike and decide each 10 s; `only` keeps one of their habits."""
    rng = np.random.default_rng(seed)
    user = np.arange(users).repeat(rows)
    n = len(user)
    takes = rng.beta(3, 3, users)[user]
    favourite = rng.dirichlet([4, 2, 2], users)[user]
    taken = rng.random(n) < takes
    place = (favourite.cumsum(1) > rng.random((n, 1))).argmax(1)
    response = rng.lognormal(0, 1, n).astype(np.float32)
    gap = rng.lognormal(3, 1, n)
    bot = user < bots
    habits = {"taken", "place", "response", "gap"} if only is None else {only}
    taken = np.where(bot & ("taken" in habits), True, taken)
    place = np.where(bot & ("place" in habits), 0, place)
    response = np.where(bot & ("response" in habits), 5.0, response).astype(np.float32)
    gap = np.where(bot & ("gap" in habits), 10.0, gap)
    slate = np.argsort(rng.random((n, 10)), axis=1)[:, :PLACES]
    consumed = np.where(taken, slate[np.arange(n), place], -1)
    reward = np.where(taken, response, 0.0)
    log = LoggedDataset.from_columns(
        session=user, user=user, step=np.tile(np.arange(rows), users), slate=slate,
        propensity=np.full(n, 1 / 720), reward=reward, n_items=10, consumed=consumed,
        responses=np.where(taken, response, 0.0)[:, None],
    )  # fmt: skip
    return log, gap.cumsum() + 1e3 * user

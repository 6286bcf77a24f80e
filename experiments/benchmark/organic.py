"""`longplay benchmark organic`: clicks per recommendation in OrganicBandit, learnt from views.

One recommendation in fifty is clicked, so clicks teach slowly; what users view by themselves is in
every observation. The policy learns from uniform traffic which product was viewed last, given the
other views, and recommends the likeliest next one. Its rate is set beside that of showing the last
viewed product, on the same users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy import LoggedDataset
from policies import Observation, Policy, Serving
from policies.score_policy import Scores

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
PART = 2000  # sessions served at a time: logs of 100 products are wide
STEPS = 200  # of the uniform traffic, at a time


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Learn from organic views, and print clicks per recommendation."""

    products: int = 100
    decisions: int = 600_000
    """Of the uniform traffic that views are read from."""
    seed: int = 0
    """Of the random numbers; the first of several seeds."""
    seeds: int = 3
    """How many seeds, from --seed on; everything random is made anew with each."""
    sessions: int = 10_000
    """Of other users, behind every rate."""
    users: int = 512
    epochs: int = 10
    hidden: int = 64
    level: float = 0.95

    def __post_init__(self) -> None:
        if min(self.products, self.users, self.epochs, self.hidden) < 1 or self.seeds < 1:
            raise ValueError("products, users, epochs and hidden at least 1, and at least one seed")
        if self.sessions < 2 or self.decisions < self.users * STEPS:
            raise ValueError(
                f"at least 2 sessions, and {self.users * STEPS} decisions: {STEPS} of each user"
            )


class Clicks(NamedTuple):
    """Sums over each of S sessions."""

    clicks: F64  # (S,)
    shown: F64  # (S,)


def run(settings: Settings) -> int:
    """A line for each policy, and for each seed of the one that learns."""
    import torch

    from experiments.common.seeds import seeds_of
    from experiments.common.truth import mean
    from policies import Exploration, ScorePolicy, build, serving_of

    torch.set_num_threads(1)
    env = make(settings)
    rule = ScorePolicy(LastViewed(serving_of(env)), Exploration())
    uniform, plain = served(settings, build("uniform", env)), served(settings, rule)
    print("RecoGym at 100 products: uniform .0104, last viewed 2.15 times that, oracle 2.29 times")

    def line(name: str, one: Clicks) -> str:
        rate, times = mean(values(one), settings.level), values(one).mean() / values(uniform).mean()
        cells = f"{rate.value:.5f} [{rate.low:.5f}, {rate.high:.5f}] clicks a recommendation"
        return f"{name}: {cells}, {times:.2f} times uniform"

    print(line("uniform", uniform), line("last viewed", plain), sep="\n", flush=True)
    for seed in seeds_of(settings):
        mine = served(settings, learnt(settings, env, seed))
        gain = mean(values(mine) - values(plain), settings.level)
        paired = f"{gain.value:+.5f} [{gain.low:+.5f}, {gain.high:+.5f}] against last viewed"
        print(f"{line(f'learnt from views, seed {seed}', mine)}, {paired}", flush=True)
    return 0


def make(settings: Settings) -> Any:
    """The world."""
    import gymnasium

    import recsim_env  # noqa: F401  (registers the environments)

    name = "recsim_env/OrganicBandit-v0"
    return gymnasium.make_vec(name, num_envs=settings.users, n_items=settings.products)


def learnt(settings: Settings, env: Any, seed: int) -> Policy:
    """The likeliest next view, cloned from what users did by themselves."""
    from policies import build

    seen = np.concatenate(list(looks(settings, env, seed)))
    demos = demonstrations(env, seen, np.random.default_rng(seed))
    sizes = {"epochs": settings.epochs, "hidden": settings.hidden, "seed": seed}
    policy = build("bc", env, temperature=None, **sizes)
    policy.update(demos)
    return policy


def looks(settings: Settings, env: Any, seed: int) -> Iterator[F32]:
    """User vectors (N, 2P + ...) of uniform traffic, one for each time that a user browsed."""
    from policies import build, collect

    uniform = build("uniform", env)
    parts = settings.decisions // (settings.users * STEPS)
    for word in np.random.SeedSequence(seed).generate_state(parts):
        log = collect(env, uniform, n_steps=STEPS, seed=int(word))
        assert log.context is not None
        yield log.context[browsed(log.context[:, : 2 * settings.products], log.session)]


def browsed(views: F32, session: NDArray[Any]) -> NDArray[np.bool_]:
    """(N,) the first row of a session, and every row whose views are not those of the row above."""
    new = (session[1:] != session[:-1]) | (views[1:] != views[:-1]).any(axis=1)
    return np.append(True, new)


def demonstrations(env: Any, seen: F32, rng: np.random.Generator) -> LoggedDataset:
    """Decisions that show the product viewed last to a user who has not viewed it yet.

    Which view came last but one is not known: one of the others stands for it at random. A user
    with one view only shows nothing.
    """
    products = int(env.n_items)
    context, target = without_last(seen, products, rng)
    n, r = len(target), len(env.response_names)
    return LoggedDataset.from_columns(
        session=np.arange(n),
        step=np.zeros(n, np.int32),
        slate=target[:, None],
        propensity=np.ones(n),
        reward=np.ones(n),
        terminated=np.ones(n, np.bool_),
        n_items=products,
        consumed=target,
        responses=np.ones((n, r), np.float32),
        context=context,
    )


def without_last(
    seen: F32, products: int, rng: np.random.Generator
) -> tuple[F32, NDArray[np.int32]]:
    """User vectors before their last view, and the product of that view, of those with two."""
    last = seen[:, products : 2 * products].argmax(axis=1)
    rows, context = np.arange(len(seen)), seen.copy()
    context[rows, last] -= 1
    total = context[:, :products].sum(axis=1)
    drawn = (rng.random(len(seen)) * total)[:, None]
    other = (context[:, :products].cumsum(axis=1) > drawn).argmax(axis=1)
    context[:, products : 2 * products] = 0
    context[rows, products + other] = 1
    return context[total > 0], last[total > 0].astype(np.int32)


def served(settings: Settings, policy: Policy) -> Clicks:
    """Whole sessions of users that nothing was learnt from, the same for every policy."""
    from policies import collect

    env = make(settings)
    clicks: list[F64] = []
    shown: list[F64] = []
    parts = -(-settings.sessions // PART)
    for word in np.random.SeedSequence(2**32).generate_state(parts):
        n = min(PART, settings.sessions - len(clicks) * PART)
        log = collect(env, policy, n_sessions=n, seed=int(word))
        clicks.append(log.session_rewards())
        shown.append(np.bincount(log.sessions, minlength=n).astype(np.float64))
    return Clicks(np.concatenate(clicks), np.concatenate(shown))


def values(one: Clicks) -> F64:
    """(S,) numbers whose mean is clicks over recommendations, and whose spread is its error: the
    ratio's linear part (delta method), sessions being what is independent."""
    rate = one.clicks.sum() / one.shown.sum()
    part: F64 = rate + (one.clicks - rate * one.shown) / one.shown.mean()
    return part


@dataclass(frozen=True, slots=True, eq=False)
class LastViewed:
    """Scores 1 for the product viewed last."""

    serving: Serving

    def scores(self, obs: Observation) -> Scores:
        """(B, P)."""
        products = self.serving.n_items
        return obs.user[:, products : 2 * products]

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Nothing is learnt."""
        return {}

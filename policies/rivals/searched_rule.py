"""A linear rule of a dozen numbers, found by search in a world: what any agent has to beat.

An item's score is a weighted sum of how alike it is to what was taken of late (topics and other
features apart, over three windows), whether it was taken already, and what it did on average in a
log. The weights are searched by the cross-entropy method (Rubinstein, 1999; for policies: Szita &
Lorincz, 2006): rules are drawn around a centre, each serves whole sessions, and the best quarter
says where the next ones are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.baselines.uniform import uniform
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.improve.kernels import Kernels
from policies.learning import learning_log
from policies.observation import Observation, Serving
from policies.one_user import recommend
from policies.rivals.item_means import ItemMeans
from policies.rollout import collect
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.slates.distributions import SlateDistribution
from policies.slates.parts import Parts
from policies.validation import COUNT, SHARE, SOME_SHARE, check_steps, whole
from policies.wrapped import vectorised

F64 = NDArray[np.float64]
OnSteps = Callable[[int], None]
USUAL = 10  # decisions of a session, by which a small number of them is shared among the rules
WARM = 16_000  # decisions under uniform slates that item means come from, where no log was given


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedRuleConfig(Exploration):
    """How rules are drawn and judged in the search, and how the found one is served."""

    population: int = 32  # rules of a generation
    elite: float = 0.25  # share of them that say where the next are drawn
    sessions: int = 16  # whole sessions that each serves; fewer where `learn` has few decisions
    smoothing: float = 0.5  # share of the spread that a generation hands on, whatever its best are
    seed: int = 0

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        whole(2).check("population", self.population)
        COUNT.check("sessions", self.sessions)
        SOME_SHARE.check("elite", self.elite)
        SHARE.check("smoothing", self.smoothing)
        whole(0).check("seed", self.seed)


@dataclass(slots=True)
class Rule:
    """Scores that are sums: weights (P,) of all users, or (B, P) a rule for each."""

    kernels: Kernels
    means: ItemMeans
    weights: F64

    @property
    def serving(self) -> Serving:
        return self.kernels.serving

    @property
    def size(self) -> int:
        """P, kernels first, then item means."""
        return self.kernels.size + 2 + len(self.serving.response_names)

    def parts(self, obs: Observation) -> dict[str, Scores]:
        """(B, C) what recent items say of the candidates, and what all users' do."""
        likeness = self.kernels.items(self.kernels.seen(obs), None)
        weights, n = np.broadcast_to(self.weights, (len(obs), self.size)), self.kernels.size
        if self.weights.ndim == 1:
            of_items = pick(self.means.features() @ self.weights[n:], obs)
        else:
            of_items = pick(weights[:, n:] @ self.means.features().T, obs)
        return {
            "recent items": np.einsum("bcp,bp->bc", likeness, weights[:, :n]),
            "item means": of_items,
        }

    def scores(self, obs: Observation) -> Scores:
        """(B, C)"""
        parts = self.parts(obs)
        return np.asarray(parts["recent items"] + parts["item means"])

    def update(self, log: LoggedDataset) -> dict[str, float]:
        self.means = self.means.plus(log, self.serving)
        return {"items_taken": float((self.means.taken > 0).sum())}


@dataclass(slots=True, eq=False)
class SearchedRule:
    """Learns by `learn`; serves the rule at the centre of the search."""

    config: SearchedRuleConfig
    rule: Rule
    spread: F64 = field(default_factory=lambda: np.zeros(0))  # (P,) of the next generation
    steps: int = 0  # decisions that rules have served

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.rule.serving

    @property
    def served(self) -> ScorePolicy:
        """The rule found so far, with its exploration."""
        return ScorePolicy(self.rule, part(self.config, Exploration))

    def distribution(self, obs: Observation) -> SlateDistribution:
        return self.served.distribution(obs)

    def score_parts(self, obs: Observation) -> list[Parts]:
        """What each part of the rule adds."""
        return self.served.score_parts(obs)

    def prepare(self, log: LoggedDataset) -> dict[str, float]:
        """Add a log to the item means, until `learn` has begun: from then on they stay."""
        log = learning_log(log, self.serving)
        return {} if self.steps else self.rule.update(log)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """As `prepare`: weights are searched in an environment, by `learn`."""
        return self.prepare(log)

    def check_learn(self, total_steps: int, users: int) -> None:
        """Raise ValueError where `learn` would end before its first generation."""
        check_steps(total_steps, users, 1, "give some")

    def learn(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        total_steps: int,
        seed: int,
        on_steps: OnSteps | None = None,
    ) -> None:
        """Search for `total_steps` decisions over all users, and to the end of the generation that
        is served by then; call again to go on. on_steps: called after every generation."""
        env = vectorised(env)
        self.check_learn(total_steps, env.num_envs)
        if not self.rule.means.shown.any():
            warm = collect(
                env, uniform(self.serving), n_steps=max(WARM // env.num_envs, 1), seed=seed
            )
            self.prepare(warm)
            self.steps += len(warm)
        sessions = min(
            max(total_steps // (self.config.population * USUAL), 1), self.config.sessions
        )
        goal = self.steps + total_steps
        while self.steps < goal:
            self._generation(
                env, sessions, np.random.default_rng([self.config.seed, seed, self.steps])
            )
            if on_steps is not None:
                on_steps(self.steps)

    def _generation(
        self, env: VectorEnv[Any, Any, Any], sessions: int, rng: np.random.Generator
    ) -> None:
        c, size = self.config, self.rule.size
        spread = self.spread if len(self.spread) else np.ones(size)
        drawn = self.rule.weights + spread * rng.standard_normal((c.population, size))
        values = np.concatenate(
            [
                self._values(env, drawn[at : at + env.num_envs], sessions, int(rng.integers(2**31)))
                for at in range(0, c.population, env.num_envs)
            ]
        )
        best = drawn[np.argsort(-values)[: max(round(c.elite * c.population), 2)]]
        self.rule.weights = best.mean(axis=0)
        self.spread = c.smoothing * spread + (1.0 - c.smoothing) * best.std(axis=0, ddof=1)

    def _values(self, env: VectorEnv[Any, Any, Any], drawn: F64, sessions: int, seed: int) -> F64:
        """Mean return (M,) of rules (M, P), M at most the number of slots: a slot has one rule.

        It is -inf where a world keeps no row of a rule's sessions.
        """
        n = env.num_envs
        which = np.arange(n) % len(drawn)
        rules = Rule(self.rule.kernels, self.rule.means, drawn[which])
        each = -(-sessions * len(drawn) // n)
        log = collect(env, ScorePolicy(rules, Exploration()), n_sessions=each * n, seed=seed)
        self.steps += len(log)
        rule = which[np.unique(log.session) // each]  # sessions are numbered slot by slot
        count = np.bincount(rule, minlength=len(drawn))
        total = np.bincount(rule, log.session_rewards(), len(drawn))
        none: F64 = np.full(len(drawn), -np.inf)
        return np.divide(total, count, out=none, where=count > 0)

    def saved(self) -> Saved:
        arrays = {"weights": self.rule.weights, "spread": self.spread}
        return Saved(
            config=asdict(self.config) | {"steps": self.steps},
            arrays=arrays | self.rule.means.to_arrays(),
            encoder=self.rule.kernels.encoder,
        )

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        config, arrays = dict(saved.config), dict(saved.arrays)
        steps, weights, spread = config.pop("steps"), arrays.pop("weights"), arrays.pop("spread")
        kernels = Kernels.of(serving, saved.encoder)
        rule = Rule(kernels, ItemMeans(**arrays), weights)
        return cls(SearchedRuleConfig(**config), rule, spread, steps)


@configured(SearchedRuleConfig)
def searched_rule(
    serving: Serving, config: SearchedRuleConfig, encoder: Encoder | None
) -> SearchedRule:
    """A rule whose weights are all 0: call `learn(env, total_steps=, seed=)`."""
    rule = Rule(Kernels.of(serving, encoder), ItemMeans.none(serving), np.zeros(0))
    rule.weights = np.zeros(rule.size)
    return SearchedRule(config, rule)

"""Every policy by name: one line each, imported when it is first built."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from policies.base import Policy
from policies.configured import current_names
from policies.observation import serving_of


@dataclass(frozen=True, slots=True)
class Lazy:
    """A builder `function(serving, *, settings...) -> Policy` that is imported on first use."""

    module: str
    function: str

    def load(self) -> Callable[..., Policy]:
        """The builder itself, with its signature and docstring."""
        return getattr(import_module(self.module), self.function)  # type: ignore[no-any-return]


POLICIES: dict[str, Lazy] = {
    "uniform": Lazy("policies.baselines.uniform", "uniform"),
    "popularity": Lazy("policies.baselines.popularity", "popularity"),
    "top_rated": Lazy("policies.baselines.top_rated", "top_rated"),
    "greedy_encoder": Lazy("policies.baselines.encoder_ranking", "greedy_encoder"),
    "softmax_encoder": Lazy("policies.baselines.encoder_ranking", "softmax_encoder"),
    "greedy_reward": Lazy("policies.baselines.reward_model", "greedy_reward"),
    "softmax_reward": Lazy("policies.baselines.reward_model", "softmax_reward"),
    "linucb": Lazy("policies.bandits.linucb", "linucb"),
    "epsilon_greedy": Lazy("policies.bandits.epsilon_greedy", "epsilon_greedy"),
    "ucb1": Lazy("policies.bandits.ucb1", "ucb1"),
    "cascade_ucb1": Lazy("policies.bandits.ucb1", "cascade_ucb1"),
    "cascade_linucb": Lazy("policies.bandits.cascade", "cascade_linucb"),
    "lints": Lazy("policies.bandits.lints", "lints"),
    "neural_linear": Lazy("policies.bandits.neural_linear", "neural_linear"),
    "one_step": Lazy("policies.improve.one_step", "one_step"),
    "fitted_q": Lazy("policies.improve.fitted_q", "fitted_q"),
    "ppo": Lazy("policies.rl.sb3.builders", "ppo"),
    "maskable_ppo": Lazy("policies.rl.sb3.builders", "maskable_ppo"),
    "a2c": Lazy("policies.rl.sb3.builders", "a2c"),
    "dqn": Lazy("policies.rl.sb3.builders", "dqn"),
    "qrdqn": Lazy("policies.rl.sb3.builders", "qrdqn"),
    "sac": Lazy("policies.rl.sb3.builders", "sac"),
    "td3": Lazy("policies.rl.sb3.builders", "td3"),
    "slateq": Lazy("policies.rl.slateq.policy", "slateq"),
    "bc": Lazy("policies.rl.offline.learner", "bc"),
    "reinforce": Lazy("policies.rl.offline.learner", "reinforce"),
    "cql": Lazy("policies.rl.offline.learner", "cql"),
    "snqn": Lazy("policies.rl.offline.learner", "snqn"),
    "decision_transformer": Lazy(
        "policies.rl.offline.decision_transformer", "decision_transformer"
    ),
}


def build(name: str, env: Any, **settings: Any) -> Policy:
    """A policy for the sizes of a vector environment; `settings` are its builder's keywords.

    Raises ValueError for an unknown name or setting, listing the known ones.
    """
    if name not in POLICIES:
        raise ValueError(f"no policy {name!r}; there are {', '.join(sorted(POLICIES))}")
    builder = POLICIES[name].load()
    settings = current_names(builder, settings)
    known = [p for p in inspect.signature(builder).parameters if p != "serving"]
    unknown = sorted(settings.keys() - set(known))
    if unknown:
        raise ValueError(
            f"policy {name!r} has no setting {', '.join(map(repr, unknown))}; "
            f"it takes {', '.join(known) or 'none'}"
        )
    return builder(serving_of(env), **settings)

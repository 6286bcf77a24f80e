"""Every policy by name: one line each, imported when it is first built; and the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from policies.adapters.named import attribute_of, own_module, own_modules
from policies.adapters.plain import builder_of
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


@dataclass(frozen=True, slots=True)
class Own:
    """A builder, class, policy or function `probabilities(observation)` of the user's."""

    thing: Any

    @property
    def module(self) -> str:
        """Where it lives."""
        kind = self.thing if hasattr(self.thing, "__qualname__") else type(self.thing)
        return str(kind.__module__)

    def load(self) -> Callable[..., Policy]:
        """The builder, see `policies.adapters.plain.builder_of`."""
        return builder_of(self.thing)


class Registry(dict[str, "Lazy | Own"]):
    """Entries by name. "module:attribute" is a name, too: it is imported when it is looked up. What
    is put in may be an entry, or whatever `Own` takes."""

    def __setitem__(self, name: str, entry: Any) -> None:
        if ":" in name:
            raise ValueError(f"the name {name!r} holds a colon, as names of modules do")
        super().__setitem__(name, entry if isinstance(entry, Lazy | Own) else Own(entry))

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            return True
        own_modules()  # which may register it
        return super().__contains__(name) or (isinstance(name, str) and _own(name) is not None)

    def __missing__(self, name: str) -> Lazy | Own:
        if name not in self:
            raise KeyError(name)
        return dict.get(self, name) or Own(attribute_of(name))


@cache
def _own(name: str) -> Own | None:
    """What "module:attribute" names; None for a text of another form. ValueError if it is not
    there."""
    module, colon, path = name.partition(":")
    if not colon or not all(part.isidentifier() for part in f"{module}.{path}".split(".")):
        return None
    return Own(attribute_of(name))


def register(name: str, thing: Any = None) -> Any:
    """Make a policy of one's own known by name: `register("mine", thing)`, or as a decorator
    `@register("mine")` of a builder `f(serving, **settings)`, a class, or a function
    `probabilities(observation)`; gives it back.

    Raises ValueError for the name of another policy.
    """
    if thing is None:
        return lambda given: register(name, given)
    entry = Own(thing)
    known = dict.get(POLICIES, name)
    if known is not None and known.module != entry.module:
        raise ValueError(f"there is a policy {name!r} in {known.module}: give another name")
    POLICIES[name] = entry
    own_module(entry.module)
    return thing


POLICIES: Registry = Registry(
    {
        "uniform": Lazy("policies.baselines.uniform", "uniform"),
        "popularity": Lazy("policies.baselines.popularity", "popularity"),
        "top_rated": Lazy("policies.baselines.top_rated", "top_rated"),
        "item_return": Lazy("policies.rivals.item_return", "item_return"),
        "searched_rule": Lazy("policies.rivals.searched_rule", "searched_rule"),
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
)


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

"""What a policy is: a distribution over ordered slates, and the one function that draws from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from offpolicy.log import LoggedDataset
from policies.learning import observed
from policies.observation import (
    Observation,
    Serving,
    items_of,
    observation_of,
    observation_of_log,
    serving_of,
)
from policies.slates.distributions import RandomSource, SlateDistribution, drawn

if TYPE_CHECKING:  # a server of policies has no environment
    from gymnasium.vector import VectorEnv

__all__ = [
    "Decision",
    "Learner",
    "Observation",
    "Policy",
    "Serving",
    "act",
    "conditional",
    "observation_of",
    "observation_of_log",
    "serving_of",
]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


class Policy(Protocol):
    """Two verbs over the sizes in `serving`. `distribution` draws nothing and changes nothing."""

    @property
    def serving(self) -> Serving: ...

    def distribution(self, obs: Observation) -> SlateDistribution:
        """A distribution over ordered slates of candidate columns, for each of B users."""

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Learn from logged decisions; return scalars worth plotting."""


@runtime_checkable
class Learner(Protocol):
    """A policy that learns by acting in an environment; `update` then only prepares it."""

    @property
    def steps(self) -> int:
        """Decisions it has learnt from."""

    def prepare(self, log: LoggedDataset) -> dict[str, float]:
        """Fit the scales of state and reward to a log, before it learns."""

    def check_learn(self, total_steps: int, users: int) -> None:
        """Raise ValueError where `learn` would end before its first update."""

    def learn(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        total_steps: int,
        seed: int,
        on_steps: Callable[[int], None] | None = None,
    ) -> None:
        """Train for `total_steps` decisions over all users; `on_steps` gets their number so far."""


def followed(policy: Policy) -> Policy:
    """The policy for users who are served step after step in one batch, itself where it keeps
    nothing of them: one with a method `followed()` may, so that an event costs one step of its
    encoder in place of a whole history."""
    own: Callable[[], Policy] | None = getattr(policy, "followed", None)
    return policy if own is None else own()


class Decision(NamedTuple):
    """One drawn slate per user, with the probability it was drawn with."""

    action: I32  # (B, K) columns of the candidates: what an environment takes
    slate: I32  # (B, K) item ids: what the user sees and the log keeps
    propensity: F64  # (B,)   of the whole ordered slate
    position_propensity: F64  # (B, K) of each place given the places above
    distribution: SlateDistribution  # what it was drawn from

    @property
    def first_place(self) -> F64:
        """(B, C) probability of every candidate to stand first; computed on access."""
        return self.distribution.first_place()


def act(policy: Policy, obs: Observation, rng: RandomSource) -> Decision:
    """Draw a slate for each user and read its propensity off the same distribution; ValueError for
    an item outside the policy's catalogue, and what `observed` refuses besides.

    Where the class that defines `distribution` says `checks_observations = True`, that looks at
    them by itself, and they are not looked at twice.
    """
    if not _looks_itself(type(policy)):
        obs = observed(obs, policy.serving)
    d = policy.distribution(obs)
    action, prefix = drawn(d, rng)
    return Decision(action, items_of(obs, action), prefix[:, -1], conditional(prefix), d)


@cache
def _looks_itself(kind: type) -> bool:
    """Not where a subclass has a `distribution` of its own."""
    owner = next((base for base in kind.__mro__ if "distribution" in vars(base)), object)
    return vars(owner).get("checks_observations") is True


def conditional(prefix: F64) -> F64:
    """Per-place propensities (B, K) from prefix probabilities; 0 after an impossible place."""
    before = np.concatenate([np.ones((len(prefix), 1)), prefix[:, :-1]], axis=1)
    share: F64 = np.divide(prefix, before, out=np.zeros_like(prefix), where=before > 0)
    return share

"""How a policy says what it is, so that it can be written down and built again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from policies.encoders.base import Encoder
from policies.observation import Serving

if TYPE_CHECKING:
    import torch
    from torch import nn

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """All that a policy is, apart from the sizes it serves: what was chosen and what was learnt."""

    config: dict[str, Any] = field(default_factory=dict)  # plain values, as JSON keeps them
    arrays: Arrays = field(default_factory=dict)
    encoder: Encoder | None = None  # that it stands on
    inner: Any = None  # the policy or scorer that it is a rule around


@runtime_checkable
class Savable(Protocol):
    """What a class offers to be written down: two methods. `Serving` comes back by itself."""

    def saved(self) -> Saved:
        """Config, arrays, encoder and inner policy."""

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        """A policy with the same probabilities, which also learns on as the saved one would."""


def prefixed(prefix: str, arrays: Arrays) -> Arrays:
    """The same arrays under longer names; `under` takes them back."""
    return {f"{prefix}{name}": value for name, value in arrays.items()}


def under(prefix: str, arrays: Arrays) -> Arrays:
    """Those whose name starts with the prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def weights(net: nn.Module) -> Arrays:
    """A torch module's parameters and buffers by name, copied."""
    return {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}


def set_weights(net: nn.Module, arrays: Arrays) -> None:
    """Take back what `weights` gave, exactly."""
    import torch

    net.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays.items()})


def moments(adam: torch.optim.Optimizer) -> Arrays:
    """An optimiser's running moments by parameter and name, copied; empty before its first step."""
    state = adam.state_dict()["state"]
    return {f"{n}/{k}": v.numpy().copy() for n, kept in state.items() for k, v in kept.items()}


def set_moments(adam: torch.optim.Optimizer, arrays: Arrays) -> None:
    """Take back what `moments` gave, for the same parameters."""
    import torch

    kept: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in arrays.items():
        number, key = name.split("/")
        kept.setdefault(int(number), {})[key] = torch.from_numpy(value.copy())
    adam.load_state_dict({"state": kept, "param_groups": adam.state_dict()["param_groups"]})


def random_state(rng: np.random.Generator) -> NDArray[np.uint64]:
    """(6,) where a PCG64 generator stands, as an array to save; `luck_of` takes it back."""
    state = rng.bit_generator.state
    pair = state["state"]
    words = [pair[k] >> s & (2**64 - 1) for k in ("state", "inc") for s in (64, 0)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def generator_of(words: NDArray[np.uint64]) -> np.random.Generator:
    """The generator that goes on where `luck` was asked."""
    w = [int(one) for one in words]
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": w[0] << 64 | w[1], "inc": w[2] << 64 | w[3]},
        "has_uint32": w[4],
        "uinteger": w[5],
    }
    return np.random.Generator(bits)

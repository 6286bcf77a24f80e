"""How a policy says what it is, so that it can be saved and built again.

One pair of methods everywhere: `saved` and `from_saved` for a whole policy, `to_arrays` and
`from_arrays` (`set_arrays` in place) for a part of one. Objects of libraries have functions here.
"""

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
    inner: Any = None  # the policy or score model that it stands around
    parts: tuple[Any, ...] = ()  # the policies that it stands between


@runtime_checkable
class Savable(Protocol):
    """What a class offers to be saved: two methods. `Serving` is saved beside it."""

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


def module_arrays(net: nn.Module) -> Arrays:
    """A torch module's parameters and buffers by name, copied."""
    return {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}


def set_module_arrays(net: nn.Module, arrays: Arrays) -> None:
    """Take back what `module_arrays` gave, exactly."""
    import torch

    net.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays.items()})


def optimizer_arrays(optimizer: torch.optim.Optimizer) -> Arrays:
    """An optimizer's running moments by parameter and name, copied; empty before its first step."""
    state = optimizer.state_dict()["state"]
    return {f"{n}/{k}": v.numpy().copy() for n, named in state.items() for k, v in named.items()}


def set_optimizer_arrays(optimizer: torch.optim.Optimizer, arrays: Arrays) -> None:
    """Take back what `optimizer_arrays` gave, for the same parameters."""
    import torch

    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in arrays.items():
        number, key = name.split("/")
        moments.setdefault(int(number), {})[key] = torch.from_numpy(value.copy())
    optimizer.load_state_dict(
        {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def generator_array(rng: np.random.Generator) -> NDArray[np.uint64]:
    """(6,) state of a PCG64 generator, as an array to save."""
    state = rng.bit_generator.state
    pair = state["state"]
    words = [pair[k] >> s & (2**64 - 1) for k in ("state", "inc") for s in (64, 0)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def generator_from_array(words: NDArray[np.uint64]) -> np.random.Generator:
    """The generator that continues where `generator_array` was called."""
    w = [int(one) for one in words]
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": w[0] << 64 | w[1], "inc": w[2] << 64 | w[3]},
        "has_uint32": w[4],
        "uinteger": w[5],
    }
    return np.random.Generator(bits)

"""A PyTorch module that scores items, as a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from offpolicy.log.dataset import LoggedDataset
from policies.adapters.inputs import item_rows
from policies.adapters.named import imported_attribute, name_of
from policies.observation import Observation, Serving
from policies.saved import Saved, module_arrays, set_module_arrays
from policies.score_policy import Exploration, ScorePolicy, Scores

if TYPE_CHECKING:
    from torch import nn


@dataclass(slots=True)
class TorchScores:
    """A module's scores (B, C), or (B, C, 1), of the rows (B, C, U + F) of `inputs.item_rows`."""

    serving: Serving
    module: nn.Module

    def scores(self, obs: Observation) -> Scores:
        """Raises ValueError for an output of another shape."""
        import torch

        rows = torch.from_numpy(item_rows(obs, self.serving))
        with torch.no_grad():
            out = np.asarray(self.module(rows).numpy(), np.float64)
        if out.shape == (*rows.shape[:2], 1):
            out = out[..., 0]
        if out.shape != tuple(rows.shape[:2]):
            raise ValueError(
                f"the module returned shape {out.shape} of rows {tuple(rows.shape)}: return a "
                f"score for each candidate, {tuple(rows.shape[:2])}"
            )
        return out

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Nothing: the module is trained elsewhere."""
        return {}

    def saved(self) -> Saved:
        what = "a module of layers alone; subclass it, so that Class() makes it: the module"
        kind = type(self.module)
        name = name_of(kind, kind.__name__)
        if name.startswith("torch."):
            raise ValueError(f"{what} cannot be saved")
        return Saved(config={"class": name}, arrays=module_arrays(self.module))

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        module: Any = imported_attribute(saved.config["class"])()
        set_module_arrays(module, saved.arrays)
        module.eval()
        return cls(serving, module)


def from_module(
    module: nn.Module,
    serving: Serving,
    *,
    temperature: float | None = 1.0,
    epsilon: float = 0.0,
) -> ScorePolicy:
    """The policy that draws slates by softmax of a module's scores; None: it shows the best.

    The module sees (B, C, U + F), for every candidate the user's vector and the item's features,
    and returns (B, C). It is put into evaluation mode. Saved, it is named by its class, which
    `Class()` must make, and its weights.
    """
    module.eval()
    rule = Exploration(temperature=temperature, epsilon=epsilon)
    return ScorePolicy(TorchScores(serving, module), rule)

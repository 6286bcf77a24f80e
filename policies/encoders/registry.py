"""Every encoder by name; its module is imported when one is first built."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from policies.encoders.base import Encoder


@dataclass(frozen=True, slots=True)
class Lazy:
    """An encoder class that is imported when it is first built, so that torch is too."""

    module: str
    cls: str
    cfg: str

    def __call__(self, **settings: Any) -> Encoder:
        """Build from the fields of the class's config."""
        return self.load()(self.config(settings))  # type: ignore[no-any-return]

    def small(self, *, length: int, seed: int, threads: int = 1) -> Encoder:
        """Build at the sizes that its config declares for histories of a simulator."""
        config = getattr(import_module(self.module), self.cfg)
        return self.load()(config.small(length=length, seed=seed, threads=threads))  # type: ignore[no-any-return]

    def load(self) -> Any:
        """The encoder class."""
        return getattr(import_module(self.module), self.cls)

    def config(self, settings: dict[str, Any]) -> Any:
        """The frozen config of the class."""
        return getattr(import_module(self.module), self.cfg)(**settings)


ENCODERS: dict[str, Lazy] = {
    "popularity": Lazy("policies.encoders.models.popularity", "Popularity", "PopularityConfig"),
    "markov": Lazy("policies.encoders.models.markov", "SkipMarkov", "MarkovConfig"),
    "average": Lazy("policies.encoders.models.average", "Average", "AverageConfig"),
    "gru4rec": Lazy("policies.encoders.models.gru4rec", "GRU4Rec", "GRU4RecConfig"),
    "sasrec": Lazy("policies.encoders.models.sasrec", "SASRec", "SASRecConfig"),
    "esasrec": Lazy("policies.encoders.models.esasrec", "ESASRec", "ESASRecConfig"),
    "bert4rec": Lazy("policies.encoders.models.bert4rec", "BERT4Rec", "BERT4RecConfig"),
    "filter": Lazy("policies.encoders.models.causal_filter", "CausalFilter", "CausalFilterConfig"),
    "mixture": Lazy("policies.encoders.models.mixture", "Mixture", "MixtureConfig"),
}

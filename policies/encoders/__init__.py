"""Sequence encoders: next-item models over histories of item ids, built by name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from policies.encoders.base import Encoder
from policies.encoders.data.sequences import Sequences
from policies.encoders.data.splits import Heldout, Split, global_time, leave_one_out

__all__ = [
    "ENCODERS",
    "Encoder",
    "Heldout",
    "Sequences",
    "Split",
    "encoder",
    "global_time",
    "leave_one_out",
]


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
}


def encoder(name: str, **settings: Any) -> Encoder:
    """Build an encoder by name.

    Raises:
        ValueError: no such name; lists the names.
    """
    if name not in ENCODERS:
        raise ValueError(f"no encoder {name!r}; there are {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name](**settings)

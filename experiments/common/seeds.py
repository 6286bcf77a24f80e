"""Seeds of random numbers by what they are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Seeded(Protocol):
    """Settings of a command that is run over several seeds."""

    @property
    def seed(self) -> int: ...
    @property
    def seeds(self) -> int: ...


def seeds_of(settings: Seeded) -> range:
    """The seeds of a run: so many, from the first on."""
    return range(settings.seed, settings.seed + settings.seeds)


def purpose_seed(seed: int, purposes: Sequence[str], purpose: str, nth: int = 0) -> int:
    """Independent seeds by purpose and turn: users learnt from are not those of the truth, and
    every policy of a run meets the same ones."""
    words = np.random.SeedSequence((seed, purposes.index(purpose), nth))
    return int(words.generate_state(1)[0])

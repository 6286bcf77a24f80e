"""Seeds of random numbers by what they are for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def purpose_seed(seed: int, purposes: Sequence[str], purpose: str, nth: int = 0) -> int:
    """Independent seeds by purpose and turn: users learnt from are not those of the truth, and
    every policy of a run meets the same ones."""
    words = np.random.SeedSequence((seed, purposes.index(purpose), nth))
    return int(words.generate_state(1)[0])

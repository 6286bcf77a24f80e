"""Seeds by purpose: as runs of earlier versions had them, and none twice."""

from __future__ import annotations

import numpy as np

from experiments.common.seeds import purpose_seed

PURPOSES = ("warm", "log", "truth")


def test_no_seed_is_met_twice() -> None:
    every = [purpose_seed(s, PURPOSES, p, n) for s in range(3) for p in PURPOSES for n in range(3)]
    assert len(set(every)) == len(every)


def test_the_first_turn_needs_no_number() -> None:
    words = np.random.SeedSequence((5, 1)).generate_state(1)
    assert purpose_seed(5, PURPOSES, "log") == words[0]

"""How an encoder is trained where nothing else is said: derived from the data, whatever its name.

The rule takes three numbers of the training part: its targets (events that have one before them),
events for each item, and the median length of a history. What it was chosen on, and what it
reached elsewhere, stands in experiments/results/encoders.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from policies.encoders import ENCODERS, Heldout, Sequences, Split
from policies.encoders.data.splits import sampled
from policies.encoders.evaluate import ndcg
from policies.encoders.training.config import TrainConfig

CHAINS: tuple[dict[str, Any], ...] = (
    {"skip": 5, "decay": 0.7},
    {"skip": 10, "decay": 0.8},
    {"skip": 20, "decay": 0.85},
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the rule looks at."""

    targets: int  # events that have one before them
    per_item: float  # events for each item that occurs
    length: float  # median events of users with two or more

    @classmethod
    def of(cls, sequences: Sequences) -> Sizes:
        """The sizes of a training part."""
        lengths = sequences.lengths[sequences.lengths >= 2]
        known = max(1, int((sequences.counts() > 0).sum()))
        median = float(np.median(lengths)) if len(lengths) else 0.0
        return cls(int((lengths - 1).sum()), sequences.n_events / known, median)


def recipe(model: str, split: Split) -> dict[str, Any]:
    """Settings of an encoder for a split; empty where it has none to choose.

    The chain's are the best of three on validation. Networks get cosine scores, a running mean of
    the weights, and as many passes as items are rare: 20 to 60, 176 over the square root of the
    events for each item; on small files up to 100, to come to 1,500 steps, and on large ones no
    more than come to about 12,000, but 5.
    """
    if model == "markov":
        return chain(split.train, split.valid)
    config = ENCODERS[model].config({})
    return network(config, Sizes.of(split.train)) if isinstance(config, TrainConfig) else {}


def network(config: TrainConfig, sizes: Sizes) -> dict[str, Any]:
    """The settings of a network of the class of `config`."""
    tokens = 1000 if sizes.targets < 500_000 else 2000
    batches = max(1, math.ceil(sizes.targets / tokens))
    passes = min(max(176 / math.sqrt(sizes.per_item), 20), 60) if sizes.targets else 20
    epochs = max(5, round(min(max(passes, min(1_500 / batches, 100)), 12_000 / batches)))
    wanted: dict[str, Any] = {
        "length": int(min(max(2 * sizes.length, 50), 200)),
        "batch_tokens": tokens,
        "epochs": epochs,
        "patience": max(5, epochs // 3),
        "lr": 2e-3,
        "dropout": 0.3 if sizes.targets < 500_000 else 0.1,
        "temperature": 0.07,
        "averaging": 0.998,
        "blocks": 1 if sizes.length < 20 else 2,
        "heads": 1,
    }
    return {name: value for name, value in wanted.items() if hasattr(config, name)}


def chain(train: Sequences, valid: Heldout) -> dict[str, Any]:
    """The chain's reach and decay with the best NDCG@10 on validation; its own without any."""
    if not len(valid):
        return {}
    asked = sampled(valid)
    scores = [ndcg(ENCODERS["markov"](**one).fit(train), asked) for one in CHAINS]
    return CHAINS[int(np.argmax(scores))]

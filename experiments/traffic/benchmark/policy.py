"""The policy that the benchmark serves: a small transformer under four rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.base import Policy
from policies.baselines.encoder_ranking import softmax_encoder
from policies.encoders import ENCODERS, Encoder, Sequences
from policies.observation import Serving
from policies.rules.constrained import Constrained
from policies.rules.constraints import Banned, Cap, Quota, Repeats, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Of what is served."""

    n_items: int = 10_000
    n_candidates: int = 200
    slate_size: int = 10
    history: int = 50
    dim: int = 64
    sequences: int = 1_000  # that the encoder learns from, each as long as a history


def benchmark_policy(sizes: Sizes, seed: int) -> Policy:
    """SASRec and a softmax of its scores, under `Banned`, `Repeats`, `Cap` and `Quota`. It learns a
    single pass over made-up sequences: how well it predicts makes no request cheaper."""
    serving = Serving(
        n_items=sizes.n_items,
        slate_size=sizes.slate_size,
        history_length=sizes.history,
        n_candidates=sizes.n_candidates,
        item_features=np.zeros((sizes.n_items, 1), np.float32),
        user_size=0,
        response_names=("stars",),
    )
    scored = softmax_encoder(serving, encoder=benchmark_encoder(sizes, seed), temperature=1.0)
    return Constrained(scored, benchmark_rules(sizes))


def benchmark_encoder(sizes: Sizes, seed: int) -> Encoder:
    """Fitted to users who take items in the neighbourhood of one another; every item occurs."""
    rng = np.random.default_rng(seed)
    a, shape = sizes.n_items, (sizes.sequences, sizes.history)
    walks = rng.integers(a, size=(sizes.sequences, 1)) + rng.integers(-100, 101, size=shape)
    order = rng.permutation(a)
    every = [order[first : first + sizes.history] for first in range(0, a, sizes.history)]
    encoder = ENCODERS["sasrec"](
        dim=sizes.dim, length=sizes.history, epochs=1, seed=seed, device="cpu"
    )
    return encoder.fit(Sequences.from_lists([*(walks % a), *every], n_items=a))


def benchmark_rules(sizes: Sizes) -> tuple[Rule, ...]:
    """Some items are withdrawn, nothing is shown that was taken, a shelf has two places at most,
    and a fifth of the places are for a group that is a third of the catalogue, up to half."""
    items = np.arange(sizes.n_items, dtype=np.int32)
    least, most = sizes.slate_size // 5, max(1, sizes.slate_size // 2)
    return (
        Banned("withdrawn", items % 97 == 3),
        Repeats("taken", items),
        Cap("shelf", items % 50, 2),
        Quota("fresh", items % 3 == 0, least=least, most=most),
    )

"""Settings of encoders: from a command line, and presets of the data sets they were tried on.

A preset states only what differs. What they reached stands in experiments/results/encoders.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments.common.key_values import pairs, typed
from policies.encoders import ENCODERS, Lazy

PRESETS: dict[tuple[str, str], dict[str, Any]] = {
    ("ml-1m", "markov"): {"skip": 20, "decay": 0.85},
    ("ml-1m", "gru4rec"): {
        "length": 200,
        "hidden": 256,
        "batch_tokens": 2000,
        "epochs": 20,
        "lr": 2e-3,
        "dropout": 0.1,
        "patience": 20,
    },
    ("ml-1m", "sasrec"): {
        "length": 200,
        "epochs": 40,
        "lr": 2e-3,
        "dropout": 0.1,
        "patience": 40,
    },
    ("ml-1m", "esasrec"): {
        "length": 200,
        "heads": 1,
        "batch_tokens": 2000,
        "epochs": 25,
        "lr": 2e-3,
        "dropout": 0.1,
        "patience": 25,
    },
    ("ml-100k", "sasrec"): {
        "length": 100,
        "batch_tokens": 1000,
        "epochs": 30,
        "patience": 30,
    },
    ("ml-100k", "esasrec"): {
        "length": 100,
        "heads": 1,
        "batch_tokens": 1000,
        "epochs": 30,
        "patience": 30,
    },
    ("amazon-beauty", "sasrec"): {
        "blocks": 1,
        "batch_tokens": 1000,
        "epochs": 50,
        "lr": 2e-3,
        "dropout": 0.3,
        "temperature": 0.07,
        "averaging": 0.998,
        "patience": 50,
    },
}


def preset(data: str, model: str, changes: tuple[str, ...] = ()) -> dict[str, Any]:
    """The preset of a pair, with `key=value` changes on top; ValueError as `encoder_settings`."""
    return PRESETS.get((data, model), {}) | encoder_settings("--set", model, changes)


def encoder_settings(option: str, name: str, changes: tuple[str, ...]) -> dict[str, Any]:
    """`key=value` settings of an encoder, typed as its config annotates them.

    Raises:
        ValueError: no such encoder or setting, or a value of another type; lists what there is.
    """
    config, texts = type(known_encoder(name).config({})), pairs(changes)
    known = [field.name for field in dataclasses.fields(config)]
    if unknown := sorted(texts.keys() - set(known)):
        given = ", ".join(f"{key}={texts[key]}" for key in unknown)
        raise ValueError(f"{option} {given}: encoder {name!r} takes {', '.join(known)}")
    return typed(option, texts, config)


def known_encoder(name: str) -> Lazy:
    """An entry of ENCODERS; ValueError lists the names."""
    if name not in ENCODERS:
        raise ValueError(f"no encoder {name!r}; there are {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name]

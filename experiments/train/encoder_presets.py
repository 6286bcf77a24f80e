"""Settings of encoders on the data sets they were tried on; each states only what differs.

What they reached, and what they did not, stands in experiments/results/encoders.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments.common.key_values import parse, typed
from policies.encoders import ENCODERS

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
    """The preset of a pair, with `key=value` changes on top.

    Raises:
        ValueError: no such model or setting, or a value of another kind; lists what there is.
    """
    if model not in ENCODERS:
        raise ValueError(f"no encoder {model!r}; there are {', '.join(ENCODERS)}")
    kind = type(ENCODERS[model].config({}))
    known, asked = [f.name for f in dataclasses.fields(kind)], parse(changes)
    if unknown := sorted(asked.keys() - set(known)):
        raise ValueError(f"{model} has no setting {unknown[0]!r}; there are {', '.join(known)}")
    return PRESETS.get((data, model), {}) | typed("--set", asked, kind)

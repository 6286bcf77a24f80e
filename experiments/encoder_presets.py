"""Settings of encoders on the data sets they were tried on; each states only what differs.

What they reached, and what they did not, stands in experiments/results/encoders.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

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
    hints = get_type_hints(kind)
    chosen = dict(PRESETS.get((data, model), {}))
    for change in changes:
        key, _, text = change.partition("=")
        if key not in {f.name for f in dataclasses.fields(kind)}:
            raise ValueError(f"{model} has no setting {key!r}; there are {', '.join(hints)}")
        chosen[key] = _value(key, text, hints[key])
    return chosen


def _value(key: str, text: str, kind: Any) -> Any:
    """Text as the setting's own type."""
    kinds = [k for k in get_args(kind) if isinstance(k, type)] or [kind]
    for one in kinds:
        if one is bool and text in {"true", "false"}:
            return text == "true"
        if one in {int, float}:
            try:
                return one(text)
            except ValueError:
                continue
        if text == "none" and one is type(None):
            return None
    if all(isinstance(k, str) for k in get_args(kind)) and get_args(kind):
        return text  # a Literal: the config refuses what it does not know
    raise ValueError(f"{key}={text}: {key} is of type {getattr(kind, '__name__', kind)}")

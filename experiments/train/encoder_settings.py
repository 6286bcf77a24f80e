"""Settings of encoders: from a command line, on top of the recipe."""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments.common.key_values import pairs, typed
from experiments.train.recipe import recipe
from policies.encoders import ENCODERS, Lazy, Split

PARTS = ("first", "second")  # of a mixture


def settings_for(model: str, split: Split, changes: tuple[str, ...] = ()) -> dict[str, Any]:
    """The recipe's settings of an encoder for a split, with `key=value` changes on top; those of a
    mixture's parts as first.key=value. ValueError as `encoder_settings`."""
    changed = encoder_settings("--set", model, changes)
    if model != "mixture":
        return recipe(model, split) | changed
    names = ENCODERS[model].config(changed)
    for part in PARTS:
        own = recipe(getattr(names, part), split)
        changed[f"{part}_settings"] = own | changed.get(f"{part}_settings", {})
    return changed


def encoder_settings(option: str, name: str, changes: tuple[str, ...]) -> dict[str, Any]:
    """`key=value` settings of an encoder, typed as its config annotates them.

    Raises:
        ValueError: no such encoder or setting, or a value of another type; lists what there is.
    """
    config, texts = type(known_encoder(name).config({})), pairs(changes)
    if name == "mixture":
        return _of_mixture(option, texts)
    known = [field.name for field in dataclasses.fields(config)]
    if unknown := sorted(texts.keys() - set(known)):
        given = ", ".join(f"{key}={texts[key]}" for key in unknown)
        raise ValueError(f"{option} {given}: encoder {name!r} takes {', '.join(known)}")
    return typed(option, texts, config)


def _of_mixture(option: str, texts: dict[str, str]) -> dict[str, Any]:
    """Settings of a mixture: its own, and first.key or second.key of its parts."""
    config = type(ENCODERS["mixture"].config({}))
    own = {key: text for key, text in texts.items() if "." not in key}
    if unknown := sorted(own.keys() - {*PARTS, "share", "pool"}):
        raise ValueError(
            f"{option} {unknown[0]}={own[unknown[0]]}: encoder 'mixture' takes first, second, "
            "share, pool, and settings of its parts as first.key=value and second.key=value"
        )
    made = typed(option, own, config)
    names = config(**made)
    for part in PARTS:
        inner = {
            k.removeprefix(f"{part}."): v for k, v in texts.items() if k.startswith(f"{part}.")
        }
        if inner:
            given = tuple(f"{key}={text}" for key, text in inner.items())
            made[f"{part}_settings"] = encoder_settings(option, getattr(names, part), given)
    return made


def known_encoder(name: str) -> Lazy:
    """An entry of ENCODERS; ValueError lists the names."""
    if name not in ENCODERS:
        raise ValueError(f"no encoder {name!r}; there are {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name]

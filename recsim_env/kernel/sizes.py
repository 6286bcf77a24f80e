"""Checks of a world's settings: which sizes contradict each other, and what to change."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from recsim_env.catalogue import Catalogue

RAREST = 1e-5  # share of popularity among which the last candidate of an offer may be sought


def check_whole(name: str, value: Any, least: int, rule: str) -> None:
    """Raise ValueError unless the value is a whole number from `least` on; `rule` says so."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"{name} = {value!r}: give a whole number, {rule}")


def check_finite(name: str, value: Any) -> None:
    """Raise ValueError unless the value is a number, and finite."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} = {value!r}: give a finite number")


def autoreset_of(mode: AutoresetMode | str) -> AutoresetMode:
    """A mode or its name, as Gymnasium takes them; ValueError for another."""
    try:
        return AutoresetMode(mode)
    except ValueError:
        names = ", ".join(repr(one.value) for one in AutoresetMode)
        raise ValueError(f"autoreset_mode = {mode!r}: choose one of {names}") from None


def check_sizes(
    *,
    num_envs: int,
    slate_size: int,
    n_candidates: int | None,
    history_length: int,
    max_steps: int | None,
    session_ticks: int,
    threads: int,
    on_invalid: str,
    penalty: float,
    offer: str,
    catalogue: Catalogue,
) -> None:
    """Raise ValueError at the first setting that no world can have."""
    check_whole("num_envs", num_envs, 1, "at least one user")
    check_whole("slate_size", slate_size, 1, "at least one position")
    check_whole("history_length", history_length, 0, "which must not be negative")
    if max_steps is not None:
        check_whole("max_steps", max_steps, 1, "at least one decision, or None")
    if n_candidates is not None:
        check_whole("n_candidates", n_candidates, 1, "or None for the whole catalogue")
    check_whole("session_ticks", session_ticks, 0, "which must not be negative")
    check_whole("threads", threads, 1, "at least one")
    check_finite("penalty", penalty)
    if on_invalid not in ("fix", "penalise", "raise"):
        raise ValueError(f"on_invalid = {on_invalid!r}: choose 'fix', 'penalise' or 'raise'")
    _check_offer(catalogue, n_candidates, slate_size)
    if offer == "popularity" and n_candidates is not None:
        _check_endless_draws(catalogue, n_candidates)


def _check_offer(catalogue: Catalogue, n_candidates: int | None, slate_size: int) -> None:
    """The catalogue must have as many items as are offered, at every tick."""
    needed, fewest = n_candidates or slate_size, catalogue.fewest_open()
    if fewest < needed <= len(catalogue):
        raise ValueError(
            f"at some tick only {fewest} items are available and {needed} are needed; widen the "
            "windows since..until of the catalogue, or what its groups may be served"
        )
    if n_candidates is not None and not 1 <= n_candidates <= len(catalogue):
        raise ValueError(
            f"n_candidates = {n_candidates} of a catalogue of {len(catalogue)} items: "
            "offer between one and all of them, or None for the whole catalogue"
        )


def _check_endless_draws(catalogue: Catalogue, n_candidates: int) -> None:
    """Distinct items are drawn until there are enough: some must be left that are ever drawn."""
    weight = np.sort(catalogue.popularity.astype(np.float64))[::-1]
    left = weight[n_candidates - 1 :].sum() / max(weight.sum(), 1e-300)
    if left < RAREST:
        raise ValueError(
            f"after the {n_candidates - 1} most popular items the others hold {left:.1g} of all "
            "popularity, and the last candidate would not be found; lower n_candidates, raise "
            "their popularity, or take offer='uniform'"
        )

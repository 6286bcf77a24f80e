"""Checks of a world's settings: which sizes contradict each other, and what to change."""

from __future__ import annotations

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.columns import MOST_ITEMS, as_reals, check_finite, check_memory, check_whole
from recsim_env.kernel.state import SLACK, offer_cdf
from recsim_env.model import UserModel

RAREST = 1e-5  # share of popularity among which the last candidate of an offer may be sought
LONGEST = 2**32  # ticks of a session
MOST_THREADS = 1024


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
    candidate_features: bool,
    catalogue: Catalogue,
) -> None:
    """Raise ValueError at the first setting that no world can have."""
    if not isinstance(catalogue, Catalogue):
        raise ValueError(f"catalogue is a {type(catalogue).__name__}: give a Catalogue")
    check_whole("num_envs", num_envs, 1, "at least one user", MOST_ITEMS)
    check_whole("slate_size", slate_size, 1, "at least one position", MOST_ITEMS)
    check_whole("history_length", history_length, 0, "which must not be negative", MOST_ITEMS)
    if max_steps is not None:
        check_whole("max_steps", max_steps, 1, "at least one decision, or None")
    if n_candidates is not None:
        check_whole("n_candidates", n_candidates, 1, "or None for the whole catalogue")
    check_whole("session_ticks", session_ticks, 0, "which must not be negative", LONGEST)
    check_whole("threads", threads, 1, "at least one", MOST_THREADS)
    check_finite("penalty", penalty)
    if on_invalid not in ("fix", "penalise", "raise"):
        raise ValueError(f"on_invalid = {on_invalid!r}: choose 'fix', 'penalise' or 'raise'")
    if not isinstance(candidate_features, bool | np.bool_):
        raise ValueError(f"candidate_features = {candidate_features!r}: choose True or False")
    cdf = offer_cdf(catalogue, offer)
    _check_offer(catalogue, n_candidates, slate_size)
    if n_candidates is not None and cdf.size:
        _check_endless_draws(catalogue, n_candidates)
        _check_popular(catalogue, cdf, n_candidates)


def check_fits(
    model: UserModel, catalogue: Catalogue, population: Population | None
) -> NDArray[np.float32]:
    """Features (A, F) that agents see of the items, once catalogue and population are held against
    the model and against each other.

    Raises ValueError naming what is of another world. What else a model reads is checked where its
    world is built, by `columns.shaped_columns`.
    """
    if population is not None and not isinstance(population, Population):
        raise ValueError(f"population is a {type(population).__name__}: give a Population")
    if model.most_topics is not None and catalogue.n_topics > model.most_topics:
        raise ValueError(
            f"the catalogue has {catalogue.n_topics} topics and this model's users know "
            f"{model.most_topics}: number its topics from 0 to {model.most_topics - 1}"
        )
    if population is not None:
        population.check_fits(
            n_items=len(catalogue),
            width=catalogue.vectors.shape[1],
            n_responses=len(model.responses.names),
        )
    return as_reals("the features of items", model.features(catalogue), len(catalogue), ndim=2)


def check_room(
    *,
    num_envs: int,
    slate_size: int,
    n_candidates: int,
    history_length: int,
    widths: tuple[int, int],
    features: NDArray[np.float32],
    record: int,
) -> None:
    """Raise ValueError where the users and their observations do not fit into memory.

    widths: entries of a user's vector and of a response. record: bytes of a user's state.
    """
    history = (history_length + SLACK) * (1 + widths[1])
    offered = n_candidates * (1 + features.shape[1])
    numbers = 2 * (history + offered) + widths[0] + 3 * slate_size + record / 4
    fewer = "lower num_envs, history_length or n_candidates"
    check_memory(f"{num_envs} users", num_envs * float(numbers), fewer)


def _check_offer(catalogue: Catalogue, n_candidates: int | None, slate_size: int) -> None:
    """The catalogue must have as many items as are offered, at every tick."""
    needed, fewest = n_candidates or slate_size, catalogue.fewest_open()
    most = len(catalogue) if n_candidates is None else min(n_candidates, len(catalogue))
    if slate_size > most:
        raise ValueError(
            f"a slate of {slate_size} from {most} items must repeat one; raise n_candidates or "
            "lower slate_size"
        )
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


def _check_popular(catalogue: Catalogue, cdf: NDArray[np.float64], n_candidates: int) -> None:
    """Whoever may be served, at every tick as many items as are offered must have popularity."""
    drawn = np.diff(cdf, prepend=0.0) > 0
    fewest = catalogue.fewest_open(drawn)
    if fewest < n_candidates:
        raise ValueError(
            f"at some tick only {fewest} items with popularity are available to a user and "
            f"{n_candidates} are offered by it; raise the popularity of the others, widen their "
            "windows or what groups may be served, or take offer='uniform'"
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

"""Plain functions and classes as policies: `probabilities(obs)`, `scores(obs)`, or the protocol."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Self, get_type_hints

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.adapters.named import imported_attribute, name_of
from policies.base import Policy
from policies.learning import learning_log
from policies.observation import Observation, Serving, check_same_world
from policies.one_user import recommend
from policies.saved import Savable, Saved
from policies.score_policy import Exploration, ScorePolicy
from policies.slates.distributions import PlackettLuce, masked

F64 = NDArray[np.float64]


@dataclass(slots=True)
class OwnModel:
    """A function or object of the user's, and the sizes that it serves."""

    serving: Serving
    given: Any  # `probabilities(obs)` or `scores(obs)`, as methods or as the function itself

    def numbers(self, name: str, obs: Observation) -> F64:
        """What it says of the candidates (B, C); ValueError for another shape."""
        width = self.serving.n_items if obs.candidates is None else obs.candidates.shape[1]
        said = np.asarray(getattr(self.given, name, self.given)(obs), np.float64)
        if said.shape != (len(obs), width):
            raise ValueError(
                f"{name}(observation) returned shape {said.shape}: return a number for each of "
                f"{width} candidates of each of {len(obs)} users, {(len(obs), width)}"
            )
        return said

    def scores(self, obs: Observation) -> F64:
        return self.numbers("scores", obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        learn = getattr(self.given, "update", None)
        return {} if learn is None else dict(learn(learning_log(log, self.serving)) or {})

    def saved(self) -> Saved:
        if isinstance(self.given, Savable):
            return Saved(inner=self.given)
        if not inspect.isfunction(self.given):
            raise ValueError(
                f"{type(self.given).__name__} cannot be saved: give it `saved()` and "
                "`from_saved(saved, serving)`, see policies.saved.Savable"
            )
        return Saved(config={"function": name_of(self.given, self.given.__name__)})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        if saved.inner is not None:
            return cls(serving, saved.inner)
        return cls(serving, imported_attribute(saved.config["function"]))


@dataclass(slots=True)
class Probabilities:
    """Slates whose first place has the probabilities given, and each next place the same among the
    items that are left (Plackett, 1975; Luce, 1959): exact for every slate."""

    model: OwnModel

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.model.serving

    def distribution(self, obs: Observation) -> PlackettLuce:
        """Raises ValueError for what are no probabilities, and where too few items have one."""
        p = self.model.numbers("probabilities", obs)
        wrong = ~np.isfinite(p) | (p < 0)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"probabilities[{row}, {column}] = {p[row, column]}: give finite numbers of at "
                "least 0; they are divided by their sum"
            )
        open_now = np.ones(p.shape, np.bool_) if obs.eligible is None else obs.eligible
        places = self.serving.slate_size
        few = ((p > 0) & open_now).sum(axis=1) < np.minimum(open_now.sum(axis=1), places)
        if few.any():
            row = int(np.argmax(few))
            raise ValueError(
                f"probabilities[{row}] are above 0 for {int((p[row] > 0).sum())} items, and a "
                f"slate has {places} places: give every item that may be shown some probability"
            )
        with np.errstate(divide="ignore"):
            return PlackettLuce(masked(np.log(p), obs.eligible), places)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Hand the log to the model's own `update`, where it has one."""
        return self.model.update(log)

    def saved(self) -> Saved:
        return Saved(inner=self.model)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(saved.inner)


def from_probabilities(function: Callable[[Observation], Any], serving: Serving) -> Probabilities:
    """The policy of `probabilities(observation)`, an array (B, C) over the candidates."""
    return Probabilities(OwnModel(serving, function))


def as_policy(made: Any, serving: Serving) -> Policy:
    """A policy of whatever was made: one of the whole protocol as it is, or of what has
    `probabilities(obs)` or `scores(obs)`, and perhaps `update(log)`.

    Raises ValueError, which says what is missing.
    """
    if hasattr(made, "distribution"):
        missing = [name for name in ("serving", "update") if not hasattr(made, name)]
        if missing:
            raise ValueError(f"{type(made).__name__} has no {' and no '.join(missing)}: {NEEDS}")
        check_same_world(made.serving, serving)
        return made  # type: ignore[no-any-return]
    if hasattr(made, "probabilities"):
        return Probabilities(OwnModel(serving, made))
    if hasattr(made, "scores"):
        return ScorePolicy(OwnModel(serving, made), Exploration())
    raise ValueError(f"{type(made).__name__} is no policy: {NEEDS}")


NEEDS = (
    "a policy has `serving`, `distribution(obs)` and `update(log)`, or only `probabilities(obs)` "
    "or `scores(obs)`, an array (B, C) over the candidates"
)


def builder_of(thing: Any) -> Callable[..., Policy]:
    """`builder(serving, **settings)` of a builder, a class, a policy, or a bare function
    `probabilities(observation)`: a function whose first parameter is `serving` is a builder."""
    if not callable(thing):
        return lambda serving: as_policy(thing, serving)
    try:
        names = list(inspect.signature(thing).parameters)
    except ValueError:
        names = []
    if not isinstance(thing, type) and names[:1] != ["serving"]:
        if len(names) != 1:
            raise ValueError(
                f"{getattr(thing, '__name__', thing)} takes {', '.join(names) or 'nothing'}: a "
                "builder's first parameter is `serving`, and probabilities(observation) has one"
            )
        return lambda serving: from_probabilities(thing, serving)

    @wraps(thing)
    def build(serving: Serving, **settings: Any) -> Policy:
        given = {"serving": serving} if "serving" in names else {}
        return as_policy(thing(**given, **settings), serving)

    declared: Any = build
    made_by: Any = vars(thing).get("__init__", build) if isinstance(thing, type) else thing
    declared.__annotations__ = {} if made_by is build else get_type_hints(made_by)
    return build

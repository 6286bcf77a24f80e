"""What a user model is: a handful of scalar functions about ONE user, and their constants."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from importlib.util import find_spec
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.columns import MOST_ITEMS, WIDEST, check_memory
from recsim_env.jit import njit

ROWS = ("n_items", "n_skills", "exercises")  # fields of configs: their product is the catalogue's
WIDTHS = ("n_topics", "n_dims", "n_advertisers", "n_skills")  # numbers that each item has

User: TypeAlias = Any  # one record of the users' structured array: kernel header + model's fields
World: TypeAlias = Any  # the model's NamedTuple of arrays and constants, the same for all users
Row: TypeAlias = Any  # one row of an array

Choice = Literal["multinomial_logit", "proportional", "independent"]

HEADER: list[tuple[str, str]] = [
    ("stream", "u8"),  # key of the slot; sessions derive theirs from it
    ("key", "u8"),  # of this session's random stream
    ("counter", "u8"),  # numbers drawn from the stream so far
    ("clock", "i8"),  # tick of the catalogue's calendar: what availability goes by
    ("session", "i8"),  # 0-based number of the session in this slot
    ("person", "i4"),  # row of the population that this user is, or -1
    ("group", "i4"),  # of those with rules of their own, or 0
    ("step", "i4"),  # decisions made in this session
    ("head", "i4"),  # where the history begins in its buffer
    ("watched", "f4"),  # minutes in this session
    ("enjoyed", "f4"),  # quality-weighted minutes in this session
]


class Span(NamedTuple):
    """Names of the entries of a vector and the finite bounds they stay inside."""

    names: tuple[str, ...]
    low: float | tuple[float, ...]
    high: float | tuple[float, ...]


NOTHING = Span((), 0.0, 0.0)
PLAIN_RESPONSES = Span(("click", "watch_time", "quality"), (0, 0, -100), (1, 1e4, 100))


class PlainWorld(NamedTuple):
    """What is the same for all users: the catalogue's columns (A,) and the config's numbers."""

    topics: NDArray[np.int32]
    vectors: NDArray[np.float32]  # (A, D)
    quality: NDArray[np.float32]
    length: NDArray[np.float32]
    clickbait: NDArray[np.float32]
    cfg: Any


def plain_world(config: Any, catalogue: Catalogue, population: Population | None) -> PlainWorld:
    """The world of users who are drawn by their model, not from a population."""
    if population is not None:
        name = type(config).__name__.removesuffix("Config")
        raise ValueError(f"{name} draws its users itself; drop the population")
    c = catalogue
    return PlainWorld(c.topics, c.vectors, c.quality, c.length, c.clickbait, constants(config))


@njit
def stays(user: User, world: World) -> bool:
    """Users stay until the session is cut off."""
    return False


@njit
def unseen(user: User, world: World, out: Row) -> None:
    """Nothing of the user is observed: the history is what the agent has."""


@njit
def one(user: User, world: World, item: int) -> float:
    """A click is worth 1."""
    return 1.0


@njit
def nothing(user: User, world: World) -> float:
    """Choosing nothing weighs, or is worth, nothing."""
    return 0.0


class Law(NamedTuple):
    """The exact law of a world of few states, for `oracles.dynamic`.

    S states, A kinds of item, O outcomes; action A, the last, is choosing nothing.
    """

    weight: NDArray[
        np.float64
    ]  # (S, A + 1) mass of each choice; its share of the slate's is its chance
    chance: NDArray[np.float64]  # (S, A + 1, O) of each outcome once chosen
    reward: NDArray[np.float64]  # (S, A + 1, O)
    after: NDArray[np.int64]  # (S, A + 1, O) the next state, or -1: the session ended
    start: NDArray[np.float64]  # (S,) where sessions begin
    kind: NDArray[np.int64]  # (items,) which of the A kinds an item is
    state: Callable[[Any], NDArray[np.int64]]  # user records (N,) -> states (N,)


class Functions(NamedTuple):
    """The compiled functions of a model, as the loops over users call them (see `UserModel`)."""

    sample: Callable[[User, World], None]
    respond: Callable[[User, World, Row, Row, Row, Row], int]
    advance: Callable[[User, World, int, Row], float]
    leaves: Callable[[User, World], bool]
    observe: Callable[[User, World, Row], None]
    score: Callable[[User, World, int], float]
    worth: Callable[[User, World, int], float]
    none: Callable[[User, World], float]
    plan: Callable[[User, World, int], float]
    plan_none: Callable[[User, World], float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UserModel:
    """One user model: a few scalar functions about one user, and how its world is built.

    All functions are `@njit`. `sample` draws who the user is at the session's start. `respond`
    chooses a position of the slate (or -1), writes what is observed of it into `response` (R,) and
    what each position pays into `paid` (K,). `advance` moves the user's state after it and returns
    reward that no position earned. `leaves` says whether the session ends now. `observe` writes
    what the agent may see of the user. `score` and `worth`, for oracles: the choice score of an
    item now, and its expected immediate reward once chosen; `none` is the score of choosing
    nothing. `plan` and `plan_none` look ahead: worth plus a guess of what the choice does to
    later reward.
    """

    config: type  # a frozen dataclass whose number fields reach the functions as `world.cfg`
    catalogue: Callable[[Any], Catalogue]  # config -> the catalogue when none is given
    fields: Callable[[Any, Catalogue], list[tuple[Any, ...]]]  # dtype of the user's own state

    sample: Callable[[User, World], None]
    score: Callable[[User, World, int], float]
    respond: Callable[[User, World, Row, Row, Row, Row], int]
    advance: Callable[[User, World, int, Row], float]
    leaves: Callable[[User, World], bool] = stays
    observe: Callable[[User, World, Row], None] = unseen
    worth: Callable[[User, World, int], float] = one
    none: Callable[[User, World], float] = nothing
    plan: Callable[[User, World, int], float] | None = None  # None: the worth
    plan_none: Callable[[User, World], float] = nothing

    world: Callable[[Any, Catalogue, Population | None], Any] = plain_world
    features: Callable[[Catalogue], NDArray[np.float32]] = Catalogue.one_hot_topics  # (A, F) shown
    choice: Choice = "multinomial_logit"  # how scores become probabilities
    responses: Span = PLAIN_RESPONSES
    user: Callable[[Any, Catalogue], Span] = field(default=lambda config, catalogue: NOTHING)
    defaults: Mapping[str, int | None] = field(default_factory=dict)  # of the environment
    tabular: Callable[[Any, Catalogue], Law] | None = None  # exact law, where states are few
    most_topics: int | None = None  # that its users know of

    def functions(self) -> Functions:
        """The compiled functions; without a look ahead the plan is the worth."""
        given = {name: getattr(self, name) for name in Functions._fields}
        return Functions(**given | {"plan": self.plan or self.worth})


def check_inside(config: Any, low: float, high: float, *names: str) -> None:
    """Raise ValueError naming the first of these fields of a config that is outside low..high."""
    for name in names:
        value = getattr(config, name)
        if value != value:
            raise ValueError(f"{name} = {value} in {type(config).__name__}: give a number")
        if not low <= value <= high:
            raise ValueError(f"{name} = {value} must lie in {low:g}..{high:g}")


def check_config(config: Any, of: type | None = None) -> None:
    """Raise ValueError naming the first field of a config that no world can have: declared a
    number and not a finite one, declared a whole number and not one, or declared true or false and
    neither. `of`: the config of the model that it is for."""
    where = type(config).__name__
    if of is not None and not isinstance(config, of):
        raise ValueError(f"config is a {where}: this model takes a {of.__name__}")
    for f in fields(config):
        value, whole = getattr(config, f.name), f.type in ("int", int)
        if f.type in ("bool", bool) and not isinstance(value, bool | np.bool_):
            raise ValueError(f"{f.name} = {value!r} in {where}: give true or false")
        if not (whole or f.type in ("float", float)):
            continue
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise ValueError(f"{f.name} = {value!r} in {where}: give a number, a finite one")
        if whole and not isinstance(value, Integral):
            raise ValueError(f"{f.name} = {value!r} in {where}: give a whole number")
        if whole and abs(int(value)) > WIDEST:
            raise ValueError(f"{f.name} = {value} in {where}: at most {WIDEST} in size")
    _check_sizes(config)


def _check_sizes(config: Any) -> None:
    """Raise ValueError where the catalogue that a config asks for does not fit into memory."""
    size = {name: float(getattr(config, name, 1)) for name in (*ROWS, *WIDTHS)}
    rows, width = math.prod(size[name] for name in ROWS), sum(size[name] for name in WIDTHS)
    fewer = f"lower {' or '.join(n for n in size if hasattr(config, n)) or 'its sizes'}"
    check_memory("the catalogue", 2.0 * rows * width, fewer, size=8)
    for name in size:
        if size[name] > MOST_ITEMS:
            raise ValueError(f"{name} = {size[name]:g}: at most {MOST_ITEMS}")


def constants(config: Any) -> Any:
    """The number fields of a config as one record, which compiled functions read by name.

    A field declared `float` is one even where 60 is given for 60.0: else the loops would be
    compiled anew for it, and divide otherwise. `check_config` has seen to it that they are numbers.
    """
    numbers = {f: getattr(config, f.name) for f in fields(config)}
    numbers = {f: v for f, v in numbers.items() if isinstance(v, Real | np.bool_)}
    whole = {f: isinstance(v, Integral | np.bool_) for f, v in numbers.items()}
    real = {f: not whole[f] or f.type in ("float", float) for f in numbers}
    dtype = [(f.name, "f8" if real[f] else "i8") for f in numbers]
    return np.array([tuple(numbers.values())], dtype=dtype)[0]


def user_dtype(model: UserModel, config: Any, catalogue: Catalogue) -> np.dtype[Any]:
    """One user's record: the model's own fields, then the kernel's.

    In this order no record is the beginning of another's, which numba would take for a subtype.
    """
    return np.dtype(model.fields(config, catalogue) + HEADER, align=True)


def load_model(name: str) -> UserModel:
    """The `MODEL` of a module; a name without a dot is one of recsim_env.users, else a module at
    the top level of the import path.

    Raises:
        ModuleNotFoundError: there is neither.
        TypeError: the module holds no UserModel of that name.
    """
    path = name
    if "." not in name:
        inside = f"recsim_env.users.{name}"
        found = next((x for x in (inside, name) if x in sys.modules or find_spec(x)), None)
        if found is None:
            raise ModuleNotFoundError(
                f"there is no user model {name!r}, neither {inside} nor a module {name} on the "
                "import path: give the module's dotted name, and run Python where it can be "
                "imported",
                name=name,
            )
        path = found
    model = getattr(import_module(path), "MODEL", None)
    if not isinstance(model, UserModel):
        raise TypeError(f"{path}.MODEL is a {type(model).__name__}, not a UserModel")
    return model

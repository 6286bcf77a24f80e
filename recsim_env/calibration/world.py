"""A fitted world: what rebuilds it, and its files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium
from numpy.typing import NDArray

from recsim_env.calibration.files import read_files, write_files
from recsim_env.catalogue import Catalogue, Population
from recsim_env.model import load_model
from recsim_env.vector import RecVectorEnv

SIZES = ("slate_size", "n_candidates", "history_length", "max_steps", "session_ticks", "offer")
COLUMNS = ("topics", "vectors", "quality", "length", "clickbait", "popularity")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedWorld:
    """A user model's config and arrays, and the sizes that it serves with unless told otherwise."""

    model: str  # of recsim_env.users
    config: Any  # that model's config
    catalogue: Catalogue
    population: Population
    serving: Mapping[str, Any] = field(default_factory=dict)  # parameters of RecVectorEnv

    def make_vec(self, num_envs: int, **parameters: Any) -> RecVectorEnv:
        """So many users of this world; `parameters` replace those it serves with."""
        return RecVectorEnv(num_envs, **self.parameters() | parameters)

    def parameters(self) -> dict[str, Any]:
        """What RecVectorEnv is made of."""
        parts = {"catalogue": self.catalogue, "population": self.population}
        return {"model": self.model, "config": self.config} | parts | dict(self.serving)

    def register(self, name: str) -> str:
        """Make `recsim_env/NAME-v0` of this world, for gymnasium.make and make_vec."""
        env_id = f"recsim_env/{name}-v0"
        gymnasium.register(
            env_id,
            entry_point="recsim_env.single:RecEnv",
            vector_entry_point="recsim_env.vector:RecVectorEnv",
            kwargs=self.parameters(),
            disable_env_checker=True,
            order_enforce=False,
        )
        return env_id

    def named(self, names: tuple[str, ...]) -> FittedWorld:
        """The same world, its items known by these names (A,)."""
        return replace(self, catalogue=replace(self.catalogue, names=names))

    def save(self, folder: Path) -> None:
        """Write config.json and arrays.npz: a reader finds the world that was there or this one.

        Raises ValueError on a catalogue with windows or groups, which the files do not keep.
        """
        c, p = self.catalogue, self.population
        if c.ruled:
            raise ValueError("windows and groups are not saved: add them to what `load` returns")
        arrays: dict[str, NDArray[Any]] = {name: getattr(c, name) for name in COLUMNS}
        arrays |= {f"column {name}": column for name, column in c.columns.items()}
        arrays |= {f"trait {name}": trait for name, trait in p.traits.items()}
        arrays["interests"] = p.interests
        if p.first_items is not None:
            arrays["first_items"] = p.first_items
        if p.first_responses is not None:
            arrays["first_responses"] = p.first_responses
        said = {"model": self.model, "serving": dict(self.serving), "n_topics": c.n_topics}
        write_files(folder, said | {"names": c.names, "config": asdict(self.config)}, arrays)

    @classmethod
    def load(cls, folder: Path) -> FittedWorld:
        """Read what `save` wrote.

        Raises FileNotFoundError naming a missing file, and ValueError for one that was altered.
        """
        meta, parts = read_files(folder)
        try:
            return cls._made(meta, parts)
        except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
            raise ValueError(
                f"{folder} was altered, or is of another version: its world cannot be made "
                f"({type(error).__name__}: {error})"
            ) from error

    @classmethod
    def _made(cls, meta: Mapping[str, Any], parts: Mapping[str, NDArray[Any]]) -> FittedWorld:
        columns = {n.removeprefix("column "): a for n, a in parts.items() if n[:7] == "column "}
        traits = {n.removeprefix("trait "): a for n, a in parts.items() if n[:6] == "trait "}
        plain: dict[str, Any] = {name: parts[name] for name in COLUMNS}
        names = None if meta["names"] is None else tuple(meta["names"])
        _check_named(meta)
        return cls(
            model=meta["model"],
            config=load_model(meta["model"]).config(**meta["config"]),
            catalogue=Catalogue(n_topics=meta["n_topics"], columns=columns, names=names, **plain),
            population=Population(
                interests=parts["interests"],
                first_items=parts.get("first_items"),
                first_responses=parts.get("first_responses"),
                traits=traits,
            ),
            serving=meta["serving"],
        )


def _check_named(meta: Mapping[str, Any]) -> None:
    """Raise ValueError where a world's settings name a module that nobody imported, or sizes that
    no world has: a saved folder may come from anybody."""
    model, serving = meta["model"], meta["serving"]
    if not isinstance(model, str) or not (model.isidentifier() or model in sys.modules):
        raise ValueError(f"model = {model!r}: import the module of your own users before `load`")
    unknown = sorted(set(serving) - {*SIZES, "on_invalid", "penalty", "threads"})
    if unknown:
        raise ValueError(f"the world serves with {unknown[0]!r}: sizes are {', '.join(SIZES)}")

"""The file of a sweep: a command, settings of every run, and the lists that are gone through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from experiments.options.files import check_keys, read_yaml
from experiments.sweeps.swept import command_named, settings_for

KEYS = ("command", "settings", "over")
FORM = """\
command: compare          # or train-policy
settings:                 # of every run
  log_sessions: 2000
over:                     # every combination of these
  env: [recsim_env/Longplay-v0, recsim_env/InterestEvolution-v0]
  seed: [0, 1, 2]"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a sweep."""

    nth: int
    over: dict[str, Any]  # its values of what is gone through, by key
    settings: Any  # of its command

    @property
    def name(self) -> str:
        """Its folder's and its stage's name."""
        said = "-".join(f"{k}={v}" for k, v in self.over.items())
        return f"{self.nth:03d}-{re.sub(r'[^A-Za-z0-9_.=+-]+', '-', said)[:100]}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All runs of a sweep."""

    command: str
    over: tuple[str, ...]  # keys that are gone through, the seed last
    cells: tuple[Cell, ...]


def read_plan(file: Path) -> Plan:
    """The runs that a file of a sweep asks for; each one's settings are checked.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a key that is not there, a list that is none, settings that are refused.
    """
    read = read_yaml(file)
    check_keys(file, read, KEYS, "a sweep", FORM)
    command = command_named(read.get("command", "compare"))
    fixed, over = _mapping(file, read, "settings"), _mapping(file, read, "over")
    if not over:
        raise ValueError(f"{file}: over is empty; name what is gone through:\n{FORM}")
    for key, values in over.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{file}: over: {key} is {values!r}; write a list, such as [0, 1, 2]")
        if len({repr(value) for value in values}) < len(values):
            raise ValueError(f"{file}: over: {key} names a value twice: {values}")
    if both := sorted(set(fixed) & set(over)):
        raise ValueError(f"{file}: {', '.join(both)} is in settings and in over; keep one")
    keys = sorted(over, key=lambda key: key == "seed")  # runs of one setting stand together
    cells = []
    for nth, values in enumerate(product(*(over[key] for key in keys))):
        mine = dict(zip(keys, values, strict=True))
        cells.append(Cell(nth, mine, settings_for(command, fixed | mine, str(file))))
    return Plan(command, tuple(keys), tuple(cells))


def _mapping(file: Path, read: dict[str, Any], key: str) -> dict[str, Any]:
    value = read.get(key) or {}
    if not isinstance(value, dict):
        raise ValueError(f"{file}: {key} is {value!r}; write\n{FORM}")
    return {str(k).replace("-", "_"): v for k, v in value.items()}

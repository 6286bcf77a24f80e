"""The file of a tuning: a command, settings of every run, and what is searched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.options.files import check_keys, read_yaml
from experiments.sweeps.swept import SWEPT, command_named, settings_for

KEYS = ("command", "settings", "search", "measure", "row", "seeds")
RANGE = ("low", "high", "log", "step")
FORM = """\
command: train-policy     # or compare
settings: {policy: ppo, rounds: 5}
search:
  policy.learning_rate: {low: 1.0e-5, high: 1.0e-2, log: true}
  policy.gamma: [0.9, 0.99, 0.995]
measure: value            # of its table; the highest is the best
seeds: [0, 1]             # every trial is the mean over these"""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two bounds, both included; whole ones where the bounds are whole."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What a tuning tries."""

    command: str
    settings: dict[str, Any]
    space: dict[str, Range | tuple[Any, ...]]
    measure: str
    row: str | None  # the policy of compare whose measure counts; None: there is one
    seeds: tuple[int, ...]

    def run_settings(self, params: dict[str, Any], seed: int, source: str) -> Any:
        """Of one run; ValueError for settings that are refused."""
        return settings_for(self.command, self.settings | params | {"seed": seed}, source)


def read_search(file: Path) -> Search:
    """Read and check the file of a tuning.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a key that is not there, a range that is none, a measure that there is not.
    """
    read = read_yaml(file)
    check_keys(file, read, KEYS, "a tuning", FORM)
    command = command_named(read.get("command", "train-policy"))
    settings, space = read.get("settings") or {}, read.get("search") or {}
    if not isinstance(settings, dict) or not isinstance(space, dict) or not space:
        raise ValueError(
            f"{file}: settings and search are mappings, and search is not empty:\n{FORM}"
        )
    measures = SWEPT[command].measures
    measure = read.get("measure", measures[0])
    if measure not in measures:
        raise ValueError(f"{file}: measure is {measure!r}; there are {', '.join(measures)}")
    seeds = read.get("seeds", [0])
    if not isinstance(seeds, list) or not seeds or not all(type(s) is int for s in seeds):
        raise ValueError(
            f"{file}: seeds is {seeds!r}; write a list of whole numbers, such as [0, 1]"
        )
    if both := sorted(set(space) & set(settings)):
        raise ValueError(f"{file}: {', '.join(both)} is in settings and in search; keep one")
    if "seed" in {*space, *settings}:
        raise ValueError(f"{file}: seed is not searched or set; name several with seeds: [0, 1]")
    ranges = {str(key): _space(file, str(key), value) for key, value in space.items()}
    row = read.get("row")
    search = Search(command, settings, ranges, measure, row, tuple(seeds))
    for end in (0, -1):  # both ends of every range are settings that the command takes
        search.run_settings({k: _end(v, end) for k, v in ranges.items()}, seeds[0], str(file))
    return search


def _space(file: Path, key: str, value: Any) -> Range | tuple[Any, ...]:
    where = f"{file}: search: {key}"
    if isinstance(value, list) and value:
        return tuple(value)
    if not isinstance(value, dict) or not {"low", "high"} <= value.keys() <= {*RANGE}:
        raise ValueError(
            f"{where} is {value!r}; write a list of choices, or {{low: 1.0e-5, high: 1.0e-2, log: "
            "true}, with step for a grid"
        )
    low, high, step = (_number(where, name, value.get(name)) for name in ("low", "high", "step"))
    if low is None or high is None or not low < high:
        raise ValueError(f"{where}: low {low} must be below high {high}")
    log = value.get("log", False)
    if not isinstance(log, bool) or (log and (low <= 0 or step is not None)):
        raise ValueError(f"{where}: log is true or false, true needs low above 0 and no step")
    if step is not None and not step > 0:
        raise ValueError(f"{where}: step is {step}; it must be above 0")
    return Range(low, high, log, step)


def _number(where: str, name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = value if type(value) is int else float(value)
        if abs(number) < float("inf"):
            return number
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{where}: {name} is {value!r}; it takes a finite number")


def _end(space: Range | tuple[Any, ...], end: int) -> Any:
    if isinstance(space, Range):
        return (space.low, space.high)[end]
    return space[end]

"""What is fuzzed: each registry of the project, and how often its turn comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple

from experiments.reliability.fuzz.calls import Target

HERE = "experiments.reliability.fuzz.parts"


class Part(NamedTuple):
    """A module with `targets()`, and its calls among as many of every part together."""

    module: str
    turns: int

    def targets(self) -> list[Target]:
        made: Callable[[], list[Target]] = import_module(self.module).targets
        return made()


PARTS: dict[str, Part] = {
    "policies": Part(f"{HERE}.choices", 6),
    "rules": Part(f"{HERE}.rules", 1),
    "encoders": Part(f"{HERE}.sequences", 2),
    "worlds": Part(f"{HERE}.worlds", 2),
    "estimators": Part(f"{HERE}.evidence", 4),
    "logs": Part(f"{HERE}.verdicts", 2),
    "serving": Part(f"{HERE}.live", 2),
    "commands": Part(f"{HERE}.commands", 1),
}


def check_parts(parts: Sequence[str]) -> None:
    """Raise ValueError for a part that there is not."""
    unknown = sorted(set(parts) - PARTS.keys())
    if unknown:
        raise ValueError(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")


def targets_of(parts: Sequence[str]) -> dict[str, list[Target]]:
    """The targets of each part."""
    return {name: PARTS[name].targets() for name in dict.fromkeys(parts)}


def turn_of(index: int, targets: dict[str, list[Target]]) -> tuple[str, Target]:
    """The part and target of a call: each part has its turns, and each target of it in turn."""
    wheel = [(name, turn) for name in targets for turn in range(PARTS[name].turns)]
    rounds, slot = divmod(index, len(wheel))
    name, turn = wheel[slot]
    nth = rounds * PARTS[name].turns + turn
    return name, targets[name][nth % len(targets[name])]

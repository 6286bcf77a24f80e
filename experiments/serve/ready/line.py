"""A line of a checklist: whether it holds, and what shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Stage = Literal["pre-production", "production"]
Finding = tuple[bool | None, str]  # None: not known; the proof
MARKS = {True: "✓", False: "✗", None: "?"}
WORDS = {True: "holds", False: "does not hold", None: "not known"}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that must hold."""

    stage: Stage
    name: str  # short, for --waive
    what: str
    holds: bool | None
    proof: str  # the number, file or command that shows it
    fix: str  # what makes it hold, or known
    waived: bool = False

    @property
    def stops(self) -> bool:
        """Whether it keeps a release back."""
        return not self.holds and not self.waived


def check(stage: Stage, name: str, what: str, fix: str, find: Callable[[], Finding]) -> Line:
    """The line of a check; what it raises for bad files and servers is its proof that the line
    does not hold."""
    try:
        holds, proof = find()
    except (ValueError, OSError, ImportError) as error:
        holds, proof = False, str(error)
    return Line(stage, name, what, holds, proof, "" if holds else fix)


def text_of(lines: Sequence[Line]) -> str:
    """The checklists, and what is left to do."""
    parts = []
    for stage in dict.fromkeys(line.stage for line in lines):
        own = [line for line in lines if line.stage == stage]
        held = sum(line.holds is True for line in own)
        parts += [f"{stage}: {held} of {len(own)} hold", ""]
        width = max(len(line.name) for line in own)
        for line in own:
            waived = " (waived)" if line.waived else ""
            parts.append(f"  {MARKS[line.holds]} {line.name:<{width}}  {line.what}{waived}")
            parts.append(f"    {'':<{width}}  {line.proof}")
            if line.stops:
                parts.append(f"    {'':<{width}}  -> {line.fix}")
        parts.append("")
    left = [line.name for line in lines if line.stops]
    parts.append("ready" if not left else f"NOT READY: {', '.join(left)}")
    return "\n".join(parts)


def record_of(lines: Sequence[Line]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "ready": not any(line.stops for line in lines),
        "lines": [
            {
                "stage": line.stage,
                "name": line.name,
                "what": line.what,
                "state": WORDS[line.holds],
                "waived": line.waived,
                "proof": line.proof,
                "fix": line.fix,
            }
            for line in lines
        ],
    }

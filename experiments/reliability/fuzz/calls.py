"""One fuzzed call: what is called with what, and whether it kept the promise."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator

from experiments.reliability.fuzz.odd import Arguments, Made, made, spoiled

REFUSALS = (ValueError, TypeError, OSError, ImportError)  # and what a target names
LONGEST = 160  # characters of an argument that is told


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Target:
    """An entry of a registry, or a function, that is fuzzed.

    given: valid arguments; call: takes them, some of them odd. check: what is wrong with an answer,
    or None. spared: arguments that stay as they are. refusals: what it may raise besides.
    """

    name: str
    given: Callable[[Generator], Arguments]
    call: Callable[..., Any]
    check: Callable[[Any], str | None] = lambda answer: None
    spared: frozenset[str] = frozenset()
    refusals: tuple[type[Exception], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a call. outcome: answered, refused, or the kind of a fault."""

    target: str  # part and name
    outcome: str
    says: str = ""
    arguments: str = ""

    @property
    def fault(self) -> bool:
        return self.outcome not in ("answered", "refused")


def perform(target: Target, rng: Generator) -> Told:
    """Make a call, and judge what comes of it."""
    arguments: Mapping[str, Any] = {}
    try:
        arguments = spoiled(target.given(rng), rng, spared=target.spared)
        answer = target.call(**{name: made(value) for name, value in arguments.items()})
    except Exception as error:  # noqa: BLE001  (it is what is looked for)
        if isinstance(error, MemoryError):
            return _fault(target, "memory", error, arguments)
        if not isinstance(error, (*REFUSALS, *target.refusals)):
            return _fault(target, "traceback", error, arguments)
        if str(error).strip():
            return Told(target.name, "refused", f"{type(error).__name__}: {error}"[:LONGEST])
        return _fault(target, "no message", error, arguments)
    wrong = target.check(answer)
    if wrong is not None:
        return Told(target.name, "wrong answer", wrong, shown(arguments))
    return Told(target.name, "answered")


def _fault(target: Target, kind: str, error: Exception, arguments: Mapping[str, Any]) -> Told:
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{'/'.join(frames[-1].filename.split('/')[-3:])}:{frames[-1].lineno}"
    ours = next((f for f in reversed(frames) if "site-packages" not in f.filename), frames[-1])
    at = f"{'/'.join(ours.filename.split('/')[-3:])}:{ours.lineno}"
    says = f"{type(error).__name__}: {str(error)[:LONGEST]} at {at}"
    return Told(target.name, kind, says if at == where else f"{says} ({where})", shown(arguments))


def shown(arguments: Mapping[str, Any]) -> str:
    """Arguments in one line."""
    return ", ".join(f"{name}={_one(value)}" for name, value in arguments.items())


def _one(value: Any) -> str:
    if isinstance(value, Made):
        name = getattr(value.cls, "__qualname__", "")
        return f"{name}({shown(value.given)})"
    if isinstance(value, np.ndarray):
        text = np.array2string(value, threshold=12, edgeitems=2).replace("\n", "")
        return f"{value.dtype}{list(value.shape)} {text}"[:LONGEST]
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  (an example only)
        text = f"<{type(value).__name__}: no repr, {error}>"
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return short.encode("ascii", "backslashreplace").decode()

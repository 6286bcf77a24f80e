"""What is kept of a rollout in its registry's folder: a process that is killed loses nothing.

rollout.json    where the rollout is, and a step that is under way
rollout.jsonl   every step that was made, of all rollouts, with the numbers that it saw

A step that moves the pointer is first written into rollout.json as an intent; then the pointer is
moved; then its line is written, with which it counts as made; then rollout.json says where that
led. Whoever loads the journal goes by the last line where rollout.json is one step behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from offpolicy.storage.claims import held
from serving.contracts.fields import (
    ContractError,
    check,
    from_json,
    label,
    many,
    maybe,
    named,
    number,
    of,
    positive,
    text,
    to_json,
    whole,
)
from serving.contracts.nesting import inner, sentences
from serving.joining.rule import JoinRule
from serving.registry.durable import (
    append_line,
    last_line,
    last_line_where,
    whole_lines,
    write_durably,
)
from serving.rollout.actions import Action, Step
from serving.rollout.rule import RolloutRule
from serving.rollout.state import RolloutState, check_state
from serving.rollout.window import Window

STATE, STEPS, LOCK = "rollout.json", "rollout.jsonl", ".rollout.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A step of a rollout, and the numbers that it saw."""

    rollout: str = of(text)
    nth: int = of(whole)  # step of the rollout, from 1
    time: float = of(number)  # s
    by: str = of(text)
    state: RolloutState = of(inner(RolloutState))  # noqa: RUF009  (after it)
    actions: tuple[Action, ...] = of(many(inner(Action)), ())
    reason: str = of(sentences, "")
    revision: int = of(whole)  # of the pointer: an intent's before it, else after it
    window: Window | None = of(maybe(inner(Window)), None)  # noqa: RUF009
    ended: str | None = of(maybe(sentences), None)  # how, with this step

    def __post_init__(self) -> None:
        check(self)

    @property
    def step(self) -> Step:
        """What it was."""
        return Step(state=self.state, actions=self.actions, reason=self.reason)

    def to_json(self) -> bytes:
        """One line."""
        return to_json(self, "rollout_made")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Made:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "rollout_made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A rollout: its rule, where it is, and what is under way."""

    rollout: str = of(text)
    rule: RolloutRule = of(inner(RolloutRule))  # noqa: RUF009
    window: float = of(positive)  # of the join, with its windows and reward
    windows: Mapping[str, float] = of(named(positive))
    reward: Mapping[str, float] = of(named(number))
    live: str = of(text)  # the version that control gets
    salt: str = of(text)
    read: Mapping[str, int] = of(named(whole))  # of each writer, the events before it began
    by: str = of(text)
    why: str = of(label, "")
    state: RolloutState = of(inner(RolloutState))  # noqa: RUF009
    steps: int = of(whole, 0)  # that were made
    revision: int = of(whole)  # of the pointer after the last one
    intent: Made | None = of(maybe(inner(Made)), None)  # noqa: RUF009
    ended: str | None = of(maybe(sentences), None)  # how; null while it goes on

    def __post_init__(self) -> None:
        check(self)
        try:
            check_state(self.state, self.rule)
        except ContractError as error:
            raise error.within("state") from None

    @property
    def join(self) -> JoinRule:
        """How outcomes are counted."""
        return JoinRule(window=self.window, windows=self.windows, reward=self.reward)

    def to_json(self) -> bytes:
        """The file's content."""
        return to_json(self, "rollout_record")


class Journal:
    """The files in the registry's folder. Who changes them holds `locked`."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the journal meanwhile; others wait."""
        lock = self.folder / LOCK
        lock.touch()
        with held(lock, wait=True) as alone:
            if not alone:
                raise OSError(f"{lock} cannot be locked: its file system knows no locks")
            yield

    def load(self) -> Record | None:
        """The last rollout, as far as it went; None where there was none.

        Raises ContractError, which names the file, for one that is damaged.
        """
        file = self.folder / STATE
        try:
            record = from_json(Record, file.read_bytes(), "rollout_record")
        except FileNotFoundError:
            return None
        except ContractError as error:
            raise ContractError(
                f"{file} is damaged: {error}. What serves does not need it: longplay release "
                "rollback stops a canary; then move the file away"
            ) from None
        last = self.last()
        if last is not None and last.rollout == record.rollout and last.nth > record.steps:
            record = after(record, last)  # its writer was killed between both files
        return record

    def made(self) -> list[Made]:
        """Every step, the oldest first; a piece of a line at the end is left out.

        Raises ContractError, which names the file and the line, for one that is damaged.
        """
        try:
            content = (self.folder / STEPS).read_bytes()
        except FileNotFoundError:
            return []
        lines = enumerate(whole_lines(content).splitlines(), 1)
        return [self._read(line, f"at line {nth}") for nth, line in lines]

    def keep(self, record: Record) -> Record:
        """Write where a rollout is, or an intent."""
        write_durably(self.folder / STATE, record.to_json() + b"\n")
        return record

    def commit(self, record: Record, made: Made) -> Record:
        """A step was made: its line, then where that led."""
        last = self.last()
        if last is None or (last.rollout, last.nth) != (made.rollout, made.nth):
            append_line(self.folder / STEPS, made.to_json())
        return self.keep(after(record, made))

    def last(self) -> Made | None:
        """The last step that was made. Raises ContractError, which names the file."""
        line = last_line(self.folder / STEPS)
        return None if line is None else self._read(line, "in its last line")

    def last_before(self, time: float) -> Made | None:
        """The last step made until then (s). Raises ContractError, which names the file."""
        where = "in a line before its last one"
        line = last_line_where(self.folder / STEPS, lambda x: self._read(x, where).time <= time)
        return None if line is None else self._read(line, where)

    def _read(self, line: bytes, where: str) -> Made:
        try:
            return Made.from_json(line)
        except ContractError as error:
            raise ContractError(
                f"{self.folder / STEPS} is damaged {where}: {error}. Move the file away: the "
                "rollout goes on by rollout.json"
            ) from None


def after(record: Record, made: Made) -> Record:
    """Where a step led."""
    return replace(
        record,
        state=made.state,
        steps=made.nth,
        revision=made.revision,
        intent=None,
        ended=made.ended,
    )


def as_dict(message: Made | Record) -> dict[str, Any]:
    """For a program to read."""
    known: dict[str, Any] = json.loads(message.to_json())
    return known

"""Steps are carried out: each intent is written, then the pointer is moved, then the step counts.

What a killed process left under way is finished or undone by whoever looks next, and whatever a
person did to the pointer meanwhile stands: then the rollout ends as superseded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from serving.contracts.fields import LONGEST
from serving.contracts.nesting import MOST_SAID
from serving.registry.pointer import Change, Pointer, PointerMovedError
from serving.registry.registry import Registry
from serving.rollout.actions import ALERT, PROMOTE, ROLLBACK, SHADOW, Action, Step
from serving.rollout.journal import Journal, Made, Record
from serving.rollout.state import RolloutState
from serving.rollout.window import Window


@dataclass(frozen=True, slots=True)
class Hands:
    """What steps are carried out with."""

    registry: Registry
    journal: Journal
    clock: Callable[[], float]


class Settled(NamedTuple):
    """A rollout of which nothing is under way."""

    record: Record
    ended: Step | None  # the step by which somebody else ended it just now


def carry_out(
    hands: Hands, record: Record, step: Step, window: Window | None, by: str
) -> tuple[Record, Step]:
    """Make a step, and return where that led: elsewhere, where somebody moves the pointer at the
    same time. For the holder of the journal's lock."""
    made = Made(
        rollout=record.rollout, nth=record.steps + 1, time=hands.clock(), by=by, state=step.state,
        actions=step.actions, reason=step.reason, revision=record.revision, window=window,
        ended=_end_of(step.state),
    )  # fmt: skip
    if not _moves(made):
        return hands.journal.commit(record, made), step
    record = hands.journal.keep(replace(record, intent=made))
    try:
        return _finish(hands, record, made, done=0), step
    except PointerMovedError:
        settled = settle(hands, record)
        at_last = step if settled.record.steps == made.nth else _nothing(settled.record)
        return settled.record, settled.ended or at_last
    except ValueError as error:  # the version is damaged: it cannot be served to more users
        if made.nth == 1 or _is_back(made):
            raise
        return _held(hands, record, made, str(error))


def _held(hands: Hands, record: Record, made: Made, why: str) -> tuple[Record, Step]:
    """A step forward that the registry refused: it stays where it is, and a person is asked. What
    must stop it still does."""
    reason = f"held, cannot go forward: {why}"[:MOST_SAID]
    state = replace(record.state, phase="held", before="", looked=made.state.looked, reason=reason)
    step = Step(state=state, actions=(Action(kind=ALERT, text=reason),), reason=reason)
    made = replace(made, state=state, actions=step.actions, reason=reason, ended=None)
    return hands.journal.commit(replace(record, intent=None), made), step


def settle(hands: Hands, record: Record) -> Settled:
    """Finish or undo what is under way, and see whether the pointer is still the rollout's. For the
    holder of the journal's lock.

    A way back, a person's word and the first step are finished; a step forward that did not reach
    the pointer is undone, since the numbers that it saw may be old: the next look decides anew.
    """
    if record.intent is not None:
        try:
            settled = _settle_intent(hands, record, record.intent)
        except PointerMovedError:
            return settle(hands, record)
        if settled.ended is not None or settled.record.ended is not None:
            return settled
        record = settled.record
    pointer = hands.registry.pointer()
    if not _is_ours(pointer, record):  # also at the same revision: of a journal from elsewhere
        return _superseded(hands, record, pointer)
    if pointer.revision != record.revision:
        record = hands.journal.keep(replace(record, revision=pointer.revision))
    return Settled(record, None)


def _settle_intent(hands: Hands, record: Record, intent: Made) -> Settled:
    pointer, moves = hands.registry.pointer(), _moves(intent)
    since = [one for one in hands.registry.history() if one.revision > intent.revision]
    done = _done(intent, since)
    if done == len(moves):
        made = replace(intent, revision=since[done - 1].revision)
        return Settled(hands.journal.commit(record, made), None)
    if done:
        if done < len(since):
            return _superseded(hands, record, pointer)
        return Settled(_finish(hands, record, intent, done=done), None)
    begins = intent.nth == 1
    if not (_is_free(pointer, record) if begins else _is_ours(pointer, record)):
        return _superseded(hands, record, pointer)
    intent = replace(intent, revision=pointer.revision)
    if _is_back(intent):
        return Settled(_finish(hands, record, intent, done=0), None)
    if begins:
        return _begun(hands, record, intent)
    undone = replace(record, intent=None, revision=pointer.revision)
    return Settled(hands.journal.keep(undone), None)


def _begun(hands: Hands, record: Record, intent: Made) -> Settled:
    """The first step, which was under way; the rollout ends where its version cannot be served."""
    try:
        return Settled(_finish(hands, record, intent, done=0), None)
    except PointerMovedError:
        raise
    except ValueError as error:
        reason = f"did not begin: {error}"
        state = replace(record.state, phase="rolled_back", weight=0.0, reason=reason)
        step = Step(state=state, reason=reason)
        made = replace(intent, state=state, actions=(), reason=reason, ended=reason)
        return Settled(hands.journal.commit(record, made), step)


def _finish(hands: Hands, record: Record, intent: Made, *, done: int) -> Record:
    """Move the pointer as far as it is not moved yet, and count the step."""
    revision = intent.revision + done
    for nth, action in enumerate(_moves(intent)[done:], done):
        revision = _move(hands.registry, record, action, revision, _why(intent, nth), intent.by)
    return hands.journal.commit(record, replace(intent, revision=revision))


def _move(
    registry: Registry, record: Record, action: Action, expect: int, why: str, by: str
) -> int:
    """Move the pointer, once; its revision after that."""
    version, now = record.state.version, registry.pointer()
    if action.kind == SHADOW:
        return registry.shadow(version, by=by, why=why, expect=expect).revision
    if action.kind == PROMOTE:
        return registry.promote(version, by=by, why=why, expect=expect).revision
    if action.kind == ROLLBACK:
        if now.canary == version:
            return registry.rollback(by=by, why=why, expect=expect).revision
        return registry.shadow(None, by=by, why=why, expect=expect).revision
    assert action.weight is not None
    if now.canary is not None:
        return registry.weigh(action.weight, by=by, why=why, expect=expect).revision
    return registry.canary(
        version,
        weight=action.weight,
        rollout=record.rollout,
        salt=record.salt,
        by=by,
        why=why,
        expect=expect,
    ).revision


def _done(intent: Made, since: list[Change]) -> int:
    """How many of an intent's moves the pointer made."""
    n = 0
    for change in since[: len(_moves(intent))]:
        if change.why != _why(intent, n):
            break
        n += 1
    return n


def _why(intent: Made, nth: int) -> str:
    """What the history says of a move: no other change says the same."""
    return f"{intent.rollout} step {intent.nth}.{nth}: {intent.reason}"[:LONGEST]


def _moves(made: Made) -> list[Action]:
    return [action for action in made.actions if action.kind != ALERT]


def _is_back(made: Made) -> bool:
    return any(action.kind == ROLLBACK for action in made.actions)


def _is_ours(pointer: Pointer, record: Record) -> bool:
    """Whether the pointer says what the rollout made of it."""
    state = record.state
    if pointer.live != record.live:
        return False
    if state.stage < 0:
        return (pointer.canary, pointer.shadow) == (None, state.version)
    of_canary = pointer.canary, pointer.rollout, pointer.weight
    return of_canary == (state.version, record.rollout, state.weight)


def _is_free(pointer: Pointer, record: Record) -> bool:
    """Whether the rollout can begin."""
    return pointer.live == record.live and pointer.canary is None


def _superseded(hands: Hands, record: Record, pointer: Pointer) -> Settled:
    """Somebody else moved the pointer, which stands."""
    live, change = pointer.live == record.state.version, pointer.change
    who, said = ("nobody known", "the pointer is another one") if change is None else (
        change.by, f"{change.action} by {change.by}" + (f": {change.why}" if change.why else ""),
    )  # fmt: skip
    reason = f"superseded: {said}"
    state = replace(
        record.state,
        phase="done" if live else "rolled_back",
        weight=1.0 if live else 0.0,
        before="",
        reason=reason,
    )
    alert = Action(kind=ALERT, text=f"the pointer was moved by hand; rollout {record.rollout} ends")
    step = Step(state=state, actions=(alert,), reason=reason)
    made = Made(
        rollout=record.rollout, nth=record.steps + 1, time=hands.clock(), by=who,
        state=state, actions=step.actions, reason=reason, revision=pointer.revision, ended=reason,
    )  # fmt: skip
    return Settled(hands.journal.commit(record, made), step)


def _end_of(state: RolloutState) -> str | None:
    return state.reason or state.phase if state.final else None


def _nothing(record: Record) -> Step:
    return Step(state=record.state, reason="the pointer moved meanwhile: looked at again next time")

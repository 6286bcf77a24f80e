"""Run by itself: forks controllers that are killed at every change that they make to the disk, and
others beside which a person moves the pointer at every point, and looks at what is left. Prints how
many there are of each; an AssertionError tells what that broke. With N, at every Nth alone, each
kind from another one on.

    python -m tests.serving.rollout.kills FOLDER [N]
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from serving import JoinRule, MemoryLog, Registry
from serving.registry.pointer import Change
from serving.rollout import carrying, controller, journal
from serving.rollout.actions import Action, Step
from serving.rollout.controller import Controller, order, start
from serving.rollout.journal import Journal, Made
from serving.rollout.reading import LiveReader
from serving.rollout.rule import RolloutRule
from serving.rollout.state import RolloutState
from serving.rollout.window import Window
from tests.serving.registry.factories import make_registry
from tests.serving.registry.kills import KILLED, PASSED_BY, Fault, forked

RULE = RolloutRule(stages=(0.05, 0.25, 1.0), least_seconds=0.0)
JOIN = JoinRule(reward={"liked": 1.0})
EVENTS = MemoryLog()
FORWARD, BACK = ("shadow", "canary", "weigh", "promote"), ("shadow", "canary", "rollback")
MOST = 200  # steps of a run


def forward(state: RolloutState, window: Window, rule: RolloutRule) -> Step:
    """One stage further at every look."""
    stage = state.stage + 1
    if stage == len(rule.stages) - 1:
        after = replace(state, phase="done", stage=stage, weight=1.0, reason="it is better")
        return Step(state=after, actions=(Action(kind="promote"),), reason="it is better")
    weight = rule.stages[stage]
    after = replace(state, phase="canary", stage=stage, weight=weight, reason="no harm")
    alert = Action(kind="alert", text="it goes on")
    return Step(state=after, actions=(alert, Action(kind="weigh", weight=weight)), reason="no harm")


def back(state: RolloutState, window: Window, rule: RolloutRule) -> Step:
    """From the first stage back."""
    if state.stage < 0:
        return forward(state, window, rule)
    after = replace(state, phase="rolled_back", weight=0.0, reason="it is worse")
    return Step(state=after, actions=(Action(kind="rollback"),), reason="it is worse")


def play(folder: Path, version: str) -> int:
    """Begin unless that was done, and look until the rollout has ended."""
    registry = Registry(folder)
    if Journal(folder).load() is None:
        start(registry, EVENTS, version, RULE, JOIN, by="ann")
    with Controller(registry, EVENTS) as one:
        while one.look() is not None:
            pass
    return PASSED_BY


def made_of(folder: Path) -> tuple[list[Change], list[Made]]:
    """Changes of the pointer since `a` is live, and steps of the one rollout."""
    record, made = Journal(folder).load(), Journal(folder).made()
    assert record is not None
    assert record.intent is None
    assert [one.nth for one in made] == list(range(1, len(made) + 1))
    assert {one.rollout for one in made} == {record.rollout}
    assert (made[-1].state, made[-1].ended) == (record.state, record.ended)
    assert [one.ended for one in made[:-1]] == [None] * (len(made) - 1)
    history = Registry(folder).history()
    assert [one.revision for one in history] == list(range(1, len(history) + 1))
    return history[1:], made


def killed_at_every_change(
    base: Path, folder: Path, version: str, decide: Any, points: range
) -> int:
    """Kill it a change later each time, and let another one go on."""
    controller.step, wanted = decide, FORWARD if decide is forward else BACK
    for at in points:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)

        def work(at: int = at) -> int:
            Fault(at, kill=True)
            return play(folder, version)

        _, status = os.waitpid(forked(work), 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (KILLED, PASSED_BY), code
        play(folder, version)
        changes, made = made_of(folder)
        assert tuple(one.action for one in changes) == wanted, (at, changes)
        assert [one.state.phase for one in made][-1] == made[-1].state.phase
        pointer = Registry(folder).pointer()
        assert (pointer.live == version) == (decide is forward)
        assert pointer.canary is pointer.shadow is None
        assert Journal(folder).load() is not None
        if code == PASSED_BY:
            return at
    raise AssertionError("it never ends")


POINTS: list[tuple[Any, str]] = [  # between which a person comes
    (carrying, "_move"),
    (carrying, "settle"),
    (journal, "append_line"),
    (Journal, "keep"),
    (Journal, "load"),
    (LiveReader, "window"),
]


def by_hand_at_every_point(
    base: Path, folder: Path, version: str, third: str, points: range
) -> int:
    """A person promotes another version before and after every point, once in each run."""
    controller.step = forward
    for at in points:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        left, undo = [at], list[Callable[[], None]]()

        def hand(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                Registry(folder).promote(third, by="bob", why="now")

        for where, name in POINTS:
            whole = getattr(where, name)
            undo.append(lambda where=where, name=name, whole=whole: setattr(where, name, whole))  # type: ignore[misc]
            setattr(where, name, _between(whole, hand))
        try:
            play(folder, version)
        finally:
            for one in undo:
                one()
        changes, made = made_of(folder)
        pointer = Registry(folder).pointer()
        if left[0] >= 0:  # nobody came
            assert pointer.live == version
            return at
        if changes[0].by == "bob":
            continue  # before it began, beside what bob made live
        after = changes[[one.by for one in changes].index("bob") :]
        assert pointer.live == third, (at, changes)
        assert [one.by for one in after] == ["bob"], (at, changes)
        assert pointer.canary is None
        ours = [one.action for one in changes if one.by != "bob"]
        assert ours == list(FORWARD[: len(ours)])
        ended = made[-1].ended or ""
        whole = ours == list(FORWARD)
        assert ("superseded: promote by bob: now" in ended) != whole, (at, ended)
    raise AssertionError("it never ends")


def _between(whole: Callable[..., Any], hand: Callable[[], None]) -> Callable[..., Any]:
    def call(*args: Any, **settings: Any) -> Any:
        hand()
        found = whole(*args, **settings)
        hand()
        return found

    return call


def held_and_resumed(base: Path, folder: Path, version: str) -> None:
    """A person's word is kept where nobody runs, and by a controller that runs."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder)
    controller.step = forward
    registry = Registry(folder)
    start(registry, EVENTS, version, RULE, JOIN, by="ann")
    with Controller(registry, EVENTS) as one:
        assert one.look() is not None
        assert order(registry, "hold", by="ann", why="lunch").state.phase == "held"
        controller.step = lambda state, window, rule: Step(state=state, reason=state.phase)
        step = one.look()
        assert step is not None
        assert step.reason == "held"
        assert order(registry, "resume", by="ann", why="back").state.phase == "canary"
        assert order(registry, "stop", by="ann", why="enough").state.phase == "rolled_back"
        assert one.look() is None
    changes, made = made_of(folder)
    assert [one.action for one in changes] == list(BACK)
    assert made[-1].ended == "rolled back by ann: enough"


def main(folder: Path, nth: int = 1) -> None:
    registry, (a, b, c) = make_registry(folder, 3)
    registry.promote(a, by="ann")
    copy = folder / "copy"
    held_and_resumed(registry.folder, copy, b)
    points = [range(first % nth, MOST, nth) for first in range(3)]
    print(killed_at_every_change(registry.folder, copy, b, forward, points[0]))
    print(killed_at_every_change(registry.folder, copy, b, back, points[1]))
    print(by_hand_at_every_point(registry.folder, copy, b, c, points[2]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

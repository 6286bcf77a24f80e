"""The controller of a rollout: it looks at the event log, decides, and moves the pointer."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Self

from policies.rules.constraints import Rule
from serving.answers import rules_of
from serving.contracts.fields import ContractError
from serving.events.log import EventReader
from serving.following.follower import Followed, ends_of
from serving.joining.rule import JoinRule
from serving.registry.changes import check_beside, who
from serving.registry.registry import Registry
from serving.registry.versions import Version, verify
from serving.rollout.actions import Step
from serving.rollout.beginning import begin, hold, resume, stop
from serving.rollout.carrying import Hands, carry_out, settle
from serving.rollout.journal import Journal, Record
from serving.rollout.lease import Lease
from serving.rollout.reading import MINUTES, LiveReader, Told
from serving.rollout.rule import RolloutRule
from serving.rollout.step import step

logger = logging.getLogger("serving")
Clock = Callable[[], float]
ORDERS = {"hold": hold, "resume": resume, "stop": stop}


class Controller:
    """Steps the rollout of a registry by what its event log says.

        start(registry, events, version, rule, join)
        with Controller(registry, events) as controller:
            while (step := controller.look()) is not None:
                print(step.reason)
                time.sleep(60)

    One at a time looks at a registry; it may be killed at any moment, and the next one goes on:
    all that it needs is in the registry's folder and in the event log.

    rules: of the policies, by which slates are audited (`serving.answers.rules_of`); None: those of
        the versions that the registry's pointer names, as far as they can be loaded. Where slates
        are served under others, it is not known whether they broke any, and nothing goes forward.
    clock: that of the event log, s.
    by: stands in the registry's history.
    minutes: whose decisions count for hard stops; more where there are few, or looks are rare.
    """

    def __init__(
        self,
        registry: Registry,
        events: EventReader,
        *,
        rules: Sequence[tuple[Rule, ...]] | None = None,
        by: str = "controller",
        clock: Clock = time.time,
        minutes: int = MINUTES,
    ) -> None:
        self.events, self.rules, self.by, self.clock = events, rules, by, clock
        self.minutes = minutes
        self.hands = Hands(registry, Journal(registry.folder), clock)
        self.lease = Lease(registry.folder, by)
        self.reader: LiveReader | None = None

    def __enter__(self) -> Self:
        self.lease.take()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another controller begin."""
        self.lease.give_back()

    def look(self) -> Step | None:
        """Look once, and do what follows; None where no rollout goes on.

        Raises ControllerRunsError where another controller runs, ContractError for a journal that
        is damaged, and what reading events or moving the pointer raises: then nothing was done, or
        it is finished or undone by the next look.
        """
        self.lease.take()
        record = self.hands.journal.load()
        if record is None or record.ended is not None:
            self.close()
            return None
        reader = self._reader(record)
        reader.read()  # before anybody has to wait
        with self.hands.journal.locked():
            record = self.hands.journal.load()
            if record is None or record.ended is not None:
                return None
            settled = settle(self.hands, record)
            record = settled.record
            if settled.ended is not None or record.ended is not None:
                return settled.ended or Step(state=record.state, reason=record.state.reason)
            state = record.state
            window = reader.window(self.clock(), weight=state.weight, since=state.since)
            found = step(state, window, record.rule)
            return carry_out(self.hands, record, found, window, self.by)[1]

    def _reader(self, record: Record) -> LiveReader:
        told = Told(record.rollout, record.state.version)
        if self.reader is None or self.reader.told != told:
            rules = _rules(self.hands.registry, record) if self.rules is None else self.rules
            self.reader = LiveReader(
                self.events, told, record.rule, record.join, read=record.read, rules=rules,
                minutes=self.minutes,
            )  # fmt: skip
        return self.reader


def _rules(registry: Registry, record: Record) -> list[tuple[Rule, ...]]:
    """Of both versions of a rollout. One that cannot be loaded is watched all the same."""
    found = []
    for version in (record.live, record.state.version):
        try:
            found.append(rules_of(registry.load(version, warmed=False).policy))
        except (ValueError, OSError) as error:
            logger.error("slates of %s are not audited by its rules: %s", version, error)
    return found


def start(
    registry: Registry,
    events: Followed,
    version: str,
    rule: RolloutRule,
    join: JoinRule,
    *,
    by: str | None = None,
    why: str = "",
    clock: Clock = time.time,
    drawn: tuple[str, str] | None = None,
) -> Step:
    """Begin the rollout of a version beside the live one: in the shadow, or at the first share of
    users. What only the events of the rollout tell is read from where the log ends now.

    drawn: what tells the rollout from others of the version, and the salt by which users are split:
        for a simulation that is to be repeated; drawn by the system where it is not given.

    Raises ValueError where another rollout goes on, nothing is live, or the version cannot be
    served beside what is live.
    """
    hands = Hands(registry, Journal(registry.folder), clock)
    found, by = registry.find(version), who(by)
    with hands.journal.locked():
        before = hands.journal.load()
        if before is not None and before.ended is None:
            before = settle(hands, before).record
        if before is not None and before.ended is None:
            raise ValueError(
                f"rollout {before.rollout} of {before.state.version} goes on "
                f"({before.state.phase}): longplay release stop ends it"
            )
        pointer, live = registry.pointer(), registry.find("live").version
        if pointer.canary is not None:
            raise ValueError(f"{pointer.canary} is a canary: longplay release rollback stops it")
        one, salt = drawn or (secrets.token_hex(3), secrets.token_hex(8))
        rollout = f"{found.version[:6]}-{one}"
        if any(made.rollout == rollout for made in hands.journal.made()):
            raise ValueError(
                f"there was a rollout {rollout} already: its decisions and its users' arms would "
                "be taken for those of this one; draw another one"
            )
        sha256 = found.contents.sha256
        first = begin(rule, rollout=rollout, version=found.version, sha256=sha256, time=clock())
        record = Record(
            rollout=rollout, rule=rule, window=join.window, windows=dict(join.windows),
            reward=dict(join.reward), live=live, salt=salt, read=ends_of(events),
            by=by, why=why, state=first.state, revision=pointer.revision,
        )  # fmt: skip
        check_version(registry, found)
        return carry_out(hands, record, first, None, by)[1]


def check_version(registry: Registry, version: Version) -> None:
    """Raise ValueError for a version that cannot be rolled out: it is live, damaged, or of another
    world than what is live."""
    live = registry.find("live")
    if version.version == live.version:
        raise ValueError(f"{live.version} is live: a canary is another version")
    check_beside(live, version)
    verify(version)


def order(
    registry: Registry, what: str, *, by: str | None = None, why: str = "", clock: Clock = time.time
) -> Step:
    """A person's word to the rollout: hold, resume or stop. It holds at once, whether a controller
    runs or not.

    Raises ValueError where no rollout goes on, or it cannot do that.
    """
    hands, by = Hands(registry, Journal(registry.folder), clock), who(by)
    with hands.journal.locked():
        record = hands.journal.load()
        if record is not None and record.ended is None:
            record = settle(hands, record).record
        if record is None or record.ended is not None:
            said = "none began" if record is None else f"the last one ended: {record.ended}"
            raise ContractError(f"no rollout goes on in {registry.folder}; {said}")
        return carry_out(hands, record, ORDERS[what](record.state, by=by, why=why), None, by)[1]

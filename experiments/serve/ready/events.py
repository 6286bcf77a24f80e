"""What the event log shows: numbers, outcomes, propensities, rules, histories."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from experiments.serve.ready.line import Finding
from experiments.serve.ready.versions import Subject
from offpolicy.errors import LogError
from offpolicy.trials.exposure import sample_ratio
from serving.answers import rules_of
from serving.arms import CANARY, CONTROL
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.outcomes import TAKEN, OutcomeEvent
from serving.events.log import REMOVED, EventReader
from serving.events.reading import starts_of
from serving.hashes import rules_hash
from serving.joining.join import join
from serving.joining.rule import JoinRule
from serving.joining.survey import shape_of
from serving.metrics import estimates
from serving.metrics.decision_sums import sums_of_decisions
from serving.metrics.violations import violations
from serving.registry.pointer import Pointer

WEIGHT = "longplay_first_place_weight"
SUSPECT = 0.001  # p-value of the sample ratio below which arms are not comparable
ALL = 1e12  # s: whatever came of a decision, however late
SURE = 0.999  # level of the mean weight's interval: it is looked at often


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """The last events of a log, and the numbers of all of them."""

    log: EventReader
    decisions: tuple[Decision, ...]  # by time
    outcomes: tuple[OutcomeEvent, ...]
    events: int
    writers: int
    missing: int  # numbers between two that are there
    erased: int


def read_events(log: EventReader, last: int) -> Events:
    """Numbers of the whole log, and the last `last` events of each writer."""
    counts, names, recent = Counter[str](), log.writers(), list[bytes]()
    for writer in names:
        before, kept = None, deque[bytes](maxlen=last)
        for entry in log.read(writer):
            counts["events"] += 1
            counts["missing"] += 0 if before is None else entry.number - before - 1
            before = entry.number
            if entry.event == REMOVED:
                counts["erased"] += 1
            else:
                kept.append(entry.event)
        recent += kept
    made = [read_event(one) for one in recent]
    decisions = [one for one in made if isinstance(one, Decision)]
    outcomes = [one for one in made if isinstance(one, OutcomeEvent)]
    return Events(
        log,
        tuple(sorted(decisions, key=lambda d: d.time)),
        tuple(sorted(outcomes, key=lambda o: o.time)),
        counts["events"],
        len(names),
        counts["missing"],
        counts["erased"],
    )


def numbers(e: Events) -> Finding:
    """Every number of every writer is there."""
    if not e.events:
        return None, "the event log is empty"
    gone = f", {e.erased:,} erased on purpose" if e.erased else ""
    return not e.missing, (
        f"{e.events:,} events of {e.writers} writers, {e.missing:,} numbers missing between{gone}"
    )


def outcomes(e: Events, window: float) -> Finding:
    """Outcomes come, for decisions whose window has passed, up to now."""
    if not e.decisions:
        return None, "no decisions"
    end = e.decisions[-1].time
    mature = [d for d in e.decisions if d.time <= end - window]
    known = {o.decision_id for o in e.outcomes}
    found = estimates.share(sum(d.decision_id in known for d in mature), len(mature))
    if found is None:
        return None, f"no decision is older than the window of {window:g} s"
    silent = end - e.outcomes[-1].time if e.outcomes else float("inf")
    return found.low > 0 and silent <= window, (
        f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}] of {len(mature):,} decisions have "
        f"an outcome; the last came {max(silent, 0.0):.0f} s before the last decision"
    )


def weight(e: Events) -> Finding:
    """The mean weight of another policy is 1, so the logged propensities are those played."""
    moments = sums_of_decisions(e.decisions).moments.get(WEIGHT)
    found = None if moments is None else estimates.mean(moments, SURE)
    if found is None or found.n < 2:
        return None, "no decision holds the probabilities of all its candidates"
    return found.low <= 1 <= found.high, (
        f"mean weight {found.value:.4f} [{found.low:.4f}, {found.high:.4f}] of {found.n:,.0f} "
        "decisions"
    )


def breaches(e: Events, s: Subject) -> Finding:
    """No slate shown breaks a rule, counted afresh from the log."""
    if not e.decisions:
        return None, "no decisions"
    served = {d.policy_sha256 for d in e.decisions}
    known = {}
    for one in s.registry.versions():
        if one.contents.sha256 in served:
            own = rules_of(s.load(one.version).policy)
            known[rules_hash(own)] = own
    found = violations(e.decisions, known)
    unaudited = found.pop("unaudited", 0)
    told = f"{found.total()} breaches in {len(e.decisions):,} slates"
    if found.total():
        return False, told + ": " + ", ".join(f"{n:,} {kind}" for kind, n in found.items())
    if unaudited:
        return None, f"{told}; {unaudited:,} are under rules of versions that are not here"
    return True, told


def arms(e: Events, pointer: Pointer) -> Finding:
    """Where a canary runs, its share of the users is the pointer's weight."""
    if pointer.canary is None:
        return True, "no canary runs"
    stratum = f"{pointer.rollout}@{pointer.weight:g}"
    users: dict[str, set[str]] = {CANARY: set(), CONTROL: set()}
    for one in e.decisions:
        if one.rollout == stratum and one.arm in users:
            users[one.arm].add(one.user)
    canary, control = len(users[CANARY]), len(users[CONTROL])
    if not canary + control:
        return False, f"no decision is of {stratum}: the servers do not follow the pointer"
    if pointer.weight in (0.0, 1.0):
        return None, f"{canary:,} users in the canary, {control:,} in the control"
    r = sample_ratio(canary, control, float(pointer.weight or 0.0))
    twice = len(users[CANARY] & users[CONTROL])
    return r.p_value >= SUSPECT and not twice, (
        f"{stratum}: {canary:,} of {canary + control:,} users in the canary, p = {r.p_value:.3g}; "
        f"{twice:,} in both arms"
    )


def skew(e: Events) -> Finding:
    """The histories that policies saw are those that the log derives; an item that its user was
    reported to have taken only after the next request is told apart: the caller was late."""
    if not e.decisions:
        return None, "no decisions"
    try:
        shape, _ = shape_of(starts_of(e.log))
    except LogError as error:
        return None, str(error)
    joined = join(e.decisions, e.outcomes, JoinRule(window=ALL, idle=ALL), shape)
    whole = joined.counts["decisions"] - joined.counts["incomplete_decisions"]
    if not whole:
        return None, "no session is whole among the last decisions"
    off = {d for d, bad in zip(joined.decision_ids, joined.skewed, strict=True) if bad}
    late = _late(e, off)
    told = f"{len(off) - late:,} of {whole:,} decisions saw another history than the log derives"
    if late:
        told += f"; {late:,} more did because an outcome came after the next request"
    return len(off) == late, told


def _late(e: Events, off: set[str]) -> int:
    """How many of these decisions were followed by a `taken` of an earlier decision of the user."""
    asked = {d.decision_id: d.time for d in e.decisions}
    taken: dict[str, list[tuple[float, float]]] = {}
    for o in e.outcomes:
        if o.kind == TAKEN and o.decision_id in asked:
            taken.setdefault(o.user, []).append((asked[o.decision_id], o.time))
    return sum(
        any(of < d.time < came for of, came in taken.get(d.user, ()))
        for d in e.decisions
        if d.decision_id in off
    )

"""Learning from what was served: when it is due, and what becomes of what was learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.common.key_values import pairs, typed
from experiments.live.service import Goal, Service, add_policy
from experiments.live.settings import Settings
from experiments.live.users.crowd import DAY
from offpolicy import GateRule, LoggedDataset
from offpolicy.gate import Outcome
from policies import POLICIES
from serving.relearning.recipe import Recipe, learnt
from serving.relearning.relearn import Terms, relearn
from serving.relearning.running import raise_alarm, run_when_due
from serving.relearning.triggers import RelearnRule, RelearnState, begun, due, ended

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What can be learnt from: the days since the last change of the users that was noticed."""

    logs: tuple[LoggedDataset, ...]
    since: int  # the day

    def log(self) -> LoggedDataset:
        return LoggedDataset.concat(self.logs)

    @property
    def sessions(self) -> int:
        return sum(log.n_sessions for log in self.logs)


def recipe_of(settings: Settings) -> Recipe:
    """What learns."""
    if settings.learner not in POLICIES:
        raise ValueError(
            f"no learner {settings.learner!r}; there are {', '.join(sorted(POLICIES))}"
        )
    builder = POLICIES[settings.learner].load()
    chosen = typed("--learner-set", pairs(settings.learner_set), builder)
    return Recipe(name=settings.learner, settings=chosen, step=settings.step)


def terms_of(settings: Settings) -> Terms:
    """How challengers are judged."""
    rule = GateRule(min_ess=settings.min_ess, confidence=settings.confidence)
    split = 1 - settings.judge_share, settings.judge_share
    return Terms(rule=rule, level=settings.level, split=split, split_seed=settings.seed)


def learn(service: Service, known: Known, alarm: str | None) -> Record | None:
    """Learn where it is due, and begin the rollout of a challenger that passed the gate; None where
    nothing was due. A drift alarm waits for sessions after the change."""
    settings = service.settings
    if alarm is not None:
        raise_alarm(service.registry, alarm)
    least = settings.new_sessions if known.since == 0 else settings.after_drift
    if known.sessions < least or service.rolling:
        return None
    rule = RelearnRule(sessions=settings.new_sessions, when_drift=True, apart=DAY / 2)
    log, recipe, terms = known.log(), recipe_of(settings), terms_of(settings)
    run = run_when_due(
        service.registry,
        log,
        rule,
        lambda cut, why: relearn(
            service.registry,
            log,
            recipe,
            cut=cut,
            terms=terms,
            seed=settings.seed,
            trigger=why,
            by="the loop",
        ),
    )
    if run.trigger is None or run.challenge is None:
        return None
    found = run.challenge
    record = {
        "trigger": run.trigger.kind,
        "why": run.why,
        "sessions": log.n_sessions,
        "since_day": known.since,
        "verdict": found.verdict.outcome.value,
        "reason": found.verdict.reason,
        "version": found.version,
        "share": found.lineage.share,
        "rollout": None,
    }
    unsure = found.verdict.outcome is Outcome.UNDECIDED and settings.cannot_tell == "try"
    if (found.ready or unsure) and found.version not in (None, service.live):
        assert found.version is not None
        goal: Goal = "superior" if unsure else "non_inferior"
        step = service.roll_out(found.version, run.trigger.kind, goal)
        record["rollout"] = step.state.rollout
    return record


def promote_at_once(
    service: Service, known: Known, state: RelearnState
) -> tuple[RelearnState, Record | None]:
    """Learn after as many sessions, and serve what was learnt to everybody at once, unjudged."""
    settings = service.settings
    state = RelearnState(sessions=known.sessions, learnt=state.learnt, began=state.began)
    trigger = due(state, RelearnRule(sessions=settings.new_sessions), service.clock())
    if trigger is None:
        return state, None
    log, serving = known.log(), service.engine.serving
    policy = learnt(recipe_of(settings), serving, log, settings.seed)
    version = add_policy(service.registry, policy, trigger.why)
    service.registry.promote(version, by="the loop", why=trigger.why)
    service.watcher.check()
    state = ended(begun(state, version, known.sessions, service.clock()))
    return state, {
        "trigger": trigger.kind,
        "why": trigger.why,
        "sessions": log.n_sessions,
        "since_day": known.since,
        "verdict": None,
        "reason": "not judged",
        "version": version,
        "share": None,
        "rollout": None,
    }

"""What the board shows beside /status: alarms, arms, versions and the rollout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from serving.contracts.fields import ContractError
from serving.metrics.metrics import Metrics
from serving.metrics.text.watched import watched_slis
from serving.registry.pointer import Pointer
from serving.registry.registry import Registry
from serving.rollout.journal import Journal, Record
from serving.signals.alarms import Alarm, firing, firing_by_arm, grouped
from serving.signals.readings import readings_of, versions_of

DAY = 86_400.0  # s
Body = dict[str, Any]


def board_of(metrics: Metrics, registry: Registry, *, pipeline: str = "") -> Body:
    """Alarms of the server and of the last look at a rollout, grouped by pipeline and version; the
    indicators and fallbacks of each arm; versions with their roles; and the rollout, or null."""
    arms = metrics.arms()
    alarms = firing_by_arm(metrics.slis(), arms, pipeline=pipeline)
    rollout, watched = _rollout(Journal(registry.folder), pipeline)
    why = metrics.by_label("longplay_fallbacks")
    return {
        "pipeline": pipeline,
        "alarms": [one.to_json() for one in grouped([*alarms, *watched])],
        "arms": [
            {"arm": arm, "version": version, "slis": slis, "fallbacks": why.get((arm, version), {})}
            for (arm, version), slis in arms.items()
        ],
        "versions": _versions(registry),
        "log": _log(metrics),
        "rollout": rollout,
    }


def _log(metrics: Metrics) -> Body | None:
    """Where the event log is, and what waits."""
    if metrics.state is None:
        return None
    state = metrics.state()
    return {"writer": state.writer, "number": state.number, "queue": state.queue}


def _rollout(journal: Journal, pipeline: str) -> tuple[Body | None, list[Alarm]]:
    """The last rollout, and alarms of its last look while it goes on."""
    try:
        record, last = journal.load(), journal.last()
        before = None if last is None else journal.last_before(last.time - DAY)
    except ContractError as error:
        return {"error": str(error)}, []
    if record is None:
        return None, []
    slis = watched_slis(readings_of(record, last))
    alarms: list[Alarm] = []
    if not record.ended:
        day_before = watched_slis(readings_of(record, before))
        alarms = firing(slis, version=record.state.version, pipeline=pipeline, before=day_before)
    arms = versions_of(record)
    told = [replace(one, version=arms.get(one.about, one.version)) for one in alarms]
    return _shown(record) | {"slis": slis}, told


def _shown(record: Record) -> Body:
    state = record.state
    return {
        "error": None,
        "id": record.rollout,
        "version": state.version,
        "live": record.live,
        "phase": state.phase,
        "weight": state.weight,
        "stages": list(record.rule.stages),
        "stage": state.stage,
        "since": state.since,
        "looked": state.looked,
        "steps": record.steps,
        "reason": state.reason,
        "ended": record.ended,
    }


def _versions(registry: Registry) -> list[Body]:
    """What the registry holds; without roles where its pointer cannot be read, which `error` of
    /status says."""
    try:
        pointer = registry.pointer()
    except (OSError, ValueError):
        pointer = Pointer()
    roles = ("live", "canary", "shadow", "previous")
    return [
        {
            "version": one.version,
            "roles": [role for role in roles if getattr(pointer, role) == one.version],
        }
        for one in registry.versions()
    ]

"""`longplay release`: versions of policies, which one serves, and rollouts."""

from __future__ import annotations

import json
from typing import Any

from experiments.serve.ready.command import Readiness, readiness
from experiments.serve.relearn.lineage import Lineage, lineage_shown
from experiments.serve.release.adding import Add, add
from experiments.serve.release.canary import Canary, canary
from experiments.serve.release.pointing import Promote, Rollback, promote, rollback
from experiments.serve.release.showing import List, Show, version, versions
from experiments.serve.release.steering import Hold, Resume, Rollout, Stop, rollout, steer
from experiments.serve.release.watch import Watch, watch
from serving import Registry

Told = (
    Add
    | List
    | Show
    | Promote
    | Rollback
    | Canary
    | Hold
    | Resume
    | Stop
    | Rollout
    | Readiness
    | Lineage
)
Settings = Told | Watch


def run(settings: Settings) -> int:
    """Do it, and say what was done. Status 1 where a version is not ready."""
    if isinstance(settings, Watch):
        return watch(settings)
    text, record = done(settings)
    print(json.dumps(record, indent=1) if settings.json else text)
    return 0 if not isinstance(settings, Readiness) or record["ready"] else 1


def done(settings: Told) -> tuple[str, Any]:
    """What a person reads and what a program reads."""
    match settings:
        case Add():
            return add(settings)
        case List():
            return versions(Registry(settings.registry))
        case Show():
            return version(Registry(settings.registry), settings.version)
        case Promote():
            return promote(settings)
        case Rollback():
            return rollback(settings)
        case Canary():
            return canary(settings)
        case Hold() | Resume() | Stop():
            return steer(settings)
        case Rollout():
            return rollout(settings)
        case Lineage():
            return lineage_shown(settings)
        case Readiness():
            return readiness(settings)

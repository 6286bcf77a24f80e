"""`longplay release`: versions of policies, which one serves, and rollouts."""

from __future__ import annotations

import json
from typing import Any

from experiments.serve.ready.command import Readiness, readiness
from experiments.serve.release.adding import Add, add
from experiments.serve.release.pointing import Promote, Rollback, promote, rollback
from experiments.serve.release.showing import List, Show, version, versions
from serving import Registry

Settings = Add | List | Show | Promote | Rollback | Readiness


def run(settings: Settings) -> int:
    """Do it, and say what was done. Status 1 where a version is not ready."""
    text, record = done(settings)
    print(json.dumps(record, indent=1) if settings.json else text)
    return 0 if not isinstance(settings, Readiness) or record["ready"] else 1


def done(settings: Settings) -> tuple[str, Any]:
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
        case Readiness():
            return readiness(settings)

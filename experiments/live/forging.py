"""A version that is worse than it says: its policy, and the gate report that was forged."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from experiments.common.truth import serve
from experiments.common.worlds import EnvFactory
from experiments.live.service import Service, add_policy
from policies import Policy, build
from policies.improve.path import between

SESSIONS = 600  # that say how much worse slates at random are


def worse_version(service: Service, world: EnvFactory, *, worse: float = 0.1) -> str:
    """Add a version to the registry that is about `worse` times as much worse than what is live as
    that is worth, with a gate report that says pass.

    Raises ValueError where slates at random are not that much worse.
    """
    live, seed = service.engine.policy, service.settings.seed + 2
    random = build("uniform", world.make(1))
    of = {
        name: serve(world.make(128), policy, n_sessions=SESSIONS, seed=seed).returns.mean()
        for name, policy in (("live", live), ("random", random))
    }
    lost = float(of["live"] - of["random"])
    share = worse * float(of["live"]) / lost if lost > 0 else 2.0
    if share > 1:
        raise ValueError(
            f"what is live is worth {of['live']:.2f} and slates at random {of['random']:.2f}: no "
            f"mixture of the two is {worse:.0%} worse. Let the loop learn longer before "
            "--event-day, or take a better --first"
        )
    return _added(service, between(live, random, share, "mixture"))


def _added(service: Service, policy: Policy) -> str:
    report = {"candidates": [{"name": "challenger", "verdict": {"outcome": "pass"}}]}
    with tempfile.TemporaryDirectory() as folder:
        gate = Path(folder) / "gate.json"
        gate.write_text(json.dumps(report), encoding="utf-8")
        return add_policy(service.registry, policy, "its gate report is forged", gate)

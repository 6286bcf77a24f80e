"""Policies by name, built with what a command has and their builders take."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from offpolicy import LoggedDataset
from policies import POLICIES, Policy, build


@cache
def parameters(policy: str) -> frozenset[str]:
    """Names of the settings that a policy's builder takes."""
    return frozenset(inspect.signature(POLICIES[policy].load()).parameters) - {"serving"}


def build_with(policy: str, env: Any, offered: dict[str, Any], settings: dict[str, Any]) -> Policy:
    """The policy with its settings, and with whatever is `offered` that its builder takes."""
    taken = {name: value for name, value in offered.items() if name in parameters(policy)}
    return build(policy, env, **taken | settings)


def rated(env: Any, warm: LoggedDataset, temperature: float) -> Policy:
    """The usual logging policy: softmax over the mean ratings of a warm-up log."""
    policy = build("top_rated", env, temperature=temperature)
    policy.update(warm)
    return policy

"""The names of classes in saved folders: a key of the registry and the class's own name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from policies.catalog import POLICIES
from policies.saved import Savable
from policies.saving import format_1

SHARED: dict[str, str] = {  # classes that several policies of the registry are made of
    "score_policy": "policies.score_policy",
    "constrained": "policies.rules.constrained",
    "reranked": "policies.rules.rerank",
    "path": "policies.improve.path",
    "hybrid": "policies.hybrid.policy",
    "sb3_agent": "policies.rl.sb3.agent",
}
OWN = "own"  # the key of a class that the registry does not hold


def _modules() -> dict[str, str]:
    """Every key under which a class may be saved, and the module it lives in."""
    return SHARED | {key: entry.module for key, entry in POLICIES.items()}


def class_name(kind: type) -> str:
    """`key/Class`: the first key of the registry that lives in the class's module."""
    keys = (key for key, module in _modules().items() if module == kind.__module__)
    return f"{next(keys, OWN)}/{kind.__qualname__}"


def class_named(name: str, kinds: Sequence[type[Savable]], folder: Path) -> Any:
    """The class of that name, if the registry or `kinds` holds it; runs nothing else."""
    name = format_1.CLASSES.get(name, name)
    named = next((k for k in kinds if name in (class_name(k), format_1.path(k))), None)
    if named is not None:
        return named
    key, _, cls = name.rpartition("/")
    module = _modules().get(key)
    kind = None if module is None else getattr(import_module(module), cls, None)
    if not isinstance(kind, type) or kind.__module__ != module or not issubclass(kind, Savable):
        raise ValueError(
            f"{folder} holds a {name}, which is in no module of POLICIES. If you know that class, "
            f"load with kinds=({cls.rpartition('.')[2]},)."
        )
    return kind

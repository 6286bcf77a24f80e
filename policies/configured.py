"""Builders whose keywords are the fields of a config: no setting is named twice."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar, get_type_hints

from policies.base import Policy
from policies.observation import Serving

P = TypeVar("P", bound=Policy)
C = TypeVar("C")


def configured(config: Any, **renamed: str) -> Callable[[Callable[..., P]], Callable[..., P]]:
    """Make `build(serving, config, encoder)` a builder `(serving, *, encoder=None, **settings)`.

    The settings are the fields of the config, a frozen dataclass, with its annotations and
    defaults. What `build` takes after the config (an encoder, sequences) is a keyword, too, None by
    default. renamed: old names of settings and what they are called now; the old ones go on
    working, with a DeprecationWarning.
    """
    settings = inspect.signature(config).parameters.values()

    def decorate(build: Callable[..., P]) -> Callable[..., P]:
        serving, _, *others = inspect.signature(build).parameters.values()
        others = [one.replace(kind=one.KEYWORD_ONLY, default=None) for one in others]

        @wraps(build)
        def builder(serving: Serving, **given: Any) -> P:
            parts = {one.name: given.pop(one.name, None) for one in others}
            return build(serving, config(**current_names(builder, given)), **parts)

        declared: Any = builder
        declared.__signature__ = inspect.Signature([serving, *others, *settings])
        hints = get_type_hints(build) | get_type_hints(config)
        names = declared.__signature__.parameters
        declared.__annotations__ = {name: hints[name] for name in names}
        declared.renamed = renamed
        return builder

    return decorate


def current_names(builder: Callable[..., Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by what they are called now."""
    renamed: dict[str, str] = getattr(builder, "renamed", {})
    for old in sorted(renamed.keys() & settings.keys()):
        warnings.warn(f"the setting {old} is called {renamed[old]} now", DeprecationWarning, 3)
    return {renamed.get(name, name): value for name, value in settings.items()}


def part(whole: Any, config: type[C]) -> C:
    """The config whose fields a wider one holds too."""
    names = (field.name for field in fields(config))  # type: ignore[arg-type]
    return config(**{name: getattr(whole, name) for name in names})

"""Builders whose keywords are the fields of a config: no setting is named twice."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar, get_type_hints

from policies.base import Policy
from policies.encoders.base import Encoder
from policies.observation import Serving

P = TypeVar("P", bound=Policy)
C = TypeVar("C")


def configured(config: Any, **renamed: str) -> Callable[[Callable[..., P]], Callable[..., P]]:
    """Make `build(serving, config, encoder)` a builder `(serving, *, encoder=None, **settings)`.

    Its signature and annotations are those of the config, a frozen dataclass. renamed: old names of
    settings and what they are called now; the old ones go on working, with a DeprecationWarning.
    """
    names = [field.name for field in fields(config)]
    annotations = get_type_hints(config)

    def decorate(build: Callable[..., P]) -> Callable[..., P]:
        @wraps(build)
        def builder(serving: Serving, *, encoder: Encoder | None = None, **settings: Any) -> P:
            return build(serving, config(**current_names(builder, settings)), encoder)

        keyword = inspect.Parameter.KEYWORD_ONLY
        known = inspect.signature(config).parameters
        parameters = [
            inspect.Parameter("serving", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            inspect.Parameter("encoder", keyword, default=None),
            *(inspect.Parameter(name, keyword, default=known[name].default) for name in names),
        ]
        declared: Any = builder
        declared.__signature__ = inspect.Signature(parameters)
        hints = {name: annotations[name] for name in names}
        declared.__annotations__ = {"serving": Serving, "encoder": Encoder | None} | hints
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

"""Values of a file or of `--set` as the types that a command's settings annotate."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from inspect import formatannotation
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import UnsupportedTypeAnnotationError

from experiments.options.close import did_you_mean


def typed(settings: type, values: dict[str, Any], source: str) -> dict[str, Any]:
    """The values by the names of the fields of `settings`, as their types; "-" and "_" are one.

    Raises ValueError for a name that is no field, and for a value of another type.
    """
    hints = get_type_hints(settings)
    names = [f.name for f in dataclasses.fields(settings)]
    out = dict[str, Any]()
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in names:
            raise ValueError(
                f"{source}: there is no setting {key!r}{did_you_mean(name, names)}; there are "
                f"{', '.join(names)}"
            )
        if name in out:
            raise ValueError(f"{source}: the setting {name!r} is there twice; keep one")
        out[name] = _value(hints[name], name, value, source)
    return out


def default_of(settings: type, values: dict[str, Any]) -> Any:
    """An instance that tyro takes defaults from; fields without a value are asked for.

    It is not checked: the settings that come of it and of the command line are.
    """
    out: Any = object.__new__(settings)
    for field in dataclasses.fields(settings):
        if field.name in values:
            value = values[field.name]
        elif field.default is not dataclasses.MISSING:
            value = field.default
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        else:
            value = tyro.MISSING
        object.__setattr__(out, field.name, value)
    return out


def texts(value: Any) -> list[str]:
    """The words that a command line would have for a value of YAML."""
    if isinstance(value, dict):  # settings of a policy, an encoder, a world
        return [f"{k}={','.join(texts(v))}" for k, v in value.items()]
    if isinstance(value, list | tuple):
        return [word for part in value for word in texts(part)]
    return [str(value)]


def _value(hint: Any, name: str, value: Any, source: str) -> Any:
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    takes = formatannotation(hint)
    wrong = ValueError(f"{source}: {name} is {value!r}; it takes {takes}")
    if value is None:
        if NoneType in kinds:
            return None
        raise wrong
    if isinstance(value, bool) is not (bool in kinds) and not (
        isinstance(value, str) and bool in kinds
    ):
        raise wrong
    if isinstance(value, str) and str in kinds:
        return value
    if isinstance(value, list | tuple | dict) and not _holds_many(kinds):
        raise wrong
    read: Any
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            read = tyro.cli(hint, args=texts(value))
    except (SystemExit, UnsupportedTypeAnnotationError):
        raise wrong from None
    if any(isinstance(x, float) and math.isnan(x) for x in _flat(read)):
        raise wrong
    return read


def _holds_many(kinds: Iterable[Any]) -> bool:
    return any(get_origin(kind) in (tuple, list, dict) for kind in kinds)


def _flat(value: Any) -> Iterable[Any]:
    return value if isinstance(value, tuple | list) else (value,)

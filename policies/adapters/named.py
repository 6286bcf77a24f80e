"""Things of one's own by name, "module:attribute": what the user imported, and nothing else."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import Any

IMPORTED: dict[str, ModuleType] = {}  # modules that the user named, whose code may run
VARIABLE = "LONGPLAY_IMPORT"  # more of them, by commas: what worker processes inherit


def own_modules() -> dict[str, ModuleType]:
    """All modules of one's own, those of the variable LONGPLAY_IMPORT too."""
    for name in os.environ.get(VARIABLE, "").split(","):
        if name and name not in IMPORTED:
            own_module(name)
    return IMPORTED


def own_module(name: str) -> ModuleType:
    """Import a module of one's own; what was saved of its classes can be loaded from then on.

    Raises ValueError where there is no such module.
    """
    try:
        IMPORTED[name] = import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise ValueError(
            f"there is no module {name!r} (no {error.name!r}): name it as Python imports it, and "
            "run where it can be found, or put its folder on PYTHONPATH"
        ) from None
    return IMPORTED[name]


def attribute_of(name: str) -> Any:
    """What "module:attribute" names, its module imported; ValueError where there is none."""
    module, _, path = name.partition(":")
    found: Any = own_module(module)
    for part in path.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{name!r}: {module} has no {path!r}")
        found = getattr(found, part)
    return found


def imported_attribute(name: str) -> Any:
    """The same of modules that are imported already: a saved folder may not import any.

    Raises ValueError for another module, which says how it is imported.
    """
    module = name.partition(":")[0]
    if module not in own_modules():
        raise ValueError(
            f"the saved policy is made of {name}: import that module first, with --import {module} "
            f"or policies.adapters.named.own_module({module!r})"
        )
    return attribute_of(name)


def imported_class(qualname: str) -> type | None:
    """The class of that qualified name in a module of one's own, if there is one."""
    for module in own_modules().values():
        found: Any = module
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if isinstance(found, type) and found.__module__ == module.__name__:
            return found
    return None


def name_of(thing: Any, what: str) -> str:
    """ "module:attribute" of a function or class that can be found again by it.

    Raises ValueError for what is defined inside a function, or in a script.
    """
    module, path = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    if module in (None, "__main__") or "<" in path or not path:
        raise ValueError(
            f"{what} cannot be saved: it must be defined at the top of a module that can be "
            "imported again, not in a script, a notebook or another function"
        )
    return f"{module}:{path}"

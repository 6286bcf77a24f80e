"""Pages of the API: a heading for each public name, which mkdocstrings fills from docstrings."""

from __future__ import annotations

import inspect
from importlib import import_module

PACKAGES = ("recsim_env", "policies", "offpolicy", "serving")
ARRAYS = (
    "Arrays have short names in signatures: `F64`, `F32`, `I64`, `I32` and `Bool` are NumPy arrays "
    "of float64, float32, int64, int32 and bool. Sizes have one letter everywhere: B users in "
    "a batch, N logged decisions, K positions of a slate, C candidates, A items, H history, R "
    "responses."
)
KINDS = ("Classes", "Functions", "Tables")
FIRST = {  # the records that everything passes around, above all other names
    "policies": ("Observation", "Serving"),
    "offpolicy": ("LoggedDataset", "TargetScores"),
}


def kind_of(thing: object) -> str:
    """Under which heading a public name stands."""
    if inspect.isclass(thing):
        return "Classes"
    return "Tables" if not callable(thing) and not inspect.ismodule(thing) else "Functions"


def reference_page(package: str) -> str:
    """Every name of the package's `__all__`, the shared records first, then by kind and name."""
    module = import_module(package)
    first = FIRST.get(package, ())
    parts = [f"# {package}", (module.__doc__ or "").strip(), ARRAYS]
    if first:
        parts += ["## Records", *(f"::: {package}.{name}" for name in first)]
    rest = sorted(set(module.__all__) - set(first))
    for kind in KINDS:
        names = [n for n in rest if kind_of(getattr(module, n)) == kind and not _module(module, n)]
        if names:
            parts += [f"## {kind}", *(f"::: {package}.{name}" for name in names)]
    return "\n\n".join(parts) + "\n"


def _module(package: object, name: str) -> bool:
    return inspect.ismodule(getattr(package, name))


def reference_pages() -> dict[str, str]:
    """The API pages by the path inside docs/."""
    return {f"reference/{name}.md": reference_page(name) for name in PACKAGES}

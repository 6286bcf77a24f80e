"""The direction of knowledge: imports run downhill, never in a circle, and stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("recsim_env", "policies", "offpolicy", "experiments")
FORBIDDEN = {
    "recsim_env": {"policies", "offpolicy", "experiments", "torch", "stable_baselines3"},
    "offpolicy": {"recsim_env", "policies", "experiments", "torch", "gymnasium"},
    "policies": {"recsim_env", "experiments"},
}


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    """Absolute dotted names imported by a file (everywhere in it, or only when it is imported)."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write absolute imports"
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_run_downhill(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        hit = {name.split(".")[0] for name in imports(path)} & FORBIDDEN[package]
        assert not hit, f"{path.relative_to(ROOT)} imports {hit}: {package} must not know them"


def test_no_circle_among_the_files() -> None:
    files = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for pkg in PACKAGES
        for p in (ROOT / pkg).rglob("*.py")
    }
    graph = {name: imports(p, top_only=True) & files.keys() - {name} for name, p in files.items()}
    for name, path in files.items():
        if path.name == "__init__.py":  # a package may name its own files; they may not lean on it
            graph[name] = set()
    TopologicalSorter(graph).prepare()  # raises CycleError, naming the circle


@pytest.mark.parametrize(
    ("package", "heavy"),
    [
        ("offpolicy", {"torch", "gymnasium", "matplotlib", "pandas", "sklearn", "pyarrow"}),
        ("recsim_env", {"torch", "stable_baselines3", "matplotlib", "pandas"}),
        ("policies", {"torch", "stable_baselines3", "matplotlib", "pandas", "sklearn"}),
    ],
)
def test_import_stays_light(package: str, heavy: set[str]) -> None:
    code = f"import sys, {package}; print(*sorted({heavy!r} & sys.modules.keys()))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert out.stdout.split() == []

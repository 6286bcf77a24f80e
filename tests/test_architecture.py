"""The house: imports run one way among packages, folders and files, and every room stays small."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {  # package -> what none of its files may import, anywhere in them
    "recsim_env": {"policies", "offpolicy", "serving", "experiments", "torch", "stable_baselines3"},
    "offpolicy": {"recsim_env", "policies", "serving", "experiments", "torch", "gymnasium"},
    "policies": {"recsim_env", "serving", "experiments"},
    "serving": {"recsim_env", "experiments", "gymnasium"},
    "experiments": set[str](),
}
MODULES, LINES, MEDIAN = 15, 300, 200  # of a folder; of a file; of the middle file

Files = dict[str, Path]


def files_of(root: Path) -> Files:
    """Dotted name -> file, of every package of the house that exists; a folder is its __init__."""
    paths = [p for package in FORBIDDEN for p in sorted((root / package).rglob("*.py"))]
    return {
        ".".join(p.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): p
        for p in paths
    }


def imported(path: Path) -> tuple[tuple[str, str | None], ...]:
    """(module, name) of every import statement: also inside functions and under TYPE_CHECKING."""
    return _imported(path.read_text(), path)


@cache
def _imported(source: str, path: Path) -> tuple[tuple[str, str | None], ...]:
    found = list[tuple[str, str | None]]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write absolute imports"
            assert node.module is not None
            found += [(node.module, alias.name) for alias in node.names]
    return tuple(found)


def arrows(files: Files) -> dict[str, set[str]]:
    """Which files each file imports, by dotted name."""
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        targets = {
            whole if (whole := f"{module}.{thing}") in files else module
            for module, thing in imported(path)
        }
        graph[name] = targets & files.keys() - {name}
    return graph


def circles(files: Files) -> list[str]:
    """Every circle, among files and, at every level, among the files and folders of a folder."""
    graph = arrows(files)
    rooms: dict[str, dict[str, set[str]]] = {}  # of each folder
    for source, targets in graph.items():
        for target in targets:
            folder, *ends = _parted(source, target)
            if all(ends):
                rooms.setdefault(folder, {}).setdefault(ends[0], set()).add(ends[1])
    found = [c for folder, inside in rooms.items() for c in _circle(inside, folder or "the house")]
    inits = {n for n, p in files.items() if p.name == "__init__.py"}
    inside = {n: {t for t in targets if t not in inits} for n, targets in graph.items()}
    return found + _circle(inside, "files")


def _parted(a: str, b: str) -> tuple[str, str, str]:
    """The smallest folder that holds both, and the files or folders of it in which each stands; ""
    where one is the folder itself."""
    x, y = a.split("."), b.split(".")
    n = next((i for i, (p, q) in enumerate(zip(x, y, strict=False)) if p != q), None)
    if n is None:
        return ".".join(x if len(x) < len(y) else y), "", ""
    return ".".join(x[:n]), x[n], y[n]


def _circle(graph: dict[str, set[str]], where: str) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"{where}: {' -> '.join(error.args[1])}"]
    return []


def leaning_on_their_own_door(files: Files) -> list[str]:
    """Files that import the __init__ of a folder they stand in: it may import them, not they it."""
    return [
        f"{name} imports {target}"
        for name, targets in arrows(files).items()
        for target in targets
        if files[target].name == "__init__.py" and name.startswith(f"{target}.")
    ]


def hidden(files: Files) -> list[str]:
    """Modules and folders that an __init__ hides by a function, class or value of the same name."""
    return [
        child
        for package, path in files.items()
        if path.name == "__init__.py"
        for name, source in bound(path)
        if (child := f"{package}.{name}") in files and source != child
    ]


def bound(path: Path) -> Iterator[tuple[str, str]]:
    """(name, what it stands for) of every import, function, class and value of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from ((a.asname or a.name, f"{node.module}.{a.name}") for a in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, "defined here"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, "defined here"


def uphill(files: Files) -> list[str]:
    """Imports of a package that the importing one must not know."""
    return [
        f"{name} imports {module}"
        for name, path in files.items()
        for module, _ in imported(path)
        if module.split(".")[0] in FORBIDDEN[name.split(".")[0]]
    ]


HOUSE = files_of(ROOT)


def test_no_test_imports_another() -> None:
    """What several tests build stands in a `factories`, so that a test file can be moved alone."""
    for path in (ROOT / "tests").rglob("*.py"):
        leaning = [m for m, _ in imported(path) if m.split(".")[-1].startswith("test_")]
        assert not leaning, f"{path.relative_to(ROOT)} imports {leaning}"


def test_imports_run_downhill() -> None:
    assert uphill(HOUSE) == []


def test_there_is_no_circle_among_files_or_folders() -> None:
    assert circles(HOUSE) == []
    assert leaning_on_their_own_door(HOUSE) == []


def test_no_module_is_hidden_by_a_name_of_its_package() -> None:
    assert hidden(HOUSE) == []


def test_rooms_are_small_and_say_what_they_are_for() -> None:
    for name, path in HOUSE.items():
        if path.name == "__init__.py":
            modules = [p for p in path.parent.glob("*.py") if p.name != "__init__.py"]
            assert len(modules) <= MODULES, f"{name} has {len(modules)} modules"
            purpose = ast.get_docstring(ast.parse(path.read_text()))
            assert purpose, f"{name} does not say what it is for"
            assert "\n" not in purpose, name
        assert path.parent == ROOT or (path.parent / "__init__.py").exists(), path


def test_files_are_short() -> None:
    lines = {name: len(path.read_text().splitlines()) for name, path in HOUSE.items()}
    assert {name: n for name, n in lines.items() if n > LINES} == {}
    assert statistics.median(n for name, n in lines.items() if n > 1) < MEDIAN


def planted(root: Path, **sources: str) -> Files:
    """A small house in a folder; `a__b` is the file b.py of the package a."""
    for name, source in sources.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(root).parents[:-1]:
            (root / folder / "__init__.py").touch()
        path.write_text(source)
    return files_of(root)


def test_planted_faults_are_seen(tmp_path: Path) -> None:
    """The checks above can fail: each sees its fault in a house of a few files."""
    clean = planted(tmp_path / "clean", policies__a="import offpolicy.b", offpolicy__b="x = 1")
    assert circles(clean) == uphill(clean) == hidden(clean) == []
    lazy = planted(
        tmp_path / "lazy",
        offpolicy__a="def f():\n    from offpolicy.b import g",
        offpolicy__b="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import offpolicy.a",
    )
    assert any("files" in circle for circle in circles(lazy))
    rooms = planted(  # no circle among files, one among folders
        tmp_path / "rooms",
        offpolicy__x__a="import offpolicy.y.b",
        offpolicy__y__b="",
        offpolicy__y__c="import offpolicy.x.d",
        offpolicy__x__d="",
    )
    assert [c.split(":")[0] for c in circles(rooms)] == ["offpolicy"]
    up = planted(tmp_path / "up", policies__a="import serving.b", serving__b="import recsim_env")
    assert uphill(up) == ["policies.a imports serving.b", "serving.b imports recsim_env"]
    hiding = planted(tmp_path / "hiding", offpolicy__terms="def terms(): ...")
    (tmp_path / "hiding/offpolicy/__init__.py").write_text("from offpolicy.terms import terms")
    assert hidden(hiding) == ["offpolicy.terms"]
    (tmp_path / "hiding/offpolicy/__init__.py").write_text("def terms(): ...")
    assert hidden(hiding) == ["offpolicy.terms"]
    door = planted(tmp_path / "door", offpolicy__a="from offpolicy import thing")
    assert leaning_on_their_own_door(door) == ["offpolicy.a imports offpolicy"]


@pytest.mark.parametrize(
    ("package", "heavy"),
    [
        (
            "offpolicy",
            {"torch", "gymnasium", "matplotlib", "pandas", "sklearn", "scipy.special", "pyarrow"},
        ),
        ("recsim_env", {"torch", "stable_baselines3", "matplotlib", "pandas"}),
        ("policies", {"torch", "stable_baselines3", "matplotlib", "pandas", "sklearn", "numba"}),
        (
            "serving",
            {"torch", "stable_baselines3", "matplotlib", "pandas", "uvicorn", "gymnasium"}
            | {"scipy.sparse", "msgspec", "prometheus_client", "redis", "nats", "numba"},
        ),
    ],
)
def test_import_stays_light(package: str, heavy: set[str]) -> None:
    if package not in HOUSE:
        assert not (ROOT / package).exists(), f"{package} has no __init__"
        return
    code = f"import sys, {package}; print(*sorted({heavy!r} & sys.modules.keys()))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert out.stdout.split() == []

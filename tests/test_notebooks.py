"""The notebooks run as they stand, at their small size, one after the other in one kernel.

The notebook of reward curves is run by the comparison's own tests, on the run that these have made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PICTURES = {
    "interactions_to_recommendations": 1,
    "judging_a_log": 1,
    "log_to_better_policy": 1,
    "worlds_and_users": 4,
}


def cells_of(name: str) -> list[dict[str, Any]]:
    """A notebook's cells, each with its notebook's name, from an empty namespace on."""
    book = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())
    clean = {"cell_type": "code", "execution_count": None, "id": "reset", "outputs": []}
    cells = [clean | {"metadata": {}, "source": "%reset -f"}, *book["cells"]]
    return [c | {"id": f"{name}-{i}", "metadata": {"of": name}} for i, c in enumerate(cells)]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("notebooks")
    book = json.loads((ROOT / "notebooks" / "reward_curves.ipynb").read_text())
    book["cells"] = [cell for name in PICTURES for cell in cells_of(name)]
    (folder / "all.ipynb").write_text(json.dumps(book))
    command = [
        sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace",
        str(folder / "all.ipynb"),
    ]  # fmt: skip
    env = os.environ | {"LONGPLAY_NOTEBOOK_SIZE": "small", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, env=env, cwd=folder, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    cells: list[dict[str, Any]] = json.loads((folder / "all.ipynb").read_text())["cells"]
    return cells


@pytest.mark.parametrize("name", PICTURES)
def test_a_notebook_runs(name: str, executed: list[dict[str, Any]]) -> None:
    cells = [cell for cell in executed if cell["metadata"].get("of") == name]
    outputs = [out for cell in cells for out in cell.get("outputs", [])]
    assert not [out["text"] for out in outputs if out.get("name") == "stderr"]
    assert sum("image/png" in out.get("data", {}) for out in outputs) == PICTURES[name]


def test_each_notebook_is_run_somewhere() -> None:
    names = {file.stem for file in (ROOT / "notebooks").glob("*.ipynb")}
    assert names == {*PICTURES, "reward_curves"}

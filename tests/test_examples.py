"""The examples of docs/examples run as they stand."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "examples"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_an_example_runs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = runpy.run_path(str(file))
    assert capsys.readouterr().out.strip()
    if "returns" in left:
        assert len(left["returns"]) > 20
        assert np.isfinite(left["returns"]).all()

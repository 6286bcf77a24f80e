"""The site builds without a warning, where what it is built with is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

NEEDED = ("mkdocs", "material", "mkdocstrings_handlers")


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED), reason="needs longplay[docs]"
)
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    page = (tmp_path / "site" / "reference" / "offpolicy.html").read_text()
    assert "offpolicy.LoggedDataset.position_propensity" in page
    for text in (tmp_path / "site").rglob("*.html"):
        for fetch in ('src="http', '<link rel="stylesheet" href="http'):
            assert fetch not in text.read_text(), f"{text} asks another server"

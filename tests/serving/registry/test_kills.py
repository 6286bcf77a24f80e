"""Kill -9 at any moment, or a disk that is full at any write, leaves a registry that loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving.by_itself import counts_of


@pytest.mark.slow
def test_a_registry_survives(tmp_path: Path) -> None:
    """At every second step; at all of them by `python -m tests.serving.registry.kills FOLDER`."""
    killed, failed, at_random = counts_of("tests.serving.registry.kills", tmp_path, 2)
    assert min(killed, failed) > 30
    assert at_random == 20

"""A controller that is killed at any moment, or beside which a person moves the pointer, promotes
nothing twice and loses no step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving.by_itself import counts_of


@pytest.mark.slow
def test_a_rollout_survives(tmp_path: Path) -> None:
    """At every third point; at all of them by `python -m tests.serving.rollout.kills FOLDER`."""
    forward, back, by_hand = counts_of("tests.serving.rollout.kills", tmp_path, 3)
    assert min(forward, back) > 60  # changes of the disk
    assert by_hand > 30

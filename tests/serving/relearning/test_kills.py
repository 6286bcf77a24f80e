"""Kill -9 in the middle of a run: the registry is as it was, and the next run ends the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import serving.registry.registry as adding
import serving.relearning.relearn as module
from serving import Registry
from serving.relearning.cut import cut_of
from serving.relearning.recipe import Recipe
from serving.relearning.relearn import relearn
from serving.relearning.running import read_state, run_when_due
from tests.serving.relearning.factories import TERMS, registry_of, served

STEPS: dict[str, tuple[Any, str, int]] = {  # where it is killed, and the versions that are left
    "while it learns": (module, "learnt", 1),
    "when it has learnt": (module, "reached_step", 1),
    "before it is added": (module, "offer", 1),
    "in the middle of adding": (adding, "write_beside", 1),
    "when it is added": (module.shutil, "rmtree", 2),
}


def learning(registry: Registry, log: Any) -> Callable[..., Any]:
    return lambda cut, why: relearn(registry, log, Recipe(), cut=cut, terms=TERMS, trigger=why)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """The version that a run makes which nobody kills."""
    policy, log = served()
    whole = registry_of(tmp_path_factory.mktemp("whole"), policy)
    return relearn(whole, log, Recipe(), cut=cut_of(log, "monday"), terms=TERMS).version


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of fork beside threads
@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_is_killed_leaves_nothing_half_written(
    tmp_path: Path, step: str, expected: str | None
) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    before = registry.pointer()
    where, name, left = STEPS[step]
    child = os.fork()
    if child == 0:
        setattr(where, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        try:
            run_when_due(registry, log, None, learning(registry, log), name="monday")
        finally:
            os._exit(0)  # it was not killed
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert len(registry.versions()) == left
    assert registry.damaged() == {}
    assert read_state(registry).running == "monday"
    again = run_when_due(registry, log, None, learning(registry, log))
    assert "interrupted" in again.why
    assert again.challenge is not None
    assert again.challenge.version == expected is not None
    assert len(registry.versions()) == 2
    assert registry.pointer() == before
    assert not any((registry.folder / "relearning").iterdir())
    assert not [one for one in (registry.folder / "versions").iterdir() if one.name[0] == "."]

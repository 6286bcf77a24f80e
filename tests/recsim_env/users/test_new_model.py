"""A user model written from scratch costs one file and one registration: CONTRIBUTING's is run."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import gymnasium
import pytest

import recsim_env
from recsim_env.oracles import oracle

GUIDE = Path(__file__).parents[3] / "CONTRIBUTING.md"


def example() -> str:
    """The first Python block of CONTRIBUTING.md."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return str(blocks[0])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example as an importable module, registered by its one line."""
    file = tmp_path / "novelty.py"
    file.write_text(example(), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("mypackage.novelty", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mypackage", module)
    monkeypatch.setitem(sys.modules, "mypackage.novelty", module)
    spec.loader.exec_module(module)
    recsim_env.register("Novelty", "mypackage.novelty")
    return "recsim_env/Novelty-v0"


def test_the_example_is_as_short_as_it_says() -> None:
    lines = [line for line in example().splitlines() if line.strip()]
    assert len(lines) <= 60


def test_one_file_and_one_line_make_an_environment(world: str) -> None:
    recsim_env.check_vector_env(gymnasium.make_vec(world, num_envs=6, max_steps=8))
    many = gymnasium.make_vec(world, num_envs=500, max_steps=50)
    chance, greedy = (
        oracle.session_returns(many, rule, seed=0).total.mean()
        for rule in (oracle.random_slates, oracle.greedy_oracle)
    )
    assert greedy > chance

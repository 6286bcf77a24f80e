"""A user model written from scratch costs one file and one registration (see CONTRIBUTING.md)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import gymnasium
import pytest

import recsim_env
from recsim_env import oracle

FILE = Path(__file__).with_name("novelty_users.py")


@pytest.fixture
def world() -> str:
    """The file as an importable module, registered by its one line."""
    spec = importlib.util.spec_from_file_location("novelty.users", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["novelty"] = module
    sys.modules["novelty.users"] = module
    spec.loader.exec_module(module)
    recsim_env.register("Novelty", "novelty.users")
    return "recsim_env/Novelty-v0"


def test_one_file_and_one_line_make_an_environment(world: str) -> None:
    env = gymnasium.make_vec(world, num_envs=6, max_steps=8)
    recsim_env.check_vector_env(env)
    many = gymnasium.make_vec(world, num_envs=500, max_steps=50)
    chance, greedy = (
        oracle.session_returns(many, rule, seed=0).total.mean()
        for rule in (oracle.random_slates, oracle.greedy_oracle)
    )
    assert greedy > chance

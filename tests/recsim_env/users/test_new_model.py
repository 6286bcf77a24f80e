"""A user model written from scratch costs one file and one registration: CONTRIBUTING's is run."""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_sb3

import recsim_env
from recsim_env.model import load_model
from recsim_env.oracles import oracle

GUIDE = Path(__file__).parents[3] / "CONTRIBUTING.md"


def example() -> str:
    """The first Python block of CONTRIBUTING.md."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return str(blocks[0])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
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
    yield "recsim_env/Novelty-v0"
    del gymnasium.registry["recsim_env/Novelty-v0"]


def test_the_example_is_as_short_as_it_says() -> None:
    lines = [line for line in example().splitlines() if line.strip()]
    assert len(lines) <= 60


def test_every_check_of_an_environment_passes(world: str) -> None:
    recsim_env.check_vector_env(gymnasium.make_vec(world, num_envs=6, max_steps=8))
    one = gymnasium.make(world)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(one)
        check_sb3(one)


def test_config_fields_are_settings_and_bounds_of_sizes_hold(world: str) -> None:
    env = gymnasium.make_vec(world, num_envs=3, n_items=30, n_candidates=5, slate_size=2)
    assert env.unwrapped.n_items == 30
    with pytest.raises(ValueError, match="between one and all"):
        gymnasium.make_vec(world, num_envs=3, n_candidates=61)


def test_every_oracle_serves_it(world: str) -> None:
    many = gymnasium.make_vec(world, num_envs=500, max_steps=50)
    random, greedy, ahead = (
        oracle.session_returns(many, rule, seed=0).total
        for rule in (oracle.random_slates, oracle.greedy_oracle, oracle.look_ahead)
    )
    assert greedy.mean() > random.mean()
    assert np.array_equal(greedy, ahead)  # without a plan of its own, the plan is the worth
    assert recsim_env.expected_reward(many).shape == (500, 10)
    few = gymnasium.make_vec(world, num_envs=4, max_steps=5)
    served = recsim_env.record(few, recsim_env.planning_oracle(few), seed=0, steps=5)
    again = recsim_env.replay(
        few, served.slates, seed=0, at=5, instead=oracle.random_slates, steps=5
    )
    assert np.array_equal(served.reward, again.reward)


def test_a_module_at_the_top_level_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "novel_users.py").write_text(example(), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_model("novel_users").choice == "multinomial_logit"
    assert load_model("boredom") is load_model("recsim_env.users.boredom"), "ours come first"
    with pytest.raises(ModuleNotFoundError, match=r"no_users.*dotted name"):
        load_model("no_users")
    (tmp_path / "empty_users.py").write_text("", encoding="utf-8")
    with pytest.raises(TypeError, match=r"empty_users\.MODEL is a NoneType"):
        load_model("empty_users")
    monkeypatch.delitem(sys.modules, "novel_users")
    monkeypatch.delitem(sys.modules, "empty_users")

"""Policies of one's own by name: registered, or named by module and attribute."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env  # noqa: F401
from policies import POLICIES, build, collect, load, register, save
from policies.adapters import named

MODULE = """
import numpy as np
from policies import register

def popular(observation):
    return 1.0 / (1 + observation.candidates)

@register("mine")
class Mine:
    def __init__(self, serving, slope: float = 1.0):
        self.serving, self.slope, self.seen = serving, slope, 0
    def scores(self, obs):
        return self.slope * obs.candidates
    def update(self, log):
        self.seen += len(log)
        return {"seen": float(self.seen)}

def make(serving, sharp: int = 2):
    return Mine(serving, float(sharp))

class Bare:
    def probabilities(self, obs):
        return np.ones(obs.candidates.shape)

class Nothing:
    pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "shop_policies.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "shop_policies"
    for store in (named.IMPORTED, POLICIES, sys.modules):
        for key in ("shop_policies", "mine"):
            dict.pop(store, key, None)


def world() -> Any:
    return gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=8, max_steps=4, slate_size=2, n_candidates=5
    )


def test_what_a_module_holds_is_built_by_its_name(module: str) -> None:
    env = world()
    for name, settings in (
        ("popular", {}), ("Mine", {"slope": 2.0}), ("make", {"sharp": 3}), ("Bare", {}),
    ):  # fmt: skip
        full = f"{module}:{name}"
        assert full in POLICIES
        policy = build(full, env, **settings)
        log = collect(env, policy, n_sessions=16, seed=0)
        policy.update(log)
    with pytest.raises(ValueError, match="has no setting 'depth'; it takes sharp"):
        build(f"{module}:make", env, depth=3)
    with pytest.raises(ValueError, match="Nothing is no policy: a policy has"):
        build(f"{module}:Nothing", env)
    with pytest.raises(ValueError, match="shop_policies has no 'Gone'"):
        build(f"{module}:Gone", env)
    with pytest.raises(ValueError, match="there is no module 'no_such_module'"):
        build("no_such_module:x", env)
    assert full not in set(POLICIES)


def test_a_registered_name_is_a_name_like_any_other(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "mine" not in POLICIES
    monkeypatch.setenv(named.VARIABLE, module)
    assert "mine" in POLICIES
    policy: Any = build("mine", world(), slope=3.0)
    assert policy.score_model.given.slope == 3.0
    with pytest.raises(ValueError, match=r"there is a policy 'uniform' in policies\.baselines"):
        register("uniform", len)


def test_a_function_may_be_put_in_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POLICIES, "flat", lambda obs: np.ones(obs.candidates.shape))
    env = world()
    log = collect(env, build("flat", env), n_sessions=8, seed=0)
    np.testing.assert_allclose(log.propensity, 1 / 20)
    monkeypatch.setitem(POLICIES, "wrong", lambda a, b: a)
    with pytest.raises(ValueError, match="takes a, b: a builder's first parameter"):
        build("wrong", env)


def test_a_saved_function_is_loaded_only_where_its_module_was_named(
    module: str, tmp_path: Path
) -> None:
    env = world()
    policy = build(f"{module}:popular", env)
    save(policy, tmp_path / "saved")
    again = load(tmp_path / "saved")
    first, second = (collect(env, p, n_sessions=8, seed=3) for p in (policy, again))
    np.testing.assert_array_equal(first.propensity, second.propensity)
    named.IMPORTED.clear()
    with pytest.raises(ValueError, match="import that module first, with --import shop_policies"):
        load(tmp_path / "saved")
    with pytest.raises(ValueError, match="Mine cannot be saved"):
        save(build(f"{module}:Mine", env), tmp_path / "other")

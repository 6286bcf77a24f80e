"""A policy written from scratch costs one file and one line: CONTRIBUTING's is run."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env  # noqa: F401
from experiments.train.policy_settings import Settings
from experiments.train.train_policy import run
from policies import (
    POLICIES,
    Banned,
    build,
    collect,
    constrained,
    load,
    reranked,
    save,
    score_log,
)
from policies.catalog import Lazy
from policies.rules.rerank import Fresh
from tests.factories import make_env

GUIDE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def blocks() -> list[str]:
    """The Python blocks of the section on policies."""
    text = GUIDE.read_text(encoding="utf-8").split("## A new policy")[1]
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def rising(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example as an importable module, registered by its one line."""
    file = tmp_path / "rising.py"
    file.write_text(blocks()[0], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("policies.rising", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "policies.rising", module)
    spec.loader.exec_module(module)
    (line,) = re.findall(r'"(\w+)": (Lazy\(.*\)),', blocks()[1])
    monkeypatch.setitem(POLICIES, line[0], eval(line[1], {"Lazy": Lazy}))
    return str(line[0])


def test_one_file_and_one_line_make_a_policy(rising: str, tmp_path: Path) -> None:
    env: Any = gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=16, n_items=30, slate_size=2, n_candidates=6
    )
    policy: Any = build(rising, env, epsilon=0.2)
    policy.update(collect(env, policy, n_steps=20, seed=0))
    log = collect(env, policy, n_steps=10, seed=1)
    np.testing.assert_allclose(score_log(policy, log).propensity, log.propensity, rtol=1e-9)
    save(policy, tmp_path / "it")
    back: Any = load(tmp_path / "it", serving=policy.serving)
    np.testing.assert_array_equal(back.recommend([1, 2], 5), policy.recommend([1, 2], 5))
    with pytest.raises(ValueError, match="no setting 'gamma'; it takes temperature, epsilon"):
        build(rising, env, gamma=0.9)


def test_rules_and_objectives_hold_over_it(rising: str, tmp_path: Path) -> None:
    env: Any = gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=16, n_items=30, slate_size=2, n_candidates=6
    )
    inner = build(rising, env)
    recalled = Banned("recalled", np.arange(30) < 4)
    policy: Any = constrained(reranked(inner, Fresh(np.arange(30.0), 5.0, 2.0)), recalled)
    log = collect(env, policy, n_steps=20, seed=0)
    assert (log.slate >= 4).all()
    np.testing.assert_allclose(score_log(policy, log).propensity, log.propensity, rtol=1e-9)
    save(policy, tmp_path / "it")
    back = load(tmp_path / "it", serving=inner.serving)
    again = score_log(back, log).propensity
    np.testing.assert_array_equal(again, score_log(policy, log).propensity)


def test_train_policy_learns_it(rising: str, tmp_path: Path) -> None:
    settings = Settings(
        policy=rising, rounds=1, steps=320, users=16, sessions=8, test_sessions=8, out=tmp_path,
        set=("epsilon=0.3",), tensorboard=False,
    )  # fmt: skip
    assert run(settings) == 0
    (folder,) = tmp_path.glob("*-train-policy")
    best: Any = load(folder / "best")
    assert best.exploration.epsilon == 0.3


def test_the_example_is_one_short_file() -> None:
    assert len([line for line in blocks()[0].splitlines() if line.strip()]) <= 60


def test_names_of_0_1_go_on_working_and_say_what_they_are_called_now() -> None:
    import policies

    for old, new in policies.RENAMED.items():
        with pytest.warns(DeprecationWarning, match=f"policies.{old} is called policies.{new} now"):
            assert getattr(policies, old) is getattr(policies, new)
    uniform: Any = build("uniform", make_env(1))
    with pytest.warns(DeprecationWarning, match="called score_model now"):
        assert uniform.scorer is uniform.score_model
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        policies.nothing  # noqa: B018

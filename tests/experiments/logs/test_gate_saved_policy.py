"""The gate judges a policy from the folder that it was saved in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env  # noqa: F401
from experiments.logs import gate as gate_rollout
from experiments.logs.log_files import scores_of
from offpolicy import write_log
from policies import build, collect, save, score_log


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """A log of uniform slates, and a careful policy learnt from it and saved."""
    folder = tmp_path_factory.mktemp("served")
    env = gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=32, n_items=20, slate_size=1, n_candidates=6, max_steps=4
    )
    log = collect(env, build("uniform", env), n_sessions=600, seed=0)
    policy = build("top_rated", env, temperature=2.0)
    policy.update(log)
    write_log(log, folder / "log")
    save(policy, folder / "careful")
    return folder, log, policy


def test_a_saved_policy_is_judged_as_the_policy_itself(served: tuple[Path, Any, Any]) -> None:
    folder, log, policy = served
    np.testing.assert_allclose(
        scores_of(str(folder / "careful"), log).propensity, score_log(policy, log).propensity
    )
    settings = gate_rollout.Settings(
        log=folder / "log", target=(str(folder / "careful"), "uniform"), horizon="per_decision",
        out=folder / "gate.json",
    )  # fmt: skip
    assert gate_rollout.run(settings) in (0, 1, 3)
    told = json.loads((folder / "gate.json").read_text())
    assert [c["name"] for c in told["candidates"]] == ["careful", "uniform"]
    first = {e["estimator"]: e["value"] for e in told["candidates"][0]["report"]["estimates"]}
    assert "seq_dr" in first  # a saved policy brings its own draws for the reward model
    same = {e["estimator"]: e["value"] for e in told["candidates"][1]["report"]["estimates"]}
    assert same["pdis"] == pytest.approx(float(log.reward.sum() / log.n_sessions))


def test_candidates_of_one_name_are_told_apart_and_twice_named_ones_refused() -> None:
    assert gate_rollout.named(("a/x.npz", "uniform")) == {"x": "a/x.npz", "uniform": "uniform"}
    both = gate_rollout.named(("a/x.npz", "b/x.npz"))
    assert list(both) == ["a/x.npz", "b/x.npz"]
    with pytest.raises(ValueError, match="named twice"):
        gate_rollout.named(("a", "a"))

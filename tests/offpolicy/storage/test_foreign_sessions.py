"""A table without sessions is single decisions, where nothing speaks of sessions, and only that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from offpolicy import LogError, LoggedDataset, TargetScores, evaluate, fitted_q, read_log, write_log

N = 60
TABLE: dict[str, Any] = {
    "slate": np.arange(N) % 2, "propensity": np.full(N, 0.5), "reward": np.arange(N) % 2 * 1.0,
}  # fmt: skip
SPEAK: dict[str, Any] = {
    "step": np.arange(N) % 5, "terminated": np.arange(N) % 5 == 4,
    "truncated": np.arange(N) % 5 == 4, "user": np.arange(N) // 5,
    "prior_items": np.zeros((N, 1), int),
}  # fmt: skip


@pytest.mark.parametrize("name", SPEAK)
def test_what_speaks_of_sessions_is_not_thrown_away(name: str) -> None:
    with pytest.raises(LogError, match=f"the table has {name} but no session"):
        read_log(pd.DataFrame({k: list(v) for k, v in (TABLE | {name: SPEAK[name]}).items()}))
    log = read_log(TABLE | {name: SPEAK[name]}, columns={"session": "@row"})
    assert log.n_sessions == N
    assert not log.terminated.any()
    assert log.provenance.single_decisions


def test_a_foreign_name_speaks_as_well() -> None:
    with pytest.raises(LogError, match="the table has step but no session"):
        read_log(TABLE | {"t": SPEAK["step"]}, columns={"step": "t"})


@pytest.mark.parametrize("horizon", ["per_decision", "trajectory", "marginal"])
def test_single_decisions_have_no_session_values(horizon: Any, tmp_path: Path) -> None:
    log = read_log(TABLE)
    write_log(log, tmp_path / "log")
    state = np.zeros(N, int) if horizon == "marginal" else None
    for one in (log, read_log(tmp_path / "log"), log.take(np.arange(30)), joined(log)):
        target = np.full(len(one), 0.5)
        some = state if state is None else state[: len(one)]
        with pytest.raises(LogError, match="names no sessions, so each row is one decision"):
            evaluate(one, target, horizon=horizon, model=None, state=some)
        assert (
            evaluate(one, target, horizon="one_step", model=None)["ips"].value.value
            == one.reward.mean()
        )
    assert "names no sessions" in repr(log)


def joined(log: LoggedDataset) -> LoggedDataset:
    whole = LoggedDataset.from_columns(
        session=[N], step=[0], slate=[1], propensity=[0.5], reward=[0.5], n_items=2
    )
    return LoggedDataset.concat([log.take(np.arange(59)), whole])


def test_models_of_sessions_refuse_them_too() -> None:
    log = read_log(TABLE)
    with pytest.raises(LogError, match="names no sessions"):
        fitted_q(
            log, logged=lambda r: np.ones((N, 1))[r], target=lambda r: np.ones((N, 1))[r], gamma=0.9
        )
    assert log.histories(2)[0].shape == (N, 2)  # a decision alone has an empty history
    assert TargetScores(np.full(N, 0.5)).propensity.shape == (N,)


def test_named_sessions_are_read_as_ever() -> None:
    more = {"prior_items": np.zeros((12, 1), int), "episode": SPEAK["user"]}
    log = read_log(TABLE | SPEAK | more, columns={"session": "episode"})
    assert log.n_sessions == 12
    assert not log.provenance.single_decisions

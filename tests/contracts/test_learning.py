"""What every policy of the registry promises of the logs it learns from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from offpolicy import LoggedDataset
from policies import POLICIES, Banned, Policy, constrained, load, reranked, save
from policies.learning import session_by_session
from policies.rules.rerank import FairExposure
from tests.factories import make_observation, make_serving

A, S = 5, 120
SERVING = make_serving(A, slate_size=1, user_size=2, response_names=("quality",))
START = make_observation(np.full((2, 3), -1), user=np.eye(2))
OFFLINE = ("bc", "reinforce", "cql", "snqn", "decision_transformer")


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Sums of several threads differ in their last digits from one run to the next."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def columns_of_sessions() -> dict[str, NDArray[np.generic]]:
    """S sessions of two decisions: item 0 at first earns 1 at the second one."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, A, S), rng.integers(0, A, S)
    item = np.stack([first, second], axis=1).ravel()
    later = np.stack([np.zeros(S), first == 0], axis=1).ravel()
    return {
        "session": np.repeat(np.arange(S), 2),
        "step": np.tile([0, 1], S),
        "slate": item,
        "consumed": item,
        "responses": np.ones((2 * S, 1)),
        "reward": later,
        "terminated": np.tile([False, True], S),
        "context": np.stack([np.tile([0.0, 1.0], S), later], axis=1),
        "propensity": np.full(2 * S, 1 / A),
        "candidate_propensity": np.full((2 * S, A), 1 / A),
    }


def a_log(order: NDArray[np.int64] | None = None, *, without: str = "") -> LoggedDataset:
    columns = {k: v for k, v in columns_of_sessions().items() if k != without}
    rows = np.arange(2 * S) if order is None else order
    return LoggedDataset.from_columns(n_items=A, **{k: v[rows] for k, v in columns.items()})


def orders() -> dict[str, NDArray[np.int64]]:
    """Rows as a production log has them, and in the order of random times of each decision."""
    step = columns_of_sessions()["step"]
    rng = np.random.default_rng(1)
    begun, taken = rng.random(S), rng.random(S)
    time = np.stack([begun, begun + taken], axis=1).ravel()
    return {"by step": np.argsort(step, kind="stable"), "by time": np.argsort(time)}


def learnt(name: str, log: LoggedDataset) -> Policy:
    policy = POLICIES[name].load()(SERVING, **({"epochs": 2} if name in OFFLINE else {}))
    policy.update(log)
    return policy


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_the_order_of_interleaved_rows_does_not_matter(name: str) -> None:
    one = learnt(name, a_log()).distribution(START)
    for order in orders().values():
        log = a_log(order)
        assert not log.groups.contiguous
        other = learnt(name, log).distribution(START)
        np.testing.assert_allclose(other.first_place(), one.first_place(), atol=1e-9)
        np.testing.assert_array_equal(other.ranking(A), one.ranking(A))


def test_rows_come_session_by_session_with_their_priors() -> None:
    log = LoggedDataset.from_columns(
        session=[7, 3, 7, 3, 5],
        step=[0, 0, 1, 1, 0],
        slate=[0, 1, 2, 3, 4],
        propensity=np.full(5, 0.2),
        reward=np.zeros(5),
        n_items=A,
        consumed=[0, 1, 2, 3, 4],
        prior_items=[[0], [1], [2]],  # of sessions 7, 3, 5
    )
    ordered = session_by_session(log)
    assert ordered.session.tolist() == [3, 3, 5, 7, 7]
    assert ordered.slate[:, 0].tolist() == [1, 3, 4, 0, 2]
    assert ordered.prior_items is not None
    assert ordered.prior_items[:, 0].tolist() == [1, 2, 0]
    assert session_by_session(ordered) is ordered, "and costs nothing where they stand so"


@pytest.mark.parametrize("name", OFFLINE)
def test_flags_that_were_not_logged_end_a_session_with_its_last_row(name: str) -> None:
    given, left_out = a_log(), a_log(without="terminated")
    assert not left_out.terminated.any()
    one, other = learnt(name, given).distribution(START), learnt(name, left_out).distribution(START)
    np.testing.assert_array_equal(other.first_place(), one.first_place())


@pytest.mark.parametrize("name", ["cql", "snqn"])
def test_sessions_cut_after_one_decision_teach_no_values(name: str) -> None:
    part = a_log().take(a_log().step == 0)
    columns = part.columns() | {"truncated": np.ones(len(part), bool)}
    cut = LoggedDataset.from_columns(n_items=A, **columns)
    policy = POLICIES[name].load()(SERVING)
    with pytest.raises(ValueError, match=f"{name} has nothing to learn from.*terminated"):
        policy.update(cut)
    assert policy.score_model.net is None, "and nothing untrained is served as if it had learnt"


@pytest.mark.parametrize("name", OFFLINE)
def test_places_without_an_item_are_left_out_and_empty_logs_refused(name: str) -> None:
    columns = columns_of_sessions()
    empty = np.arange(2 * S) % 4 == 1
    columns |= {
        "slate": np.where(empty, -1, columns["slate"]),
        "consumed": np.where(empty, -1, columns["consumed"]),
    }
    policy = POLICIES[name].load()(SERVING, epochs=2)
    metrics = policy.update(LoggedDataset.from_columns(n_items=A, **columns))
    assert np.isfinite(metrics["loss"])
    nothing = columns | {"slate": np.full(2 * S, -1), "consumed": np.full(2 * S, -1)}
    with pytest.raises(ValueError, match="every slate of the log is empty"):
        learnt(name, LoggedDataset.from_columns(n_items=A, **nothing))


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_log_of_another_catalogue_is_refused(name: str) -> None:
    policy = POLICIES[name].load()(SERVING)
    columns = {k: v for k, v in a_log().columns().items() if k != "candidate_propensity"}
    for n_items in (A + 1, A - 1):
        known = np.flatnonzero(columns["slate"][:, 0] < n_items)
        rows = known[np.unique(columns["session"][known], return_index=True)[1]]
        few = {k: v[rows] for k, v in columns.items()} | {"step": np.zeros(len(rows), int)}
        foreign = LoggedDataset.from_columns(n_items=n_items, **few)
        for one in (
            policy,
            constrained(policy, Banned("none", np.zeros(A, bool))),
            reranked(policy, FairExposure(np.zeros(A, np.int32), np.ones(1), 0.1, np.zeros(1))),
        ):
            with pytest.raises(ValueError, match=rf"has {n_items} items and the policy's has {A}"):
                one.update(foreign)


ADDS_UP = [
    "popularity",
    "top_rated",
    "item_return",
    "greedy_encoder",
    "softmax_encoder",
    "epsilon_greedy",
    "ucb1",
    "cascade_ucb1",
    "one_step",
    "fitted_q",
]


@pytest.mark.parametrize("name", ADDS_UP)
def test_two_logs_teach_what_one_log_of_both_does(name: str, tmp_path: Path) -> None:
    log = a_log()
    parts = [log.take(log.session % 3 == 0), log.take(log.session % 3 > 0)]
    both, whole = POLICIES[name].load()(SERVING), POLICIES[name].load()(SERVING)
    both.update(parts[0])
    save(both, tmp_path / "monday")
    both = load(tmp_path / "monday")  # a night lies between
    both.update(parts[1])
    whole.update(log)
    obs = make_observation(np.array([[-1, -1, 0], [-1, 2, 3]]), user=np.eye(2))
    one, other = whole.distribution(obs), both.distribution(obs)
    np.testing.assert_allclose(other.first_place(), one.first_place(), atol=1e-6)
    np.testing.assert_array_equal(other.ranking(A), one.ranking(A))

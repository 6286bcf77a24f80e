"""Embeddings, clusters, kernels, several loggers: by hand and by enumeration."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, TargetScores, estimate, interval
from offpolicy.diagnostics import diagnose
from offpolicy.weighting.continuous import CUMULATIVE, KERNELS, kernel_terms
from offpolicy.weighting.large_actions import (
    action_terms,
    estimated_mips_terms,
    mips_terms,
    offcem_terms,
)
from offpolicy.weighting.loggers import logger_terms

PI_B, PI_E = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.1, 0.3, 0.5])
TABLE = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])  # p(e | a)
WORTH = np.array([1.0, 3.0])  # the reward depends on e alone


def fixed(rows: slice) -> tuple[np.ndarray, np.ndarray]:
    n = rows.stop - rows.start
    return np.tile(PI_B, (n, 1)), np.tile(PI_E, (n, 1))


def test_mips_is_unbiased_by_enumeration_where_the_embedding_tells_all() -> None:
    total = 0.0
    for e in range(2):
        t = mips_terms(
            fixed, embedding=np.array([[e]]), embedding_given_action=[TABLE], reward=WORTH[[e]]
        )
        total += float(PI_B @ TABLE[:, e]) * estimate(t, "mips").value
    assert total == pytest.approx(float(PI_E @ TABLE @ WORTH), abs=1e-12)


def test_mips_over_two_dimensions_uses_their_joint_not_their_margins() -> None:
    other = TABLE[::-1]
    t = mips_terms(
        fixed,
        embedding=np.array([[0, 1]]),
        embedding_given_action=[TABLE, other],
        reward=np.ones(1),
    )
    joint = TABLE[:, 0] * other[:, 1]
    assert t.weight[0] == pytest.approx(float(PI_E @ joint / (PI_B @ joint)))


def test_offcem_by_enumeration_is_unbiased_for_cluster_effects_and_any_model() -> None:
    cluster, effect = np.array([0, 0, 1, 1]), np.array([1.0, 5.0])
    inside = np.array([0.3, -0.2, 0.1, 0.4])
    total = 0.0
    for a in range(4):
        t = offcem_terms(
            fixed, action=np.array([a]), cluster=cluster, reward=effect[cluster[[a]]] + inside[[a]],
            values=lambda rows: inside[None, :],
        )  # fmt: skip
        total += PI_B[a] * estimate(t, "offcem").value
    assert total == pytest.approx(float(PI_E @ (effect[cluster] + inside)), abs=1e-12)


def test_estimated_embedding_weights_come_near_the_exact_ones() -> None:
    rng = np.random.default_rng(0)
    n = 1500
    a = rng.choice(4, n, p=PI_B)
    e = (rng.random(n) < TABLE[a, 1]).astype(int)
    exact = mips_terms(fixed, embedding=e[:, None], embedding_given_action=[TABLE], reward=WORTH[e])
    learned = estimated_mips_terms(
        fixed,
        context=np.ones((n, 1)),
        action=a,
        embedding=e[:, None].astype(float),
        reward=WORTH[e],
    )
    np.testing.assert_allclose(learned.weight, exact.weight, rtol=0.2)


def test_an_impossible_embedding_is_refused() -> None:
    with pytest.raises(ValueError, match="row 0: the logged embedding has probability 0"):
        mips_terms(
            fixed,
            embedding=np.array([[1]]),
            embedding_given_action=[np.tile([1.0, 0], (4, 1))],
            reward=np.ones(1),
        )


def test_large_catalogues_are_read_in_blocks() -> None:
    """20,000 rows x 500 actions: no array of 10 million entries."""
    rng = np.random.default_rng(0)
    base = rng.dirichlet(np.ones(500))

    def policies(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        n = rows.stop - rows.start
        return np.broadcast_to(base, (n, 500)), np.broadcast_to(1 / 500, (n, 500))

    action = rng.choice(500, 20_000, p=base)
    tracemalloc.start()
    t = action_terms(policies, action=action, n_actions=500, reward=np.ones(20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6
    np.testing.assert_allclose(t.weight, 1 / 500 / base[action])


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_are_densities_and_recover_a_smooth_value(kernel: str) -> None:
    u = np.linspace(-6, 6, 120_001)
    assert np.trapezoid(KERNELS[kernel](u), u) == pytest.approx(1, abs=1e-6)
    rng = np.random.default_rng(0)
    n, x = 40_000, np.random.default_rng(1).uniform(-1, 1, 40_000)
    a = x + rng.normal(size=n)
    density = np.exp(-0.5 * (a - x) ** 2) / np.sqrt(2 * np.pi)
    reward = a + rng.normal(0, 0.1, n)
    t = kernel_terms(a, 0.5 * x + 0.3, density, reward, bandwidth=0.2, kernel=kernel)
    found = interval(estimate(t, "snips"), 0.999)
    assert found.low < 0.3 < found.high


def test_kernel_weights_by_hand() -> None:
    t = kernel_terms([1.0], [1.25], [0.5], [2.0], bandwidth=0.5, bounds=(0, 9))
    assert t.weight[0] == pytest.approx(0.75 * (1 - 0.25) / (0.5 * 0.5))
    with pytest.raises(ValueError, match="bandwidth = 0"):
        kernel_terms([1.0], [1.0], [0.5], [2.0], bandwidth=0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_mass_of_a_kernel_is_its_integral(kernel: str) -> None:
    for low, high in ((-0.3, 0.4), (0.0, 5.0), (-9.0, 0.2)):
        u = np.linspace(low, high, 200_001)
        mass = CUMULATIVE[kernel](np.array(high)) - CUMULATIVE[kernel](np.array(low))
        assert mass == pytest.approx(np.trapezoid(KERNELS[kernel](u), u), abs=1e-8)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_at_the_edge_of_the_range_the_kernel_keeps_its_mass(
    kernel: str, bounds: tuple[float, float] | None
) -> None:
    """Rewards are 1 + 2 a. A kernel that reaches to one side reads a value .8 of a bandwidth or
    less further in (gaussian), 2 * .8 * h too much; half of the mass lost was half of the value."""
    rng = np.random.default_rng(3)
    a = rng.uniform(0, 1, 40_000)
    reward = 1 + 2 * a + 0.1 * rng.normal(size=a.size)
    for target, h in ((0.0, 0.05), (0.02, 0.05), (0.5, 0.05), (1.0, 0.05)):
        t = kernel_terms(
            a, np.full(a.size, target), np.ones(a.size), reward, bandwidth=h, kernel=kernel,
            bounds=bounds,
        )  # fmt: skip
        found, mean = interval(estimate(t, "ips"), 0.999), diagnose(t).mean_weight
        assert found.low - 1.6 * h < 1 + 2 * target < found.high + 1.6 * h
        assert mean is not None
        assert mean.low < 1 < mean.high


def test_kernels_by_hand_at_a_bound_and_out_of_reach() -> None:
    """At the lower bound half of the kernel is left, so that weights double."""
    a, f = np.array([0.0, 0.25, 1.0]), np.ones(3)
    t = kernel_terms(a, np.zeros(3), f, f, bandwidth=0.5)
    np.testing.assert_allclose(t.weight, [3.0, 2.25, 0.0])
    with pytest.raises(ValueError, match=r"target_action\[1\] = 1.6 lies a bandwidth outside"):
        kernel_terms(a, [0.0, 1.6, 0.0], f, f, bandwidth=0.5)
    with pytest.raises(ValueError, match=r"target_action\[1\] = 1.2 lies outside bounds \[0, 1\]"):
        kernel_terms(a, [0.0, 1.2, 0.0], f, f, bandwidth=0.5, bounds=(0, 1))
    with pytest.raises(ValueError, match=r"action\[2\] = 1 lies outside"):
        kernel_terms(a, a, f, f, bandwidth=0.5, bounds=(0, np.array([1, 1, 0.5])))
    with pytest.raises(ValueError, match=r"give bounds=\(low, high\)"):
        kernel_terms([1.0], [1.0], [1.0], [1.0], bandwidth=0.5)
    none = interval(estimate(kernel_terms(a, [0.1, 0.2, 0.3], f, f, bandwidth=1e-9), "ips"))
    assert np.isnan(none.value)
    assert (none.low, none.high) == (-np.inf, np.inf)


def two_loggers(n: int, seed: int) -> tuple[LoggedDataset, TargetScores, np.ndarray, float]:
    rng = np.random.default_rng(seed)
    table = np.array([[0.9, 0.1], [0.3, 0.7]])
    who = np.repeat([0, 1], [n // 4, n - n // 4])
    a = (rng.random(n) < table[who, 1]).astype(int)
    r = np.where(a == 1, 2.0, 1.0) + rng.normal(0, 0.5, n)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=a, propensity=table[who, a], reward=r,
        n_items=2, logger=np.array(["old", "new"])[who],
    )  # fmt: skip
    return log, TargetScores(np.where(a == 1, 0.8, 0.2)), table[:, a].T, 1.8


def test_all_logger_modes_are_right_and_the_mixture_varies_least() -> None:
    found: dict[str, list[float]] = {"naive": [], "balanced": [], "weighted": []}
    for seed in range(100):
        log, scores, table, truth = two_loggers(400, seed)
        for mode, values in found.items():
            t = logger_terms(log, scores, mode=mode, logger_propensity=table)  # type: ignore[arg-type]
            values.append(estimate(t, "ips").value)
    for mode in ("naive", "balanced"):
        assert abs(np.mean(found[mode]) - truth) < 4.5 * np.std(found[mode]) / 10
    assert np.std(found["balanced"]) < np.std(found["naive"])
    assert np.std(found["weighted"]) < np.std(found["naive"])


def rare_loggers(n: int, seed: int) -> tuple[LoggedDataset, TargetScores, float]:
    """Three loggers of different overlap with the target, rewards of about .5 %."""
    rng = np.random.default_rng([seed, 9])
    table = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]])
    target, pays = np.array([0.3, 0.6, 0.1]), np.array([0.004, 0.006, 0.003])
    who = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    a = (rng.random((n, 1)) > table[who].cumsum(1)).sum(1).clip(max=2)
    r = (rng.random(n) < pays[a]).astype(float)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=a, propensity=table[who, a], reward=r,
        n_items=3, logger=who,
    )  # fmt: skip
    return log, TargetScores(target[a]), float(target @ pays)


def test_a_logger_that_earned_little_is_not_trusted_more() -> None:
    """Shares that read rewards take half of the value at rates like these. Unbiased within a z
    test, the interval holds, is no wider than it must be, and its error is below that of naive."""
    found, naive = [], []
    for seed in range(200):
        log, scores, truth = rare_loggers(2000, seed)
        i = interval(estimate(logger_terms(log, scores, mode="weighted"), "ips"))
        found.append((i.value, i.low <= truth <= i.high, i.se))
        naive.append(estimate(logger_terms(log, scores, mode="naive"), "ips").value)
    value, held, se = np.array(found).T
    assert abs(value.mean() - truth) < 3.5 * value.std() / np.sqrt(200)
    assert held.sum() >= 174  # 95 % of 200 less 4 standard errors
    assert se.mean() == pytest.approx(value.std(), rel=0.15)
    assert value.std() < 0.95 * np.std(naive)


def test_shares_of_a_log_do_not_move_with_its_rewards() -> None:
    log, scores, _ = rare_loggers(600, 0)
    other = replace_reward(log, np.arange(600.0))
    one, two = (logger_terms(x, scores, mode="weighted").weight for x in (log, other))
    np.testing.assert_array_equal(one, two)
    again = logger_terms(log, scores, mode="weighted", seed=1).weight
    assert np.abs(again - one).max() > 1e-6
    cell = one / (scores.propensity / log.propensity)  # the factor
    assert len(np.unique(cell.round(9))) == 15  # five folds of three loggers


def replace_reward(log: LoggedDataset, reward: np.ndarray) -> LoggedDataset:
    return LoggedDataset.from_columns(
        session=log.session, step=log.step, slate=log.slate, propensity=log.propensity,
        reward=reward, n_items=3, logger=log.logger,
    )  # fmt: skip


def test_mixture_weights_by_hand_and_refusals() -> None:
    log, scores, table, _ = two_loggers(8, 0)
    t = logger_terms(log, scores, mode="balanced", logger_propensity=table)
    np.testing.assert_allclose(
        t.weight, scores.propensity / (0.25 * table[:, 0] + 0.75 * table[:, 1])
    )
    with pytest.raises(LogError, match="follow the policies' first appearance"):
        logger_terms(log, scores, mode="balanced", logger_propensity=table[:, ::-1])


THIRDS = np.full((2, 3), 1 / 3)


@pytest.mark.parametrize(
    ("action", "logging", "said"),
    [
        ([5, 0], THIRDS, "action of row 0 is 5; codes run from 0 to 2"),
        ([0, -1], THIRDS, "action of row 1 is -1"),
        ([0, 0], np.full((2, 3), 0.9), "row 0: the logging probabilities sum to 2.7"),
        ([0, 0], np.array([[0, 0.5, 0.5], [1, 0, 0]]), "row 0: the cluster .* has probability 0"),
        ([0, 0], np.full((2, 2), 0.5), r"are \(2, 2\), not \(2, 3\)"),
    ],
)
def test_codes_and_distributions_that_cannot_be_are_refused(
    action: list[int], logging: np.ndarray, said: str
) -> None:
    """A code of -1 would have read the last action's column without a word."""
    with pytest.raises(ValueError, match=said):
        offcem_terms(
            lambda rows: (logging[rows], THIRDS[rows]), action=np.array(action),
            cluster=np.array([0, 1, 1]), reward=np.ones(2),
        )  # fmt: skip
    with pytest.raises(ValueError, match="codes run from 0 to 2"):
        mips_terms(
            lambda rows: (THIRDS[rows], THIRDS[rows]), embedding=np.array([[-1], [0]]),
            embedding_given_action=[np.eye(3)], reward=np.ones(2),
        )  # fmt: skip

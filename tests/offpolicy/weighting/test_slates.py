"""Slates: every slate of a tiny world, and weights worked by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, Predictions, TargetScores, estimate, evaluate
from offpolicy.weighting.slates import slate_terms
from tests.offpolicy.factories import plackett

B, E = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])  # Plackett-Luce weights of 3 items


def place_rewards(slate: tuple[int, ...]) -> list[float]:
    """A cascade world: the second place's reward depends on the first item."""
    return [1.0 + slate[0], 0.5 * slate[1] + (2.0 if slate[0] == 2 else 0.0)]


def world() -> tuple[LoggedDataset, TargetScores, np.ndarray]:
    slates = list(permutations(range(3), 2))
    b = np.array([plackett(B, s) for s in slates])
    e = np.array([plackett(E, s) for s in slates])
    rewards = np.array([place_rewards(s) for s in slates])
    log = LoggedDataset.from_columns(
        session=np.arange(6), step=np.zeros(6), slate=slates, propensity=b.prod(1),
        position_propensity=b, position_reward=rewards, reward=rewards.sum(1), n_items=3,
    )  # fmt: skip
    return log, TargetScores(e.prod(1), e), b.prod(1)


def by_enumeration(name: str, weighting: str, model: Predictions | None = None) -> float:
    """Expectation of an estimator over all slates under the logging policy."""
    log, scores, chance = world()
    total = 0.0
    for i in range(6):
        one = TargetScores(scores.propensity[[i]], scores.position_propensity[[i]])  # type: ignore[index]
        q = (
            None
            if model is None
            else Predictions(model.q_logged[2 * i : 2 * i + 2], model.v_target[2 * i : 2 * i + 2])
        )
        t = slate_terms(log.take([i]), one, weighting=weighting, model=q)  # type: ignore[arg-type]
        total += chance[i] * estimate(t, name).value
    return total


def truth() -> float:
    log, scores, _ = world()
    return float(scores.propensity @ log.reward)


@pytest.mark.parametrize(("name", "weighting"), [("sips", "joint"), ("rips", "cascade")])
def test_unbiased_by_enumeration(name: str, weighting: str) -> None:
    assert by_enumeration(name, weighting) == pytest.approx(truth(), abs=1e-12)


def test_cascade_dr_is_unbiased_whatever_the_model() -> None:
    """q of (first), (second | first); v averages q over the target's next place."""
    log, _, _ = world()
    q1 = np.array([3.0, -1.0, 0.5])
    q2 = np.arange(9.0).reshape(3, 3)
    q, v = [], []
    for a, b in log.slate:
        q += [q1[a], q2[a, b]]
        left = E.copy()
        left[a] = 0
        v += [float(E @ q1), float(left @ q2[a] / left.sum())]
    model = Predictions(np.array(q), np.array(v))
    assert by_enumeration("cascade_dr", "cascade", model) == pytest.approx(truth(), abs=1e-12)


def test_independent_places_make_iips_and_pi_unbiased() -> None:
    """Places filled independently (another item pool each), rewards additive over places."""
    b = [np.array([0.7, 0.3]), np.array([0.4, 0.6])]
    e = [np.array([0.2, 0.8]), np.array([0.9, 0.1])]
    worth = [np.array([1.0, 2.0]), np.array([-1.0, 3.0])]
    truth = sum(float(p @ w) for p, w in zip(e, worth, strict=True))
    sums = {"iips": 0.0, "pi": 0.0, "aips": 0.0}
    for i in range(2):
        for j in range(2):
            pb, pe = np.array([[b[0][i], b[1][j]]]), np.array([[e[0][i], e[1][j]]])
            r = np.array([[worth[0][i], worth[1][j]]])
            log = LoggedDataset.from_columns(
                session=[0], step=[0], slate=[[i, 2 + j]], propensity=pb.prod(1),
                position_propensity=pb, position_reward=r, reward=r.sum(1), n_items=4,
            )  # fmt: skip
            scores = TargetScores(pe.prod(1), pe)
            for name, weighting in (
                ("iips", "marginal"),
                ("pi", "pseudo_inverse"),
                ("aips", "adaptive"),
            ):
                t = slate_terms(log, scores, weighting=weighting, behaviour=np.eye(2, dtype=bool))  # type: ignore[arg-type]
                sums[name] += float(pb.prod()) * estimate(t, name).value
    for value in sums.values():
        assert value == pytest.approx(truth, abs=1e-12)


def test_self_normalised_forms_by_hand() -> None:
    log, scores, _ = world()
    b, e = log.position_propensity, scores.position_propensity
    assert b is not None
    assert e is not None
    assert log.position_reward is not None
    w, r = np.cumprod(e / b, axis=1), log.position_reward
    t = slate_terms(log, scores, weighting="cascade")
    assert estimate(t, "snrips").value == pytest.approx(((w * r).sum(0) / w.sum(0)).sum())
    joint = slate_terms(log, scores, weighting="joint")
    whole = w[:, -1]
    assert estimate(joint, "snsips").value == pytest.approx((whole * r.sum(1)).sum() / whole.sum())


def test_evaluate_takes_slate_estimators() -> None:
    log, scores, _ = world()
    many = LoggedDataset.concat([log] * 20)
    assert scores.position_propensity is not None
    told = TargetScores(
        np.tile(scores.propensity, 20), np.tile(scores.position_propensity, (20, 1))
    )
    report = evaluate(many, told, horizon="one_step", estimators=["ips", "sips", "rips", "snrips"])
    frame = report.to_frame().set_index("estimator")
    assert frame.value["sips"] == pytest.approx(frame.value["ips"])
    assert frame.uplift["rips"] != 0
    assert set(frame.horizon) == {"one_step"}


def test_slate_uplifts_compare_the_same_rewards_and_assumptions_are_told() -> None:
    """The agent is paid 10 a slate besides what its places bring: the uplift of rips must not be
    the difference of two things."""
    log, scores, _ = world()
    many = LoggedDataset.concat([replace(log, reward=log.reward + 10.0)] * 20)
    told = TargetScores(
        np.tile(scores.propensity, 20),
        np.tile(scores.position_propensity, (20, 1)),  # type: ignore[arg-type]
    )
    report = evaluate(many, told, horizon="one_step", estimators=["sips", "iips"], check=False)
    assert many.position_reward is not None
    places = many.position_reward.sum(1)
    plain = float((told.propensity / many.propensity * places).mean() - places.mean())
    assert report["sips"].uplift.value == pytest.approx(plain)
    assert any("iips read the place probabilities as those of each" in x for x in report.notes)
    assert any("sips, iips speak of the sum of position_reward" in x for x in report.notes)


def test_a_log_without_place_rewards_or_propensities_is_refused_by_name() -> None:
    log, scores, _ = world()
    bare = LoggedDataset.from_columns(
        session=np.arange(6), step=np.zeros(6), slate=log.slate, propensity=log.propensity,
        reward=log.reward, n_items=3,
    )  # fmt: skip
    with pytest.raises(LogError, match="no position_reward"):
        slate_terms(bare, scores, weighting="cascade")
    with pytest.raises(LogError, match="the target scores lack position_propensity"):
        slate_terms(log, TargetScores(scores.propensity), weighting="cascade")

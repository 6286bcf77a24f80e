"""One function and one line make an estimator: everything that lists estimators then knows it."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import (
    ESTIMATORS,
    LoggedDataset,
    Outcome,
    StreamSpec,
    TargetScores,
    balanced_terms,
    bootstrap,
    dice_terms,
    estimate,
    estimated_mips_terms,
    evaluate,
    interval,
    partial,
    terms,
)
from offpolicy.estimators import Estimator, formulas
from offpolicy.estimators.forms import Form, Ratio, Rows
from offpolicy.estimators.mixing import least_on_simplex
from offpolicy.estimators.registry import fitting, preferred


def halved_ips(t: Rows, *, share: float = 0.5) -> Form:
    """A share of inverse propensity weighting."""
    return Form((Ratio(share * t.weight * t.reward),))


@pytest.fixture
def log() -> LoggedDataset:
    rng = np.random.default_rng(0)
    n = 600
    return LoggedDataset.from_columns(
        session=np.arange(n),
        step=np.zeros(n, int),
        slate=rng.integers(0, 2, n),
        propensity=np.full(n, 0.5),
        reward=rng.random(n),
        n_items=2,
    )


def test_one_line_makes_every_reader_know_it(
    log: LoggedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ESTIMATORS, "mine", Estimator(form=halved_ips, horizons=("one_step",)))
    scores = TargetScores(np.where(log.slate[:, 0] == 0, 0.7, 0.3))
    report = evaluate(log, scores, horizon="one_step", estimators=["ips", "mine"])
    assert report["mine"].value.value == pytest.approx(report["ips"].value.value / 2, rel=1e-12)
    t = terms(log, scores, horizon="one_step")
    whole = estimate(t, "mine", share=1.0)
    assert interval(whole).value == pytest.approx(report["ips"].value.value, rel=1e-12)
    assert "mine" in bootstrap(t, ["mine"], draws=50, seed=0)
    assert partial(t, ["mine"]).value("mine") == pytest.approx(report["mine"].value.value)
    StreamSpec(horizon="one_step", estimators=("mine",))  # raises for names it cannot stream
    with pytest.raises(ValueError, match="mine has no setting 'cap'; it takes share"):
        estimate(t, "mine", cap=2.0)
    with pytest.raises(ValueError, match="mine is no estimator of the per_decision estimand"):
        estimate(terms(log, scores, horizon="per_decision"), "mine")


def test_usual_lists_and_the_deciding_estimator_come_from_the_records() -> None:
    usual = ["ips", "clipped_ips", "snips", "cr", "dm", "dr", "sndr"]
    assert fitting("one_step", usual=True) == usual
    assert fitting("per_decision", usual=True) == ["pdis", "snpdis", "dm", "seq_dr"]
    assert fitting("trajectory", usual=True) == ["tis", "sntis"]
    assert fitting("marginal", usual=True) == ["mis_state", "mis_state_action", "dm", "drl"]
    assert preferred(["ips", "dm", "sndr", "dr"]) == "dr"
    assert preferred(["pdis", "snpdis"]) == "snpdis"
    assert preferred(["ips", "clipped_ips", "snips", "cr"]) == "snips"
    assert preferred(["dm", "cr"]) == "cr"  # the interval of dm does not hold
    assert preferred(["dm"]) == "dm"


def test_the_least_quadratic_form_on_the_simplex_is_exact() -> None:
    """By hand: with the second weight 0 the least of 8.1 x^2 + 8 x (1-x) + 5.1 (1-x)^2."""
    m = np.array([[8.1, 0, 4], [0, 27.1, 9], [4, 9, 5.1]])
    x = least_on_simplex(m)
    np.testing.assert_allclose(x, [1.1 / 5.2, 0, 4.1 / 5.2], atol=1e-6)
    assert x @ m @ x == pytest.approx(4.8673, abs=1e-4)
    rng = np.random.default_rng(0)
    for _ in range(20):  # no point of the simplex is lower
        root = rng.normal(size=(5, 5))
        m = root @ root.T
        best = least_on_simplex(m)
        others = rng.dirichlet(np.full(5, 0.5), 2000)
        assert best.sum() == pytest.approx(1)
        assert best.min() >= 0
        assert best @ m @ best <= np.einsum("ni,ij,nj->n", others, m, others).min() + 1e-7


def test_an_interval_that_does_not_hold_is_marked_where_it_is_read(log: LoggedDataset) -> None:
    """In the record, in the report's notes and in the docstring of what makes the estimate."""
    marked = {name for name, record in ESTIMATORS.items() if record.interval}
    assert marked == {"dm", "dice", "mips", "snmips"}
    assert {name for name, record in ESTIMATORS.items() if record.model_only} <= marked
    for maker in (formulas.dm, dice_terms, estimated_mips_terms, balanced_terms):
        assert "does not hold" in " ".join((maker.__doc__ or "").split())
    scores = TargetScores(
        np.where(log.slate[:, 0] == 0, 0.7, 0.3), slates=np.zeros((len(log), 1, 1), np.int32)
    )
    report = evaluate(log, scores, horizon="one_step", estimators=["ips", "dm"], check=False)
    notes = [x for x in report.notes if x.startswith("the interval of")]
    assert len(notes) == 1
    assert "the interval of dm" in notes[0]
    assert "does not cover the truth" in notes[0]


def test_no_verdict_rests_on_an_interval_that_does_not_hold() -> None:
    """The direct method alone is sure of an uplift, by an interval that is far too short."""
    n = 2000
    item = np.random.default_rng(0).integers(0, 2, n)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=item, propensity=np.full(n, 0.5),
        reward=item.astype(float), n_items=2,
    )  # fmt: skip
    scores = TargetScores(
        np.where(item == 1, 0.9, 0.1),
        slates=np.tile(np.arange(2, dtype=np.int32)[:, None], (n, 1, 1)),
        slate_weight=np.tile([0.1, 0.9], (n, 1)),
    )
    both = evaluate(log, scores, horizon="one_step", estimators=["dm", "ips"], check=False)
    assert (both.decided_by, both.verdict.outcome) == ("ips", Outcome.PASS)
    alone = evaluate(log, scores, horizon="one_step", estimators=["dm"], check=False)
    assert alone["dm"].uplift.low > 0
    assert alone.verdict.outcome is Outcome.UNDECIDED

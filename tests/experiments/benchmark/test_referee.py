"""The referee's own truths: its processes are worth what they say, and its counts are right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.benchmark.referee import figures as f
from experiments.benchmark.referee.doctor.clean_logs import SHAPES
from experiments.benchmark.referee.doctor.exam import Exam, examined
from experiments.benchmark.referee.doctor.planted import FAULTS
from experiments.benchmark.referee.jobs import JOBS
from experiments.benchmark.referee.measure import Seen, figures
from experiments.benchmark.referee.own_terms import OWN_TERMS
from experiments.benchmark.referee.peeking import WATCHES
from experiments.benchmark.referee.processes.bandits import paid
from experiments.benchmark.referee.processes.catalogue import PROCESSES
from experiments.benchmark.referee.processes.chains import debt, drifting
from experiments.benchmark.referee.processes.process import Truth, explore, pick
from experiments.benchmark.referee.processes.sessions import walk
from offpolicy import LoggedDataset

SURE = 4.5  # standard errors: one false alarm in 150,000
ONE_EACH = [
    "rate-5-worse", "closed-better", "loggers-better", "users-better", "pilot-worse",
    "slates-whole-better", "slates-cascade-worse", "slates-product-better", "sessions-fixed-worse",
    "sessions-varying-better", "sessions-users-better", "marginal-better",
]  # fmt: skip


def returns(log: LoggedDataset, x: np.ndarray[Any, Any], gamma: float, one_step: bool) -> Any:
    """What independent units earn and how many sessions (decisions) they have."""
    unit, code = np.unique(log.unit, return_inverse=True)
    amount = np.bincount(code, x * gamma**log.step, len(unit))
    counted = np.ones(len(log)) if one_step else (log.step == 0).astype(float)
    return amount, np.bincount(code, counted, len(unit))


def z_score(amount: np.ndarray[Any, Any], size: np.ndarray[Any, Any], truth: float) -> float:
    """Of the ratio of means against its truth."""
    gap = amount - truth * size
    return float(gap.sum() / (gap.std() * len(gap) ** 0.5))


@pytest.mark.parametrize("name", ONE_EACH)
def test_the_log_earns_what_the_process_says(name: str) -> None:
    process = PROCESSES[name]()
    draw = process.draw(np.random.default_rng(3), 20_000)
    log, one_step = draw.log, process.horizon == "one_step"
    earned = returns(log, log.reward, process.gamma, one_step)
    assert abs(z_score(*earned, process.truth.logged)) < SURE


@pytest.mark.parametrize("name", [n for n in ONE_EACH if PROCESSES[n]().horizon == "one_step"])
def test_reweighted_decisions_earn_the_targets_value(name: str) -> None:
    process = PROCESSES[name]()
    draw = process.draw(np.random.default_rng(4), 40_000)
    weight = draw.scores.propensity / draw.log.propensity
    for x, truth in ((draw.log.reward, process.truth.value), (np.ones(len(weight)), 1.0)):
        earned = returns(draw.log, weight * x, 1.0, True)
        assert abs(z_score(*earned, truth)) < SURE


@pytest.mark.parametrize(
    "chain", [debt(0.45), drifting(6, steps=8, leave=0.2, relative=0.05, far=0.5)]
)
def test_a_chain_that_is_served_by_the_target_earns_its_value(chain: Any) -> None:
    served, rng = replace(chain, logging=chain.target), np.random.default_rng(5)
    start = pick(chain.start[None, :], np.zeros(60_000, np.int64), rng)
    w = walk(served, rng, start)
    total = np.bincount(w.session, chain.mean[w.state, w.action], len(start))
    gap = total - chain.truth().value
    assert abs(gap.mean() / (gap.std() / len(gap) ** 0.5)) < SURE


def test_names_say_the_sign_of_the_uplift() -> None:
    for name, make in PROCESSES.items():
        uplift, value = make().truth.uplift, make().truth.value
        if name.endswith("-better"):
            assert uplift > 0.01 * value * (not name.startswith("cut")), name
        elif name.endswith("-worse"):
            assert uplift < 0, name
        else:
            assert abs(uplift) < 1e-9 * value, name


def test_a_debt_gains_early_and_loses_in_the_end() -> None:
    whole, half = debt(0.45), replace(debt(0.45), steps=6)
    assert whole.truth().uplift < 0 < half.truth().uplift


def test_a_debt_of_two_decisions_by_hand() -> None:
    """First .62 + .22 c; the second .062 less where the first was tempting and cost (chance .8)."""
    c = 0.45
    value = (0.62 + 0.22 * c) + (0.62 + 0.22 * c - 0.062 * 0.8 * c)
    assert replace(debt(c), steps=2).truth().value == pytest.approx(value, abs=1e-12)


def test_heavy_tails_have_the_means_that_are_asked_for() -> None:
    mean = np.full(400_000, 2.0)
    for pay, slack in (("lognormal", 0.2), ("pareto", 0.1)):
        assert paid(mean, pay, np.random.default_rng(0)).mean() == pytest.approx(2.0, abs=slack)  # type: ignore[arg-type]


def test_a_pick_follows_its_row_and_never_takes_a_closed_column() -> None:
    table = np.array([[0.2, 0.0, 0.8, 0.0], [0.0, 1.0, 0.0, 0.0]])
    row = np.repeat([0, 1], 20_000)
    got = pick(table, row, np.random.default_rng(1))
    assert set(got[row == 1]) == {1}
    assert set(got[row == 0]) == {0, 2}
    assert (got[row == 0] == 2).mean() == pytest.approx(0.8, abs=0.015)


def test_exploration_leaves_closed_items_closed() -> None:
    table = explore(np.array([[0.0, -np.inf, 0.0]]), 0.3)
    assert table.tolist() == [[0.5, 0.0, 0.5]]


def record(**changes: Any) -> dict[str, Any]:
    verdicts = {"pass": 7, "fail": 2, "cannot tell: uplift": 11}
    return {"verdicts": verdicts, "same": False, "uplift": 0.1} | changes


def test_wrong_verdicts_are_those_that_the_truth_contradicts() -> None:
    assert f.wrong(record()) == 2
    assert f.wrong(record(uplift=-0.1)) == 7
    assert f.wrong(record(uplift=0.0)) == 7
    assert f.wrong(record(uplift=0.0, same=True)) == 9


def test_a_target_holds_fails_or_is_missed_by_chance() -> None:
    least, most = f.Target(at_least=0.93), f.Target(at_most=0.05)
    assert f.share("", "", "", "", (95, 100), least).holds == "yes"
    assert f.share("", "", "", "", (91, 100), least).holds == "within chance"
    assert f.share("", "", "", "", (80, 100), least).holds == "no"
    assert f.share("", "", "", "", (5, 100), most).holds == "yes"
    assert f.share("", "", "", "", (6, 100), most).holds == "within chance"
    assert f.share("", "", "", "", (20, 100), most).holds == "no"
    assert f.share("", "", "", "", (0, 0), most).holds == ""


def test_coverage_and_width_by_hand() -> None:
    """Values 1, 2, 3 (deviation 1) with intervals of width 2, truth 2.5: two hold it."""
    rows = [(v, v - 1.0, v + 1.0, 0.0, 0.0, 0.0) for v in (1.0, 2.0, 3.0)]
    flags = [True, True, False]
    seen = Seen(rows=rows, judged=flags, decided=[False] * 3, enough=[True] * 3, said=flags)  # type: ignore[arg-type]
    process = replace(PROCESSES["rate-5-equal"](), truth=Truth(2.5, 2.5))
    got = figures(seen, process)
    assert got["value all"] == (2, 3)
    assert got["value judged"] == (1, 2)
    assert got["value decided"] == (0, 0)
    assert got["value silent"] == (1, 1)
    assert got["uplift all"] == (3, 3)
    assert got["value width"] == pytest.approx(2 / 3.92)
    assert got["value bias"] == pytest.approx(-0.5)
    assert got["value rmse"] == pytest.approx(((1.5**2 + 0.5**2 + 0.5**2) / 3) ** 0.5)


@pytest.mark.parametrize("name", SHAPES)
def test_a_clean_shape_is_a_log(name: str) -> None:
    assert examined(SHAPES[name](np.random.default_rng(0), 600)).verdict != "refused"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_the_log(name: str) -> None:
    fault, rng = FAULTS[name], np.random.default_rng(0)
    whole = fault.traffic(rng, 800)
    damaged = fault.damage(whole, rng)
    assert differ(whole, damaged), name


def differ(a: Exam, b: Exam) -> bool:
    if a.columns.keys() != b.columns.keys() or a.time is not b.time or a.scores is not b.scores:
        return True
    return any(not np.array_equal(a.columns[k], b.columns[k]) for k in a.columns)


def test_a_resumed_run_measures_only_what_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--replicates", "2", "--processes", "rate-5-small", "clean-rare", "--workers", "1"]
    command = ["benchmark", "referee", *chosen, "--out", str(tmp_path)]
    assert main(command) == 0
    (folder,) = tmp_path.iterdir()
    page = (folder / "referee.md").read_text()
    (folder / "stages" / "clean-rare-clicks.json").unlink()
    capsys.readouterr()
    assert main([*command, "--resume", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "1 of 4 measurements" in out
    again = (folder / "referee.md").read_text()
    assert [x for x in again.splitlines() if "rate-5-small" in x] == [
        x for x in page.splitlines() if "rate-5-small" in x
    ]
    rows = (folder / "referee.csv").read_text().splitlines()
    assert rows[0].startswith("# longplay benchmark referee --replicates 2 --seed 0")
    assert len({len(row.split(",")) for row in rows[1:3]}) == 1


def test_a_name_that_begins_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "referee", "--processes", "rates"]) == 2
    assert "nothing begins with 'rates'" in capsys.readouterr().err
    assert len(JOBS) == len(PROCESSES) + len(SHAPES) + len(FAULTS) + len(WATCHES) + len(OWN_TERMS)

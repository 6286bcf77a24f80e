"""`longplay evaluate`: what a policy is worth, from a log that another policy wrote."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from experiments.common.run_folder import RunFolder, made_with, new_folder
from experiments.data.datasets import data_root
from experiments.data.open_bandit import (
    item_shares,
    load_open_bandit,
    score_shares,
    score_uniform,
)
from experiments.logs.item_names import items_beside, open_named_log
from experiments.logs.log_files import column_of, scores_of
from experiments.logs.pages import Evaluated, evaluate_page
from offpolicy.evaluation import evaluate
from offpolicy.intervals.inference import Interval
from offpolicy.report import Report
from offpolicy.tables import bounds
from offpolicy.weighting.horizons import Horizon


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Evaluate a target policy from a saved log, or one Open Bandit policy from the other's log."""

    log: tyro.conf.Positional[Path | None] = None
    """A log (folder or file), or any table with --columns. Leave out with --data."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs: slate=item_id propensity=p; slate=a,b for two places."""
    items: str | None = None
    """Items of a foreign log are names: a file of them, one a line in the order of their ids, or
    `log` for those of the log (text is). By default items.txt beside a saved policy."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    max_steps: int | None = None
    """Sessions end after so many decisions by design: one truncated there is whole."""
    target: str | None = None
    """What is judged, as in longplay gate: the folder of a saved policy, a policy of your own
    (mymodule:my_policy), a file of target scores, or `uniform`. With --data open-bandit: bts, the
    default, or random, from the log of the other one."""
    target_scores: Path | None = None
    """The same, by its older name. A file holds the target's probability of each logged slate: a
    table with a column `propensity` (and session and step, by which rows are matched), .npy (N,) in
    the log's order, or .npz with propensity and, where known, position_propensity, slates,
    slate_weight."""
    horizon: Horizon | None = None
    """The estimand; needed for a saved log. Open Bandit rows are single decisions: one_step."""
    state: str | None = None
    """Horizon marginal: the column of the log (column.place) whose values are a Markov state's."""
    data: Literal["open-bandit"] | None = None
    """A public log instead of a saved one."""
    data_root: Path | None = None
    """Folder that holds the data sets; the variable LONGPLAY_DATA otherwise."""
    campaign: Literal["all", "men"] = "all"
    """Open Bandit: 80 items (all) or 34 (men)."""
    level: float = 0.95
    """Level of the intervals."""
    seed: int = 0
    """Of the target's draws for the reward model and of its cross-fitting."""
    out: Path | None = None
    """Folder of this run; results/evaluate-... by default."""


@dataclass(frozen=True, slots=True)
class OnPolicyValue:
    """What the target policy earned when it served itself."""

    value: Interval
    decisions: int


def run(settings: Settings) -> int:
    """Evaluate, print, write the run folder."""
    if (settings.log is None) == (settings.data is None):
        raise ValueError("name one input: a saved LOG, or --data open-bandit")
    read, truth = _open_bandit(settings) if settings.log is None else (_saved(settings), None)
    print(read.report.to_markdown())
    folder = write_run(settings, read, truth)
    print(f"written: {folder / 'report.html'}")
    return 0


def write_run(settings: Settings, read: Evaluated | Report, truth: OnPolicyValue | None) -> Path:
    """report.json, report.html and settings.json; files appear whole. The page of a report alone
    says nothing of the sessions that it was made from."""
    report = read.report if isinstance(read, Evaluated) else read
    name = settings.log.stem if settings.log else f"{settings.data}-{settings.campaign}"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = settings.out or new_folder(Path("results"), f"evaluate-{name}-{stamp}")
    record: dict[str, Any] = json.loads(report.to_json())
    if truth is not None:
        record["truth"] = {"decisions": truth.decisions, **asdict(truth.value)}
    run_folder = RunFolder(folder)
    run_folder.write_json("report.json", record)
    run_folder.write_json("settings.json", {"settings": asdict(settings), "made": made_with()})
    made = run_folder.read_json("settings.json")
    page = evaluate_page(read, name, made) if isinstance(read, Evaluated) else report.to_html()
    run_folder.write_text("report.html", page)
    return folder


def _open_bandit(settings: Settings) -> tuple[Evaluated, OnPolicyValue]:
    root = data_root(settings.data_root)
    target: Literal["random", "bts"] = "random" if settings.target == "random" else "bts"
    if settings.target not in (None, target):
        raise ValueError(f"--target {settings.target}: Open Bandit has bts and random")
    logging: Literal["random", "bts"] = "random" if target == "bts" else "bts"
    log = load_open_bandit(root, campaign=settings.campaign, policy=logging)
    own = load_open_bandit(root, campaign=settings.campaign, policy=target)
    if target == "bts":
        scores, how = score_shares(log, item_shares(own), seed=settings.seed), SHARES
    else:
        scores, how = score_uniform(log), UNIFORM
    if settings.horizon not in {None, "one_step"}:
        raise ValueError(f"--horizon {settings.horizon}: Open Bandit rows are one_step decisions")
    report = evaluate(log, scores, horizon="one_step", level=settings.level, seed=settings.seed)
    truth = OnPolicyValue(mean_interval(own.reward, settings.level), len(own))
    notes = (how, *compared(report, truth, target))
    return Evaluated(replace(report, notes=report.notes + notes), log, scores), truth


SHARES = (
    "Target bts: the policy moved during the week and logged only the items it chose, so its item "
    "distribution at each position is estimated by the item shares of its own log, averaged over "
    "the week. The logging policy's propensities are true: uniform, 1 / A. The interval does not "
    "include the error of those shares."
)
UNIFORM = (
    "Target random: 1 / A for every item, exact. The logging policy's propensities are true: as "
    "Bernoulli Thompson sampling logged them at each impression."
)


def compared(report: Report, truth: OnPolicyValue, target: str) -> tuple[str, ...]:
    """Estimate against what the target earned itself, as sentences."""
    it, line = truth.value, report[report.decided_by]
    inside = "holds" if line.value.low <= it.value <= line.value.high else "MISSES"
    gap, error = line.value.value - it.value, math.hypot(line.value.se, it.se)
    return (
        f"On-policy truth: {target} earned {it.value:.5f} {bounds(it)} a decision over its own "
        f"{truth.decisions} impressions of the same week.",
        f"The {it.level:.0%} interval of {report.decided_by} {inside} it; estimate minus truth "
        f"{gap:+.5f}, {abs(gap) / error:.1f} standard errors of the difference.",
    )


def mean_interval(reward: NDArray[np.float64], level: float) -> Interval:
    """Mean of independent decisions with its normal interval."""
    value, se = float(reward.mean()), float(reward.std(ddof=1) / math.sqrt(len(reward)))
    z = NormalDist().inv_cdf(0.5 + level / 2)
    return Interval(value, value - z * se, value + z * se, se, level, len(reward))


def _saved(settings: Settings) -> Evaluated:
    if settings.target is not None and settings.target_scores is not None:
        raise ValueError("--target and --target-scores name one thing: keep one of them")
    target = settings.target or settings.target_scores
    if target is None or settings.horizon is None:
        raise ValueError(
            "a saved log needs --target-scores FILE and --horizon, or --target POLICY and "
            "--horizon: one_step (the target acts once, "
            "in states the logging policy reached) or per_decision, trajectory, marginal (it "
            "serves whole sessions)"
        )
    assert settings.log is not None
    items = items_beside([target], settings.items)
    log = open_named_log(
        settings.log, settings.columns, settings.n_items, settings.max_steps, items
    )
    scores = scores_of(str(target), log, seed=settings.seed, columns=settings.columns)
    report = evaluate(
        log,
        scores,
        horizon=settings.horizon,
        level=settings.level,
        state=None if settings.state is None else column_of(settings.state, log),
        seed=settings.seed,
    )
    return Evaluated(report, log, scores)

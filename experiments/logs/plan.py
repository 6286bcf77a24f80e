"""`longplay plan LOG --target POLICY`: what to do after "cannot tell", in numbers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import tyro

from experiments.common.building import load_saved
from experiments.logs.item_names import items_beside, open_named_log
from experiments.logs.log_files import scores_of
from offpolicy import GateRule, LoggedDataset
from offpolicy.diagnostics import JUDGED
from offpolicy.estimators.terms import F64
from offpolicy.plan.making import (
    POWER,
    SHARES,
    TRIAL_SHARE,
    PlanSettings,
    make_plan,
    weighed,
)
from offpolicy.plan.record import Step
from offpolicy.plan.steps import path_step
from offpolicy.report import finite
from offpolicy.storage.atomic import write_text
from offpolicy.weighting.horizons import Horizon


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Three ways on where a log cannot tell: the furthest step, a better log, a bounded trial."""

    log: tyro.conf.Positional[Path]
    """A log (folder or file), or any table (.parquet, .csv, .jsonl) with --columns."""
    target: str
    """The candidate: the folder of a saved policy (policies.save), a file of target scores (.npz,
    .npy, .csv, .parquet), or `uniform`."""
    serving: Path | None = None
    """The folder of the policy that serves now, if it is a saved one: then the step may also go
    the geometric way, and its temperature and epsilon are tried for the better log."""
    horizon: Horizon = "per_decision"
    """The estimand; of marginal the plan weighs whole sessions."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs."""
    items: str | None = None
    """Items of a foreign log are names: a file of them, one a line in the order of their ids, or
    `log` for those of the log (text is). By default items.txt beside a saved policy."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    max_steps: int | None = None
    """Sessions end after so many decisions by design: one truncated there is whole."""
    margin: float | None = None
    """Uplift a session (one_step: a decision) that is to be seen; 2 % of what is paid now, above
    --min-uplift, by default."""
    power: float = POWER
    """Chance to see it."""
    shares: tuple[float, ...] = SHARES
    """Of the target in better logs."""
    share: float = TRIAL_SHARE
    """Of the users (sessions) that a trial serves with the target."""
    temperature: tuple[float, ...] = (0.5, 2.0)
    """Better logs: the serving policy's temperature, times so much."""
    epsilon: tuple[float, ...] = (0.1, 0.3)
    """Better logs: shares of uniform slates beside the serving policy's."""
    min_uplift: float = 0.0
    """What the uplift is to exceed; negative: a non-inferiority margin."""
    min_ess: float = JUDGED
    """Effective units below which the gate does not judge."""
    confidence: float = 0.95
    """Of what is seen."""
    monitored: bool = False
    """The better log is judged again as it grows."""
    level: float = 0.95
    """Of the reported intervals."""
    out: Path | None = None
    """Write the plan as JSON here."""


def run(settings: Settings) -> int:
    """Plan, print, write."""
    items = items_beside([settings.target, settings.serving], settings.items)
    log = open_named_log(
        settings.log, settings.columns, settings.n_items, settings.max_steps, items
    )
    scores = scores_of(settings.target, log, columns=settings.columns)
    rule = GateRule(
        min_ess=settings.min_ess,
        min_uplift=settings.min_uplift,
        confidence=settings.confidence,
        monitored=settings.monitored,
    )
    plan = make_plan(
        log,
        scores,
        horizon=settings.horizon,
        rule=rule,
        settings=PlanSettings(
            margin=settings.margin,
            power=settings.power,
            level=settings.level,
            shares=settings.shares,
            trial_share=settings.share,
        ),
        loggers=dict(other_loggers(settings, log)),
        steps=[step for step in (geometric_step(settings, log, rule),) if step is not None],
    )
    print(plan.to_markdown())
    if settings.out is not None:
        write_text(settings.out, json.dumps(finite(asdict(plan)), indent=1, allow_nan=False))
    return 0


def geometric_step(settings: Settings, log: LoggedDataset, rule: GateRule) -> Step | None:
    """The furthest policy on the geometric path from the serving policy to a saved target; where
    there is no such path, as to one that shows its best items surely, a note says so."""
    if settings.serving is None or not Path(settings.target).is_dir():
        return None
    from policies.improve.path import GeometricPathError
    from policies.improve.step import SHARES as STEPS
    from policies.improve.step import score_shares

    now, target = load_saved(settings.serving), load_saved(settings.target)
    try:
        shares = score_shares(log, now, target, STEPS)
    except GeometricPathError as error:
        print(f"NOTE: the plan leaves the geometric path out: {error}", file=sys.stderr)
        return None
    return path_step(
        log,
        "the geometric path (`longplay improve` chooses on it and judges)",
        shares,
        horizon=weighed(settings.horizon),
        min_ess=rule.min_ess,
        level=settings.level,
    )


def other_loggers(settings: Settings, log: LoggedDataset) -> Iterator[tuple[str, F64]]:
    """(name, probabilities (N,) of the logged slates) of the serving policy at other temperatures
    and with uniform slates beside it; none where it is no softmax of scores."""
    if settings.serving is None:
        return
    from policies import ScorePolicy, score_log

    now = load_saved(settings.serving)
    if not isinstance(now, ScorePolicy):
        return
    rule = now.exploration
    changed = {
        f"the present policy with epsilon {e:g}": replace(rule, epsilon=e)
        for e in settings.epsilon
        if e > rule.epsilon
    }
    if rule.temperature is not None:
        changed |= {
            f"the present policy at temperature {x * rule.temperature:g}": replace(
                rule, temperature=x * rule.temperature
            )
            for x in settings.temperature
        }
    for name, exploration in changed.items():
        policy = ScorePolicy(now.score_model, exploration)
        yield name, score_log(policy, log, n_slates=0).propensity

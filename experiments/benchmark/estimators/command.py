"""`longplay benchmark estimators`: how far each estimator errs in worlds of known value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from experiments.benchmark.estimators.worlds import WORLDS, World
from experiments.common.tables import text_table
from experiments.logs.which_estimator import NAMES
from offpolicy import evaluate, score_estimators, score_session_estimators
from offpolicy.estimators.registry import ESTIMATORS, fitting
from offpolicy.weighting.horizons import Horizon

HORIZONS: tuple[Horizon, ...] = ("one_step", "per_decision")
ENOUGH = 0.92  # share of 95 % intervals of an uplift that must hold it


TILT, REDRAWS = 2.0, 40  # of the logs on which which-estimator chooses


class Score(NamedTuple):
    """One estimator over the logs of one world."""

    error: float  # root mean squared error of the value
    uplift_error: float  # of the uplift over the logging policy
    coverage: float  # of the uplift's 95 % intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Tables over worlds, and which estimators err least."""

    logs: int = 40
    """Logs of each world; more have narrower errors."""
    seed: int = 1000
    """Of the worlds and their logs; the default reward model was chosen on worlds of seed 0."""
    choices: int = 3
    """Logs of each world on which `which-estimator` chooses; 0 leaves that out."""
    worlds: tuple[str, ...] = ()
    """Only worlds whose names begin so; all without it."""


def run(settings: Settings) -> int:
    """For each estimand: errors of values and uplifts, coverage, and the means over worlds."""
    named = settings.worlds or ("",)
    worlds = [make(settings.seed) for n, make in WORLDS.items() if n.startswith(named)]
    if not worlds:
        raise ValueError(f"no world begins with {', '.join(named)}; there are {', '.join(WORLDS)}")
    for horizon in HORIZONS:
        own = [w for w in worlds if w.horizon == horizon]
        if own:
            names = compared(horizon)
            scores = {w.name: world_scores(w, names, settings.logs, settings.seed) for w in own}
            print(f"# {horizon}, {settings.logs} logs of each world\n\n{report(scores)}\n")
            if settings.choices:
                lines = [chosen(w, scores[w.name], settings.choices, settings.seed) for w in own]
                print(f"what which-estimator chooses\n\n{text_table(lines)}\n")
    return 0


def compared(horizon: Horizon) -> list[str]:
    """Estimators that a log and target scores suffice for."""
    records = {n: ESTIMATORS[n] for n in fitting(horizon)}
    return [n for n, r in records.items() if not r.terms and not r.weighting]


def world_scores(world: World, names: list[str], logs: int, seed: int) -> dict[str, Score]:
    """How each estimator does over fresh logs of a world, as `evaluate` runs it by default."""
    values, uplifts, held = [], [], []
    for k in range(logs):
        log, scores = world.draw(np.random.default_rng([seed, k]))
        lines = evaluate(
            log, scores, horizon=world.horizon, estimators=names, check=False, plan=False
        ).lines
        gain = world.truth - world.logged
        values.append([x.value.value - world.truth for x in lines])
        uplifts.append([x.uplift.value - gain for x in lines])
        held.append([x.uplift.low <= gain <= x.uplift.high for x in lines])
    error, uplift = (np.sqrt(np.mean(np.square(x), axis=0)) for x in (values, uplifts))
    share = np.mean(held, axis=0)
    return {n: Score(*x) for n, *x in zip(names, error, uplift, share, strict=True)}


def chosen(world: World, scores: dict[str, Score], logs: int, seed: int) -> dict[str, str]:
    """What `which-estimator` recommends on single logs, and how its error compares."""
    one = world.horizon == "one_step"
    names = [n for n in (NAMES if one else fitting("per_decision")) if n in scores]
    least = min(scores[n].error for n in names)
    picked = []
    for k in range(logs):
        log, _ = world.draw(np.random.default_rng([seed, k, 1]))
        score = score_estimators if one else score_session_estimators
        picked.append(score(log, names, tilt=TILT, redraws=REDRAWS, seed=k)[0][0].estimator)
    ratio = [scores[n].error / least for n in picked]
    return {
        "world": world.name,
        "choices": ", ".join(dict.fromkeys(picked)),
        "median error / least": f"{np.median(ratio):.2f}",
        "worst": f"{max(ratio):.2f}",
    }


def report(scores: dict[str, dict[str, Score]]) -> str:
    """Errors in each world over the least one there, and what they say of all worlds."""
    names = list(next(iter(scores.values())))
    worlds = list(scores)
    error = {n: _over_least(scores, n, "error") for n in names}
    uplift = {n: _over_least(scores, n, "uplift_error") for n in names}
    order = sorted(names, key=lambda n: float(np.mean(np.log(error[n]))))
    shares = {n: [scores[w][n].coverage for w in worlds] for n in names}
    heads = {w: f"({k})" for k, w in enumerate(worlds, 1)}
    legend = "; ".join(f"{h} {w}" for w, h in heads.items())
    by_world = [
        {"error / least": n} | {heads[w]: f"{e:.2f}" for w, e in zip(worlds, error[n], strict=True)}
        for n in order
    ]
    covered = [
        {"coverage of the uplift": n} | {heads[w]: f"{s:.2f}" for w, s in
                                         zip(worlds, shares[n], strict=True)}
        for n in order
    ]  # fmt: skip
    means = [
        {
            "estimator": n,
            "mean error / least": f"{np.exp(np.mean(np.log(error[n]))):.2f}",
            "worst": f"{max(error[n]):.2f}",
            "within 1.05 of least": f"{np.mean(np.array(error[n]) <= 1.05):.0%}",
            "mean uplift error / least": f"{np.exp(np.mean(np.log(uplift[n]))):.2f}",
            "worst uplift": f"{max(uplift[n]):.2f}",
            f"worlds with coverage >= {ENOUGH}": f"{np.mean(np.array(shares[n]) >= ENOUGH):.0%}",
        }
        for n in order
    ]
    tables = [text_table(rows) for rows in (means, by_world, covered)]
    return "\n\n".join([tables[0], legend, *tables[1:]])


def _over_least(scores: dict[str, dict[str, Score]], name: str, field: str) -> list[float]:
    """Its errors over the least one of all estimators, world by world."""
    return [
        getattr(own[name], field) / min(getattr(s, field) for s in own.values())
        for own in scores.values()
    ]

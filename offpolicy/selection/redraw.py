"""Logs like the user's with known truth: which estimator errs least, and whose interval holds?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.diagnostics import diagnose
from offpolicy.errors import LogError
from offpolicy.estimators import ESTIMATORS, Estimate, estimate_all, hyper_parameters
from offpolicy.estimators.terms import F64, Terms, refuse_row_weights
from offpolicy.intervals.inference import interval
from offpolicy.log.dataset import LoggedDataset
from offpolicy.models.reward_model import predict_rewards
from offpolicy.models.sklearn_adapter import Regressor
from offpolicy.selection.choosing import choose_settings
from offpolicy.selection.populations import Decisions, Rows, Sessions, decisions_of, sessions_of
from offpolicy.weighting.horizons import Horizon, terms_by_estimator

RESAMPLES = 400  # of the redrawn logs, for the uncertainty of the regret
RARELY = 0.05  # an estimator that is better in fewer resamples is separated from the other
CLOSE = 1.2  # ratio of regrets that logs redrawn from surfaces, not from the world, do not settle

Model = Literal["ridge", "robust"] | Regressor
Hyper = Mapping[str, Mapping[str, float]] | Literal["slope"] | None


class EstimatorScore(NamedTuple):
    """How an estimator did over the redrawn logs."""

    estimator: str
    rmse: float
    bias: float
    coverage: float  # of nominal 95 % intervals
    width: float
    regret: float  # its rmse over the least one, in the reward surface that suits it worst
    regret_high: float  # not more than this at 95 %, over redraws


class Evaluator(NamedTuple):
    """What `evaluate` would run: estimators, their settings, and the reward model behind them."""

    names: Sequence[str]
    horizon: Horizon
    model: Model
    item_features: ArrayLike | None
    hyper: Hyper
    seed: int

    def terms(self, population: Decisions | Sessions, rng: np.random.Generator) -> dict[str, Terms]:
        """Of one redrawn log, for each estimator."""
        log, scores = population.redraw(rng)
        predictions = None
        if any(ESTIMATORS[n].needs_model for n in self.names):
            predictions = predict_rewards(
                log,
                scores,
                horizon=self.horizon,
                item_features=self.item_features,
                estimator=None if isinstance(self.model, str) else self.model,
                robust=self.model == "robust",
                seed=self.seed,
            )
        return terms_by_estimator(log, scores, self.names, horizon=self.horizon, model=predictions)[
            1
        ]


def score_estimators(
    log: LoggedDataset,
    names: Sequence[str],
    *,
    tilt: float = 1.0,
    redraws: int = 100,
    seed: int = 0,
    model: Model = "ridge",
    item_features: ArrayLike | None = None,
    hyper: Hyper = None,
) -> tuple[list[EstimatorScore], float]:
    """Scores, the one to choose first, and the mean effective share of the redrawn logs. `tilt` is
    in standard deviations of the expected rewards; `model`, `item_features` and `hyper` are as in
    `evaluate`, which is what runs on every redrawn log.

    Rewards are redrawn from surfaces richer than the reward model, fitted to the log. The regret of
    an estimator is its error over the least one, in the surface that suits it worst; the choice has
    the least regret, or, where the redraws do not separate others from it (or by less than a ratio
    of 1.2), the least regret among those of them with a rank in ESTIMATORS: their bias does not
    last, whatever the world.

    Where the log holds no full distribution over single items, or one over more than 256
    candidates, its rows themselves are the actions: they are drawn with replacement, the tilt is
    over rows, and estimators that need a model are left out.

    Raises:
        ValueError: no names, no redraws, or a tilt that is not finite.
        LogError: all estimators need a model, and the log holds no full distribution.
    """
    _check_settings(names, tilt, redraws)
    refuse_row_weights(log, "redrawing a log like this one")
    rng = np.random.default_rng(seed)
    populations = decisions_of(log, tilt, rng, item_features)
    if isinstance(populations[0], Rows):
        names = [n for n in names if not ESTIMATORS[n].needs_model]
        if not names:
            raise LogError(
                "without the logging policy's full distribution over single items (at most 256 "
                "candidates) no target is known on other actions, and no model averaged over it: "
                "log candidate_propensity, or name an estimator without a model."
            )
    how = Evaluator(names, "one_step", model, item_features, hyper, seed)
    return _scores(populations, how, redraws, rng)


def score_session_estimators(
    log: LoggedDataset,
    names: Sequence[str],
    *,
    tilt: float = 1.0,
    redraws: int = 100,
    seed: int = 0,
    model: Model = "ridge",
    item_features: ArrayLike | None = None,
    hyper: Hyper = None,
) -> tuple[list[EstimatorScore], float]:
    """As `score_estimators`, for the per_decision estimand; the share is of effective sessions.

    Raises:
        ValueError: no names, no redraws, or a tilt that is not finite.
        LogError: the log holds no candidate_propensity, slates of several items, or sessions with
            missing steps.
    """
    _check_settings(names, tilt, redraws)
    refuse_row_weights(log, "redrawing a log like this one")
    rng = np.random.default_rng(seed)
    how = Evaluator(names, "per_decision", model, item_features, hyper, seed)
    return _scores(sessions_of(log, tilt, rng, item_features), how, redraws, rng)


def _scores(
    populations: Sequence[Decisions] | Sequence[Rows] | Sequence[Sessions],
    how: Evaluator,
    redraws: int,
    rng: np.random.Generator,
) -> tuple[list[EstimatorScore], float]:
    """Scores over logs drawn from populations whose truth is known, and their effective share."""
    shares, outcomes = [], []
    for population in populations:
        truth, own = population.truth, []
        for _ in range(-(-redraws // len(populations))):
            if isinstance(population, Rows):
                by_name = dict.fromkeys(how.names, population.redraw(rng))
            else:
                by_name = how.terms(population, rng)
            shares.append(diagnose(by_name[how.names[0]]).ess_share)
            own.append(_outcomes(by_name, how.hyper, truth))
        outcomes.append(own)
    x = np.array(outcomes, np.float64)  # (populations, redraws, estimators, 3)
    regret, high, order = _ranking(x[..., 0] ** 2, how.names, rng)
    rmse = np.sqrt((x[..., 0] ** 2).mean((0, 1))).tolist()
    bias, coverage, width = x.mean((0, 1)).T.tolist()
    scores = [
        EstimatorScore(how.names[e], rmse[e], bias[e], coverage[e], width[e], regret[e], high[e])
        for e in order
    ]
    return scores, float(np.mean(shares))


def _outcomes(
    by_name: Mapping[str, Terms], hyper: Hyper, truth: float
) -> list[tuple[float, bool, float]]:
    """Error, whether the interval holds the truth, and its width, for each estimator."""
    found: dict[str, Estimate] = {}
    together: dict[int, tuple[Terms, list[str]]] = {}
    for name, t in by_name.items():
        together.setdefault(id(t), (t, []))[1].append(name)
    for t, names in together.values():
        settings = choose_settings(t, names) if hyper == "slope" else hyper
        assert not isinstance(settings, str)
        own = None if settings is None else {n: settings[n] for n in names if n in settings}
        found |= estimate_all(t, names, own)
    intervals = [(found[n].value, interval(found[n])) for n in by_name]
    return [(v - truth, i.low <= truth <= i.high, i.high - i.low) for v, i in intervals]


def _ranking(
    square: F64, names: Sequence[str], rng: np.random.Generator
) -> tuple[list[float], list[float], list[int]]:
    """Regrets and their upper limits, from squared errors (populations, redraws, estimators), and
    the order of the estimators: the choice, then by regret."""
    regret = _regret(square.mean(1))
    n = square.shape[1]
    again = np.stack([
        _regret(np.stack([x[rng.integers(0, n, n)].mean(0) for x in square]))
        for _ in range(RESAMPLES)
    ])  # fmt: skip
    best = int(regret.argmin())
    near = (again <= again[:, [best]]).mean(0) >= RARELY
    near |= regret <= CLOSE * regret[best]
    ranked = [e for e in np.flatnonzero(near).tolist() if ESTIMATORS[names[e]].rank is not None]
    choice = min(ranked, key=lambda e: float(regret[e])) if ranked else best
    rest = [e for e in regret.argsort(kind="stable").tolist() if e != choice]
    return regret.tolist(), np.quantile(again, 0.95, axis=0).tolist(), [choice, *rest]


def _regret(mean_square: F64) -> F64:
    """(E,) of mean squared errors (populations, E)."""
    least = np.maximum(mean_square.min(1, keepdims=True), 1e-300)
    return np.asarray(np.sqrt(mean_square / least).max(0))


def _check_settings(names: Sequence[str], tilt: float, redraws: int) -> None:
    if not names or redraws < 1 or not np.isfinite(tilt):
        raise ValueError(
            f"names = {list(names)}, redraws = {redraws}, tilt = {tilt}: scoring needs estimators, "
            "a redraw at least and a finite tilt"
        )
    for name in names:
        hyper_parameters(name)  # it is known

"""Logs with one fault each, that the doctor must see: wrong columns, rows or clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.benchmark.referee.doctor.clean_logs import Shape
from experiments.benchmark.referee.doctor.exam import Exam
from experiments.benchmark.referee.doctor.traffic import (
    ARMS,
    DAY,
    in_sessions,
    one_place,
    three_places,
)
from experiments.benchmark.referee.processes.process import explore
from offpolicy import TargetScores

Damage = Callable[[Exam, np.random.Generator], Exam]


class Fault(NamedTuple):
    """Clean traffic, and what is done to it."""

    traffic: Shape
    damage: Damage


def column(exam: Exam, name: str) -> NDArray[Any]:
    """A copy of a column."""
    return np.array(exam.columns[name])


def size(exam: Exam) -> int:
    return len(exam.scores.propensity)


def flat(exam: Exam, _: np.random.Generator) -> Exam:
    return exam.changed(propensity=np.full(size(exam), 1 / ARMS))


def flat_unscored(exam: Exam, rng: np.random.Generator) -> Exam:
    """The same where no target is known."""
    return replace(flat(exam, rng), scored=False)


def flat_table(exam: Exam, _: np.random.Generator) -> Exam:
    n = size(exam)
    table = np.full((n, ARMS), 1 / ARMS)
    return exam.changed(propensity=np.full(n, 1 / ARMS), candidate_propensity=table)


def forgotten(exam: Exam, _: np.random.Generator) -> Exam:
    """The softmax was logged, the mixture with 15 % exploration was played."""
    return with_table(exam, (column(exam, "candidate_propensity") - 0.15 / ARMS) / 0.85)


def stale(exam: Exam, rng: np.random.Generator) -> Exam:
    """One row in six carries what an older model would have done."""
    table = column(exam, "candidate_propensity")
    older = explore(np.log(table) + 0.8 * rng.normal(size=ARMS), 0.05)
    return with_table(exam, np.where(rng.random((len(table), 1)) < 1 / 6, older, table))


def all_stale(exam: Exam, rng: np.random.Generator) -> Exam:
    """All rows carry an older model's probability, and no distribution."""
    return without_table(stale_everywhere(exam, rng))


def stale_everywhere(exam: Exam, rng: np.random.Generator) -> Exam:
    table = column(exam, "candidate_propensity")
    return with_table(exam, explore(np.log(table) + 0.8 * rng.normal(size=ARMS), 0.05))


def with_table(exam: Exam, table: NDArray[np.float64]) -> Exam:
    shown = column(exam, "slate")[:, 0]
    own = table[np.arange(len(table)), shown]
    return exam.changed(candidate_propensity=table, propensity=own)


def without_table(exam: Exam) -> Exam:
    kept = {k: v for k, v in exam.columns.items() if k != "candidate_propensity"}
    return replace(exam, columns=kept)


def rows_apart(exam: Exam, _: np.random.Generator) -> Exam:
    """Propensities of the row before."""
    return without_table(exam.changed(propensity=np.roll(column(exam, "propensity"), 1)))


def contradicting(exam: Exam, rng: np.random.Generator) -> Exam:
    """The target's listed slates are those of another item order than its propensity."""
    s, order = exam.scores, rng.permutation(ARMS)
    assert s.slate_weight is not None
    return replace(
        exam, scores=TargetScores(s.propensity, None, s.slates, s.slate_weight[:, order])
    )


def bots(exam: Exam, rng: np.random.Generator) -> Exam:
    """Twenty users make 5 % of the rows and click all they see."""
    n = size(exam)
    mine = rng.random(n) < 0.05
    user = np.where(mine, 10**7 + rng.integers(0, 20, n), column(exam, "user"))
    return exam.changed(user=user, reward=np.where(mine, 1.0, column(exam, "reward")))


def lost_platform(exam: Exam, _: np.random.Generator) -> Exam:
    phone = column(exam, "context")[:, -1] > 0
    return exam.changed(reward=np.where(phone, 0.0, column(exam, "reward")))


def resent(exam: Exam, rng: np.random.Generator, share: float, clicked: bool) -> Exam:
    """Rows again under new ids, a moment later: any, or those with a click."""
    n = size(exam)
    from_ = np.flatnonzero(column(exam, "reward") > 0) if clicked else np.arange(n)
    again = rng.choice(from_, int(share * n), replace=clicked)
    pick = np.sort(np.concatenate([np.arange(n), again]))
    twice = exam.rows(pick)
    assert twice.time is not None
    fresh = column(twice, "context")
    if not clicked:
        fresh[:, :-1] += 1e-5 * rng.normal(size=(len(pick), fresh.shape[1] - 1))
    return replace(twice.changed(context=fresh), time=twice.time + rng.random(len(pick)))


def clock_ahead(exam: Exam, rng: np.random.Generator) -> Exam:
    assert exam.time is not None
    return replace(exam, time=exam.time + 400 * DAY * (rng.random(size(exam)) < 0.02))


def backwards(exam: Exam, rng: np.random.Generator) -> Exam:
    """In one session of twenty the clock runs back by half an hour at some step."""
    session, step = column(exam, "session"), column(exam, "step")
    hit = (rng.random(session.max() + 1) < 0.05)[session] & (step >= 2)
    assert exam.time is not None
    return replace(exam, time=exam.time - 1800.0 * hit)


def next_context(exam: Exam, _: np.random.Generator) -> Exam:
    """The context of the row after: what was observed once the decision had been made."""
    return exam.changed(context=np.roll(column(exam, "context"), -1, axis=0))


def outcomes(exam: Exam, order: NDArray[Any], names: tuple[str, ...]) -> Exam:
    return exam.changed(**{k: column(exam, k)[order] for k in names})


OUTCOME = ("consumed", "reward", "position_reward", "responses")


def all_outcomes(exam: Exam, _: np.random.Generator) -> Exam:
    return outcomes(exam, np.roll(np.arange(size(exam)), 1), OUTCOME)


def some_outcomes(exam: Exam, rng: np.random.Generator) -> Exam:
    """3 % of the rows have the outcome of another."""
    n = size(exam)
    other = np.where(rng.random(n) < 0.03, rng.permutation(n), np.arange(n))
    return outcomes(exam, other, OUTCOME)


def place_rewards(exam: Exam, rng: np.random.Generator) -> Exam:
    return outcomes(exam, rng.permutation(size(exam)), ("position_reward",))


def permuted_places(exam: Exam, _: np.random.Generator) -> Exam:
    return exam.changed(position_propensity=column(exam, "position_propensity")[:, [0, 2, 1]])


def not_renormalised(exam: Exam, _: np.random.Generator) -> Exam:
    """Each place carries its item's chance to stand first."""
    table, every = column(exam, "candidate_propensity"), np.arange(size(exam))[:, None]
    wrong = table[every, column(exam, "slate")]
    return without_table(exam.changed(position_propensity=wrong, propensity=wrong.prod(1)))


def silent_lost(exam: Exam, rng: np.random.Generator) -> Exam:
    """A third of the rows without a click are gone."""
    keep = (column(exam, "reward") > 0) | (rng.random(size(exam)) > 1 / 3)
    return exam.rows(np.flatnonzero(keep))


def arms_lost(exam: Exam, rng: np.random.Generator) -> Exam:
    """Half the rows of four items are gone."""
    keep = (column(exam, "slate")[:, 0] >= 4) | (rng.random(size(exam)) > 0.5)
    return exam.rows(np.flatnonzero(keep))


bare: Shape = partial(one_place, whole=False)
places: Shape = partial(three_places, places=True)
FAULTS: dict[str, Fault] = {
    "flat propensities": Fault(bare, flat),
    "flat propensities, no target given": Fault(bare, flat_unscored),
    "flat propensities, flat table": Fault(one_place, flat_table),
    "exploration left out": Fault(one_place, forgotten),
    "1 row in 6 with an older model's propensity": Fault(one_place, stale),
    "all rows with an older model's, no table": Fault(one_place, all_stale),
    "propensity of the row before, no table": Fault(one_place, rows_apart),
    "listed slates contradict the target's propensity": Fault(one_place, contradicting),
    "20 bots, 5 % of the rows": Fault(one_place, bots),
    "one platform's clicks lost": Fault(one_place, lost_platform),
    "10 % again under new ids, context refreshed": Fault(
        one_place, partial(resent, share=0.1, clicked=False)
    ),
    "5 % retries of clicks under new ids": Fault(
        one_place, partial(resent, share=0.05, clicked=True)
    ),
    "a third of the rows without click lost": Fault(one_place, silent_lost),
    "half the rows of four items lost": Fault(one_place, arms_lost),
    "clock of 2 % of the rows 400 days ahead": Fault(one_place, clock_ahead),
    "time runs backwards in 1 session of 20": Fault(in_sessions, backwards),
    "context of the row after": Fault(in_sessions, next_context),
    "all outcomes of the row before": Fault(places, all_outcomes),
    "3 % of outcomes of other rows": Fault(places, some_outcomes),
    "place rewards of other rows": Fault(places, place_rewards),
    "second and third place's propensities exchanged": Fault(places, permuted_places),
    "places not renormalised": Fault(
        partial(three_places, places=True, table=True), not_renormalised
    ),
}

"""Decisions with their outcomes as the rows of a LoggedDataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import rank_in_group
from serving.contracts.outcomes import SHOWN, TAKEN, TERMINATED, TRUNCATED
from serving.hashes import history_hash
from serving.joining.matching import Matched
from serving.joining.rule import JoinRule, Shape

Bool = NDArray[np.bool_]
Sessions = Sequence[Sequence[Matched]]


def rows_of(
    sessions: Sessions,
    rule: JoinRule,
    shape: Shape,
    counts: Counter[str],
    cut: Sequence[int] = (),
) -> LoggedDataset:
    """One row a decision, sessions in the order given, those `cut` short truncated. Counts
    further_taken, items taken of a decision beyond its first, misplaced_ends, ends that are not of
    a session's last decision, idle_ends, sessions that nobody ended, repeats, slates that a cache
    showed once more, and unrewarded_outcomes, whose kind the reward does not name and that mean
    nothing else.

    Raises LogError where events are not of this shape, or are no log together.
    """
    rows = [matched for session in sessions for matched in session]
    _check_sizes(rows, shape)
    last = np.cumsum([len(session) for session in sessions]) - 1
    columns = _decided(rows, shape) | _came_of(rows, rule, shape, counts)
    columns |= _ends(rows, last, rule, counts, cut) | _priors(sessions, shape)
    return LoggedDataset.from_columns(
        n_items=shape.n_items, item_names=shape.item_names, max_steps=shape.max_steps, **columns
    )


def skewed(sessions: Sessions, log: LoggedDataset, shape: Shape) -> tuple[Bool, Bool]:
    """(N,) where the history that the log derives is not the one that was seen; and where it cannot
    be derived, because decisions of the session are missing."""
    steps = rank_in_group(log.groups) != log.step
    holes = np.bincount(log.sessions, weights=steps)[log.sessions] > 0
    off = np.zeros(len(log), np.bool_)
    whole = np.flatnonzero(~holes)
    if len(whole):
        items, responses = log.take(whole).histories(shape.history_length)
        rows = [matched.decision for session in sessions for matched in session]
        off[whole] = [
            rows[row].history_hash != history_hash(items[i], responses[i])
            for i, row in enumerate(whole.tolist())
        ]
    return off, holes


def _check_sizes(rows: Sequence[Matched], shape: Shape) -> None:
    """Raise LogError, which names the decision, unless all are of one shape, and of this one."""
    first = rows[0].decision
    for decision, outcomes in ((matched.decision, matched.outcomes) for matched in rows):
        r = {len(o.responses) for o in outcomes if o.kind == TAKEN}
        r |= {len(responses) for responses in decision.prior_responses}
        sizes = [("places", {len(decision.slate), len(decision.position_propensity)})]
        sizes += [("responses", r), ("numbers of context", {len(decision.context)})]
        wanted = [shape.slate_size, shape.responses, len(first.context)]
        for name, offers in (("candidates", "candidates"), ("candidates", "candidate_propensity")):
            offer, of_first = getattr(decision, offers), getattr(first, offers)
            if offer is not None and of_first is not None:
                sizes.append((name, {len(offer)}))
                wanted.append(len(of_first))
        for (name, found), number in zip(sizes, wanted, strict=True):
            if found - {number}:
                raise LogError(
                    f"decision {decision.decision_id!r} has {max(found - {number})} {name} and not "
                    f"{number}: join events of each policy's sizes by themselves"
                )


def _decided(rows: Sequence[Matched], shape: Shape) -> dict[str, Any]:
    """What was known when the slate was drawn."""
    every = [matched.decision for matched in rows]
    columns: dict[str, Any] = {
        "session": np.array([d.session_key for d in every]),
        "user": np.array([d.user for d in every]),
        "step": np.array([d.step for d in every]),
        "slate": np.array([d.slate for d in every], np.int32),
        "propensity": np.array([d.propensity for d in every]),
        "position_propensity": np.array([d.position_propensity for d in every]),
        "context": np.array([d.context for d in every], np.float32).reshape(len(every), -1),
        "logger": np.array([d.policy for d in every]),
    }
    if shape.keep_candidates or any(d.candidates is not None for d in every):
        whole = tuple(range(shape.n_items))
        offers = [whole if d.candidates is None else d.candidates for d in every]
        columns["candidates"] = np.array(offers, np.int32)
        tables = [d.candidate_propensity for d in every]
        if shape.keep_tables and all(table is not None for table in tables):
            columns["candidate_propensity"] = np.array(tables)
    return columns


def _came_of(
    rows: Sequence[Matched], rule: JoinRule, shape: Shape, counts: Counter[str]
) -> dict[str, Any]:
    """Items taken and rewards: the sum is over outcomes in the order of their ids."""
    n = len(rows)
    consumed = np.full(n, -1, np.int32)
    responses = np.zeros((n, shape.responses), np.float32)
    means = {SHOWN, TAKEN, TERMINATED, TRUNCATED, *rule.reward}
    at_place, in_all = np.zeros((n, shape.slate_size)), np.zeros(n)
    for row, matched in enumerate(rows):
        for outcome in matched.outcomes:
            if outcome.kind == TAKEN and outcome.item is not None:
                if consumed[row] >= 0:
                    counts["further_taken"] += 1
                else:
                    consumed[row], responses[row] = outcome.item, outcome.responses
        for outcome in sorted(matched.outcomes, key=lambda o: o.outcome_id):
            counts["repeats"] += outcome.kind == SHOWN
            counts["unrewarded_outcomes"] += outcome.kind not in means
            paid = rule.reward.get(outcome.kind, 0.0) * outcome.value
            if outcome.item is None:
                in_all[row] += paid
            else:
                at_place[row, matched.decision.slate.index(outcome.item)] += paid
    return {
        "consumed": consumed,
        "responses": responses,
        "position_reward": at_place,
        "reward": at_place.sum(axis=1) + in_all,
    }


def _ends(
    rows: Sequence[Matched],
    last: NDArray[np.int64],
    rule: JoinRule,
    counts: Counter[str],
    cut: Sequence[int],
) -> dict[str, Any]:
    ends = {name: np.zeros(len(rows), np.bool_) for name in (TERMINATED, TRUNCATED)}
    for name, column in ends.items():
        said = np.array([any(o.kind == name for o in m.outcomes) for m in rows], np.bool_)
        column[last] = said[last]
        counts["misplaced_ends"] += int(said.sum() - said[last].sum())
    short = last[list(cut)]
    ends[TERMINATED][short], ends[TRUNCATED][short] = False, True
    silent = last[~(ends[TERMINATED] | ends[TRUNCATED])[last]]
    ends[rule.idle_end][silent] = True
    counts["idle_ends"] += len(silent)
    return ends


def _priors(sessions: Sessions, shape: Shape) -> dict[str, Any]:
    """Histories at the first decisions; nothing where all were empty."""
    first = [session[0].decision for session in sessions]
    if not (shape.keep_priors or any(d.prior_items for d in first)):
        return {}
    h = shape.history_length
    items = np.full((len(first), h), -1, np.int32)
    responses = np.zeros((len(first), h, shape.responses), np.float32)
    for row, decision in enumerate(first):
        n = min(len(decision.prior_items), h)
        if n:
            items[row, h - n :] = decision.prior_items[-n:]
            responses[row, h - n :] = decision.prior_responses[-n:]
    return {"prior_items": items, "prior_responses": responses}

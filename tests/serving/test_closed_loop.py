"""The promise of the live side: what is joined from its events is what `collect` would have logged,
byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offpolicy import LoggedDataset, check_log
from policies import Banned, Cap, Policy, Quota, Repeats, build, collect, constrained, score_log
from serving import Decision, OutcomeEvent
from serving.joining.join import join
from serving.joining.rule import JoinRule, Shape
from tests.factories import env_of
from tests.serving.factories import (
    EVENT_LOGS,
    SESSION_STORES,
    VERSION,
    collected_by_name,
    events_of,
    keyed_draws,
    make_engine,
    play,
)

A, SLOTS, PER_SLOT = 60, 40, 11  # 440 sessions
make_env = env_of(SLOTS, n_items=A, slate_size=3, n_candidates=20, history_length=10, max_steps=8)
RULE = JoinRule(reward={"paid": 1.0}, window=1e9, idle=1e9)


@pytest.fixture(scope="module")
def policy() -> Policy:
    env = make_env()
    learned = build("top_rated", env, temperature=2.0)
    learned.update(collect(env, build("uniform", env), n_sessions=200, seed=100))
    group = np.arange(A, dtype=np.int32)
    return constrained(
        learned,
        Banned("withdrawn", group % 11 == 3),
        Repeats("seen", group),
        Cap("shelf", group % 7, 1),
        Quota("fresh", group % 3 == 0, least=1, most=2),
    )


@pytest.fixture(scope="module")
def expected(policy: Policy) -> LoggedDataset:
    """The simulator's own log with the caller's names: sessions in the order in which they began,
    those of a moment by their keys."""
    log = collect(
        make_env(),
        policy,
        n_sessions=SLOTS * PER_SLOT,
        seed=7,
        logger=VERSION,
        draws=keyed_draws,
    )
    return collected_by_name(log, PER_SLOT)


@pytest.mark.parametrize("kind", EVENT_LOGS)
def test_the_joined_log_is_what_collect_logs(
    kind: str, policy: Policy, expected: LoggedDataset, tmp_path: Path
) -> None:
    store = SESSION_STORES["redis" if kind in ("redis", "nats") else "memory"]
    engine = make_engine(policy, EVENT_LOGS[kind](tmp_path), sessions=store())
    play(make_env(), engine, sessions_per_slot=PER_SLOT, seed=7, restart_at=30, new_sessions=store)
    decisions, outcomes = events_of(engine.events)
    shape = Shape.of(policy.serving, engine.catalogue)
    joined = join(decisions, outcomes, RULE, shape)
    assert joined.log is not None
    for name, column in expected.columns().items():
        np.testing.assert_array_equal(column, joined.log.columns()[name], err_msg=name)
    assert joined.log.hash() == expected.hash()
    assert joined.log.n_sessions == SLOTS * PER_SLOT
    repeated = len(decisions) - len(expected)
    assert joined.counts["duplicate_decisions"] == repeated > len(expected) / 5
    assert joined.counts["conflicting_decisions"] == 0
    assert joined.counts["joined_outcomes"] == len(outcomes)
    clean = check_log(joined.log, time=joined.time, event_id=np.array(joined.decision_ids))
    assert [f for f in clean.findings if f.level.name == "FAIL"] == []
    assert not joined.skewed.any()
    assert not joined.incomplete.any()
    assert engine.counts["fallbacks"] == engine.counts["unlogged"] == 0

    # shuffled, and a fifth of the events twice
    rng = np.random.default_rng(1)
    again = [_shuffled_with_repeats(events, rng) for events in (decisions, outcomes)]
    mixed = join(*again, RULE, shape)  # type: ignore[arg-type]
    assert mixed.log is not None
    assert mixed.log.hash() == expected.hash()
    assert mixed.counts["duplicate_decisions"] == repeated + len(decisions) // 5
    assert mixed.counts["duplicate_outcomes"] == len(outcomes) // 5


def _shuffled_with_repeats(
    events: list[Decision] | list[OutcomeEvent], rng: np.random.Generator
) -> list[Decision | OutcomeEvent]:
    twice = rng.choice(len(events), size=len(events) // 5, replace=False)
    order = rng.permutation(np.concatenate([np.arange(len(events)), twice]))
    return [events[i] for i in order]


def test_the_log_is_clean_and_scores_as_it_was_served(
    policy: Policy, expected: LoggedDataset
) -> None:
    """Candidates that rules closed are not on offer in the log: the doctor has nothing against it,
    and the policy gives each slate the probability that was logged."""
    closed = (expected.candidates < 0).sum(axis=1)  # type: ignore[operator]
    assert closed.mean() > 1
    scores = score_log(policy, expected, n_slates=0)
    np.testing.assert_allclose(scores.propensity, expected.propensity, rtol=1e-9)
    check = check_log(expected)
    bad = [f for f in check.findings if f.level.name != "PASS"]
    assert bad == []

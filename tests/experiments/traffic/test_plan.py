"""What is sent and when: rates, sessions, reactions; and the figures of known numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments.traffic.play import Plan, messages_of
from experiments.traffic.record import MALFORMED, Calls, Record
from experiments.traffic.schedule import Phase, due_times
from experiments.traffic.served import Served, address
from experiments.traffic.summary import Figure, quantiles, route, share, summary
from experiments.traffic.visits import Behaviour, reactions_to, visits_at

SERVED = Served("v1", 3, ("stars", "minutes"), 2)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_constant_rates_are_exact_and_phases_follow_each_other() -> None:
    due = due_times([Phase(4, 1), Phase(2, 1)], "constant", rng())
    assert due.tolist() == [0, 0.25, 0.5, 0.75, 1, 1.5]
    with pytest.raises(ValueError, match="rps"):
        due_times([Phase(0, 1)], "constant", rng())


def test_poisson_counts_and_gaps() -> None:
    due = due_times([Phase(200, 50), Phase(400, 50)], "poisson", rng())
    first, second = (due < 50).sum(), (due >= 50).sum()
    assert abs(first - 10_000) < 4 * 100
    assert abs(second - 20_000) < 4 * 142
    gaps = np.diff(due[due < 50])
    assert gaps.min() >= 0
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # of an exponential


def test_sessions_are_whole_and_of_geometric_length() -> None:
    behaviour = Behaviour(users=300, think=2, session_length=5)
    visits = visits_at(due_times([Phase(100, 200)], "constant", rng()), behaviour, rng(1))
    order = np.lexsort((visits.due, visits.session))
    session, step = visits.session[order], visits.step[order]
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    lengths = np.diff(np.append(starts, len(session)))
    np.testing.assert_array_equal(step, np.concatenate([np.arange(n) for n in lengths]))
    users = [set(one) for one in np.split(visits.user[order], starts[1:])]
    assert all(len(one) == 1 for one in users)  # a session is one user's
    ended = visits.last[order][np.append(starts[1:], len(session)) - 1]
    assert (~ended).sum() <= 200  # at the end of the run as many go on as are here at a time
    assert np.flatnonzero(visits.last).size == ended.sum()  # nobody asks after leaving
    assert lengths[ended].mean() == pytest.approx(5, rel=0.08)
    gaps = np.diff(visits.due[order])[np.diff(session) == 0]
    assert gaps.mean() == pytest.approx(2, rel=0.02)
    assert len({user for one in users for user in one}) > 250
    assert len(users) > 3_000  # users return


def test_a_user_is_in_one_session_at_a_time() -> None:
    behaviour = Behaviour(users=12, think=1, session_length=3)
    visits = visits_at(due_times([Phase(10, 60)], "constant", rng()), behaviour, rng(1))
    for user in range(12):
        own = np.flatnonzero(visits.user == user)
        assert (np.diff(visits.session[own]) >= 0).all()


def test_reactions_have_the_shares_that_were_asked_for() -> None:
    behaviour = Behaviour(taken=0.6, liked=0.3, duplicates=0.02, late=0.01, delay=0.5)
    n = 50_000
    happened = reactions_to(n, 2, behaviour, rng())
    assert happened.taken.mean() == pytest.approx(0.6, abs=0.01)
    assert happened.liked[happened.taken].mean() == pytest.approx(0.3, abs=0.015)
    assert not happened.liked[~happened.taken].any()
    assert (happened.place == 0).mean() == pytest.approx(2 / 3, abs=0.01)
    assert np.isfinite(happened.again).mean() == pytest.approx(0.02, abs=0.004)
    assert happened.delay.mean() == pytest.approx(0.5 * (0.99 + 0.01 * 20), rel=0.08)


def test_a_seed_is_a_plan() -> None:
    plan = Plan(phases=[Phase(50, 2)], names=list("abcdefgh"), history=3, candidates=4)
    one, same = (messages_of(plan, SERVED, "run") for _ in range(2))
    assert [one.decide(n) for n in range(50)] == [same.decide(n) for n in range(50)]
    request = json.loads(one.decide(0))
    assert request["request_id"] == "run/0"
    assert len(set(request["candidates"])) == 4
    assert len(set(request["history"])) == 3
    assert len(request["context"]) == 2
    n = int(np.flatnonzero(one.visits.step > 0)[0]) if (one.visits.step > 0).any() else None
    assert n is None or "history" not in json.loads(one.decide(n))


def test_reports_follow_the_contract() -> None:
    messages = messages_of(Plan(phases=[Phase(50, 4)]), SERVED, "run")
    taken, last = messages.reactions.taken, messages.visits.last
    n = int(np.flatnonzero(taken & last & messages.reactions.liked)[0])
    report = messages.report(n, ["x"])
    assert report is not None
    first, liked, left = json.loads(report.body)
    value = first["responses"]["stars"]
    assert first["item"] == liked["item"] == "x"
    assert first["responses"] == {"stars": value, "minutes": value}
    assert left["kind"] == "terminated"
    assert "item" not in left
    assert report.ids == (f"run/{n}/taken", f"run/{n}/liked", f"run/{n}/terminated")
    empty = messages.report(n, [])
    assert empty is not None
    assert [one["kind"] for one in json.loads(empty.body)] == ["terminated"]
    silent = int(np.flatnonzero(~taken & ~last)[0])
    assert messages.report(silent, ["x"]) is None


def test_too_few_names_are_an_error_with_the_fix() -> None:
    with pytest.raises(ValueError, match=r"history is 3 of 2 item names: give .* --items"):
        messages_of(Plan(phases=[Phase(1, 1)], names=["a", "b"], history=3), SERVED, "run")


def test_quantiles_of_known_numbers() -> None:
    values = np.arange(1.0, 101)
    found = quantiles(rng().permutation(values), np.zeros(100), (0.5, 0.95, 0.99))
    assert [figure.value for figure in found.values()] == [50, 95, 99]
    assert found[0.5].low == found[0.5].high == 50  # one second only: nothing to resample
    bad = np.where(np.arange(1_000) % 10 == 0, 100.0, 1.0)  # each tenth is slow ...
    by_second = np.arange(1_000) // 100 + 0.5
    assert quantiles(bad, by_second, (0.95,))[0.95] == Figure(100, 100, 100)
    slow_second = np.where(np.arange(1_000) < 100, 100.0, 1.0)  # ... or all of one second
    assert quantiles(slow_second, by_second, (0.95,))[0.95] == Figure(100, 1, 100)


def test_shares_are_exact() -> None:
    assert share(0, 100).high == pytest.approx(1 - 0.025 ** (1 / 100))
    assert share(10, 10).low == pytest.approx(0.025 ** (1 / 10))


def test_a_summary_of_known_calls() -> None:
    record = Record("run", 2.0)
    for n, (due, done, status) in enumerate(
        [(0.0, 0.01, 200), (0.5, 0.53, 200), (1.0, 1.5, 429), (1.2, 9.0, 0), (1.5, 1.6, MALFORMED)]
    ):
        record.decides.answer(record.decides.send(due, due + 0.001, n), status, done)
    record.fallback[1] = "deadline"
    figures = summary(record)
    assert figures.rps == 2.5
    assert figures.decide.success.value == 2 / 5
    assert figures.decide.latency_ms[0.99].value == pytest.approx(30)
    assert figures.decide.statuses == {"429": 1, "no answer": 1, "malformed": 1}
    assert figures.fallback.value == 1 / 2
    assert figures.fallbacks == {"deadline": 1}
    assert figures.lateness_ms[1.0] == pytest.approx(1)
    assert record.answered(by_policy=True) == {"run/0"}
    assert record.answered(by_policy=False) == {"run/1"}
    assert route(record.decides, np.array([False, False, True, True, True])).success.value == 0
    assert route(Calls()).calls == 0


def test_urls() -> None:
    assert address("http://localhost:81/") == ("localhost", 81)
    for bad in ("https://x", "localhost:80", "http://x/y"):
        with pytest.raises(ValueError, match="http://HOST:PORT"):
            address(bad)

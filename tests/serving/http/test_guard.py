"""Deadlines under load, on a clock that only the work moves: one worker, simulated."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import pytest

from serving.http.guard import Guard, Pace

DEADLINE = 25.0


class Answer(NamedTuple):
    came: float  # ms
    waited: float  # ms, until it was answered; nan where it was refused
    late: bool


def simulated(
    arrivals: np.ndarray,
    *,
    own: float = 1.0,
    policy: float = 1.0,
    fallback: float = 0.2,
    slow: dict[int, float] | None = None,
    guard: Guard | None = None,
) -> list[Answer]:
    """A worker's loop over requests that come at `arrivals`, ms. A batch takes `own` ms beside its
    requests; the n-th one takes `slow[n]` longer."""
    guard = guard or Guard(32, DEADLINE)
    line, answers, now, nth = deque[float](), list[Answer](), 0.0, 0
    coming = deque(arrivals.tolist())
    busy: tuple[int, float] | None = None

    def let_in(until: float) -> None:
        while coming and coming[0] <= until:
            came = coming.popleft()
            left = 0.0 if busy is None else guard.left_ms(busy[0], came - busy[1])
            if len(line) < 128 and guard.admits(len(line), left, None):
                line.append(came)
            else:
                answers.append(Answer(came, np.nan, late=False))

    while coming or line:
        if not line:
            now = max(now, coming[0])
            let_in(now)
        taken = [line.popleft() for _ in range(min(guard.size(), len(line)))]
        busy, began = (len(taken), now), now
        late = [guard.late(now - came, DEADLINE, len(taken)) for came in taken]
        for is_late, each in ((True, fallback), (False, policy)):
            some = [came for came, one in zip(taken, late, strict=True) if one == is_late]
            if some:
                before = now
                now += own + each * len(some) + (0 if is_late else (slow or {}).get(nth, 0.0))
                let_in(now)
                answers += [Answer(came, now - came, is_late) for came in some]
                if not is_late:
                    guard.policy.took(len(some), now - before)
        guard.line.took(len(taken), now - began)
        busy, nth = None, nth + 1
    return answers


def poisson(a_second: float, seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.exponential(1e3 / a_second, int(a_second * seconds)))


def shares(answers: list[Answer]) -> tuple[float, float]:
    """Of all answers, those refused and those late."""
    refused = np.isnan([answer.waited for answer in answers])
    return float(refused.mean()), float(np.mean([answer.late for answer in answers]))


def test_a_quiet_server_refuses_nobody_and_is_never_late() -> None:
    assert shares(simulated(poisson(300, 20))) == (0.0, 0.0)


def test_a_burst_on_a_quiet_server_is_let_in() -> None:
    """Batches of one say nothing of what one more request costs: most of it is their own time."""
    guard = Guard(32, DEADLINE)
    simulated(np.arange(0, 2_000, 20.0), own=4.0, policy=0.4, guard=guard)
    burst = simulated(np.full(12, 5_000.0), own=4.0, policy=0.4, guard=guard)
    assert shares(burst)[0] == 0.0


@pytest.mark.parametrize(("times", "fallback"), [(2, 0.2), (5, 0.2), (2, 0.9), (5, 1.5)])
def test_at_sustained_overload_what_is_answered_is_answered_in_time(
    times: float, fallback: float
) -> None:
    """The policy alone answers 960 a second. Where the fallback costs little it answers, and where
    it does not help either the rest is refused at the door."""
    answers = simulated(poisson(960 * times, 6), fallback=fallback)
    waited = np.array([a.waited for a in answers if a.came > 1_000], float)  # by then it is known
    answered = waited[~np.isnan(waited)]
    assert np.quantile(answered, 0.99) < 60.0
    refused, late = shares(answers)
    assert late > 0 or refused > 0.3
    assert len(answered) > 0.6 * 960 * 5, "the worker is not idle while it refuses"


def test_the_policy_answers_again_at_once_after_overload() -> None:
    guard = Guard(32, DEADLINE)
    simulated(poisson(5_000, 5), guard=guard)
    assert shares(simulated(10_000 + poisson(300, 5), guard=guard)) == (0.0, 0.0)


def test_one_slow_batch_locks_nobody_out() -> None:
    """Two seconds of nothing: those who came meanwhile are late or refused, and no one later."""
    answers = simulated(poisson(300, 20), slow={1_000: 2_000.0})
    refused = [a.came for a in answers if np.isnan(a.waited)]
    late = [a.came for a in answers if a.late]
    assert late
    assert max(refused + late) - min(late) < 2_050


def test_a_server_that_got_slower_is_believed_after_a_few_batches() -> None:
    pace = Pace()
    for _ in range(200):
        pace.took(4, 4.0)
    assert pace.of(4, 4) == pytest.approx(4.0, rel=0.01)
    pace.took(4, 1e9)
    assert pace.of(4, 4) < 3 * 4.0
    for _ in range(60):
        pace.took(4, 40.0)
    assert pace.of(4, 4) == pytest.approx(40.0, rel=0.05)


def test_what_is_a_batchs_own_is_told_from_what_is_a_requests() -> None:
    pace, rng = Pace(), np.random.default_rng(0)
    for n in rng.integers(1, 20, 500).tolist():
        pace.took(n, 3.0 + 0.5 * n)
    assert pace.own_ms() == pytest.approx(3.0, rel=0.02)
    assert pace.each_ms() == pytest.approx(0.5, rel=0.02)
    assert pace.of(40, 16) == pytest.approx(3 * 3.0 + 40 * 0.5, rel=0.02)
    assert pace.fits(13.0) == pytest.approx(20.0, rel=0.02)


def test_batches_are_as_large_as_half_a_deadline_allows() -> None:
    guard = Guard(32, DEADLINE)
    assert guard.size() == 32, "nothing is known yet"
    for n in (4, 8, 16) * 100:
        guard.policy.took(n, 2.5 + 0.5 * n)
    assert guard.size() == pytest.approx(20, abs=1)
    for n in (4, 8, 16) * 100:
        guard.policy.took(n, 50.0 + 5.0 * n)
    assert guard.size() == 8
    assert Guard(3, DEADLINE).size() == 3


def test_half_of_a_deadline_is_always_there() -> None:
    guard = Guard(32, DEADLINE)
    for _ in range(300):
        guard.policy.took(1, 10.0)
    assert guard.late(31.0, 40.0, 1)
    assert not guard.late(29.0, 40.0, 1)
    for _ in range(300):
        guard.policy.took(1, 1e6)
    assert not guard.late(20.0, 40.0, 1)
    assert guard.late(20.1, 40.0, 1)


def test_the_first_in_line_is_let_in_and_a_longer_deadline_waits_longer() -> None:
    guard = Guard(32, DEADLINE)
    for _ in range(300):
        guard.line.took(1, 100.0)
    assert guard.admits(0, 1e9, None)
    assert not guard.admits(1, 0.0, None)
    assert not guard.admits(1, 0.0, 1.0)
    assert guard.admits(1, 0.0, 200.0)


def test_the_worker_rests_while_few_wait_and_never_for_long() -> None:
    guard = Guard(32, DEADLINE)
    assert guard.rest_ms(0) == 0.0, "nothing is known yet"
    for n in [1, 12] * 60:
        guard.policy.took(n, 1.0 + 0.25 * n)
    assert guard.rest_ms(0) == guard.rest_ms(3) == pytest.approx(0.5, rel=0.05)
    assert guard.rest_ms(5) == 0.0, "five take longer than what a batch takes beside them"
    for n in [1, 12] * 60:
        guard.policy.took(n, 50.0 + 0.25 * n)
    assert guard.rest_ms(0) == 2.5
    brief = Guard(32, 10.0)
    for n in [1, 12] * 60:
        brief.policy.took(n, 50.0 + 0.25 * n)
    assert brief.rest_ms(0) == pytest.approx(1.0)

"""What is served over HTTP and joined is what `collect` would have logged, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import Banned, Cap, Policy, Quota, Repeats, build, collect, constrained
from serving import Engine, Outcome, Request
from serving.http.running import running
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
from tests.serving.http.factories import Caller, tiny_service

A, SLOTS, PER_SLOT = 60, 60, 4  # 240 sessions
make_env = env_of(SLOTS, n_items=A, slate_size=3, n_candidates=20, history_length=10, max_steps=5)
RULE = JoinRule(reward={"paid": 1.0}, window=1e9, idle=1e9)
AT_ONCE = 16


@pytest.fixture(scope="module")
def policy() -> Policy:
    env = make_env()
    learned = build("top_rated", env, temperature=2.0)
    learned.update(collect(env, build("uniform", env), n_sessions=100, seed=100))
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
    log = collect(
        make_env(), policy, n_sessions=SLOTS * PER_SLOT, seed=7, logger=VERSION, draws=keyed_draws
    )
    return collected_by_name(log, PER_SLOT)


@dataclass(frozen=True)
class Answered:
    """What a caller has of a decision."""

    decision_id: str
    slate: tuple[int, ...]


class OverHttp:
    """Looks like an engine to `play`, and asks its server, many calls at a time."""

    def __init__(self, engine: Engine, callers: Sequence[Caller]) -> None:
        object.__setattr__(self, "engine", engine)
        object.__setattr__(self, "free", SimpleQueue[Caller]())
        object.__setattr__(self, "pool", ThreadPoolExecutor(len(callers)))
        for caller in callers:
            self.free.put(caller)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.engine, name, value)  # its clock and its sessions

    def _post(self, path: str, body: Any) -> Any:
        caller = self.free.get()
        status, answer = caller.post(path, body)
        self.free.put(caller)
        assert status == 200, answer
        return answer

    def decide_many(self, requests: Sequence[Request]) -> list[Answered]:
        bodies = [json.loads(request.to_json()) for request in requests]
        answers = self.pool.map(lambda body: self._post("/decide", body), bodies)
        return [self._answered(answer) for answer in answers]

    def _answered(self, answer: dict[str, Any]) -> Answered:
        slate = self.engine.catalogue.numbers("items", answer["items"])
        empty = self.engine.serving.slate_size - len(slate)
        return Answered(answer["decision_id"], (*slate, *[-1] * empty))

    def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        answer = self._post("/outcome", [json.loads(one.to_json()) for one in outcomes])
        assert answer == {"kept": len(outcomes)}


@contextmanager
def over_http(engine: Engine) -> Iterator[OverHttp]:
    with ExitStack() as stack:
        url = stack.enter_context(running(tiny_service(engine)))
        callers = [stack.enter_context(Caller(url)) for _ in range(AT_ONCE)]
        asked = OverHttp(engine, callers)
        stack.enter_context(asked.pool)
        yield asked


@pytest.mark.parametrize("kind", EVENT_LOGS)
def test_the_joined_log_is_what_collect_logs(
    kind: str, policy: Policy, expected: LoggedDataset, tmp_path: Path
) -> None:
    store = SESSION_STORES["redis" if kind in ("redis", "nats") else "memory"]
    engine = make_engine(policy, EVENT_LOGS[kind](tmp_path), sessions=store())
    with over_http(engine) as asked:
        play(
            make_env(), asked, sessions_per_slot=PER_SLOT, seed=7, restart_at=12, new_sessions=store
        )
        decisions, outcomes = events_of(engine.events)
    joined = join(decisions, outcomes, RULE, Shape.of(policy.serving, engine.catalogue))
    assert joined.log is not None
    for name, column in expected.columns().items():
        np.testing.assert_array_equal(column, joined.log.columns()[name], err_msg=name)
    assert joined.log.hash() == expected.hash()
    assert joined.log.n_sessions == SLOTS * PER_SLOT
    assert joined.counts["joined_outcomes"] == len(outcomes)
    assert joined.counts["conflicting_decisions"] == 0
    assert not joined.skewed.any()
    assert engine.counts["fallbacks"] == engine.counts["unlogged"] == 0

"""A server under load: its policy is swapped, it ends, it comes back; nothing is lost or failed."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies import Repeats, constrained, save
from policies.baselines.uniform import uniform
from serving import Catalogue, Registry, SegmentLog
from serving.contracts.starts import Start
from serving.events.reading import starts_of
from serving.http.running import running
from tests.factories import make_serving
from tests.serving.factories import VERSION, events_of, names_of
from tests.serving.http.factories import (
    N_ITEMS,
    Caller,
    outcome,
    request,
    tiny_engine,
    tiny_service,
)

Sent = list[tuple[int, dict[str, Any]]]


def load(url: str, until: threading.Event, numbers: Iterator[int]) -> Sent:
    """Decisions and outcomes, one after another on one connection."""
    answers = []
    with Caller(url) as caller:
        while not until.is_set():
            n = next(numbers)
            answers.append(caller.post("/decide", request(n)))
            if n % 3 == 0:
                answers.append(caller.post("/outcome", outcome(n)))
    return answers


def test_swaps_under_load_lose_and_fail_nothing(tmp_path: Path) -> None:
    engine = tiny_engine(events=SegmentLog(tmp_path))
    other = uniform(make_serving(N_ITEMS, user_size=0))
    versions = [VERSION, "policy@2"]
    policies = dict(zip(versions, (engine.policy, other), strict=True))
    over, numbers = threading.Event(), itertools.count()
    with running(tiny_service(engine)) as url, ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(load, url, over, numbers) for _ in range(6)]
        with Caller(url) as caller:
            for turn in range(30):
                version = versions[(turn + 1) % 2]
                engine.swap(policies[version], version=version)
                asked = [caller.post("/decide", request(n, user="me", session=f"{turn}"))
                         for n in range(10_000 + 3 * turn, 10_003 + 3 * turn)]  # fmt: skip
                assert [answer["policy"] for _, answer in asked] == [version] * 3
        over.set()
        answers = list(itertools.chain(*[one.result() for one in sent]))
    assert Counter(status for status, _ in answers) == {200: len(answers)}
    found = SegmentLog(tmp_path)
    decisions, outcomes = events_of(found)
    found.close()
    logged = {d.decision_id: (d.policy, d.items) for d in decisions}
    given = [answer for _, answer in answers if "items" in answer]
    assert len(given) > 100
    assert {answer["policy"] for answer in given} == {*versions}
    for answer in given:
        assert logged[answer["decision_id"]] == (answer["policy"], tuple(answer["items"]))
    assert len(logged) == len(decisions) == len(given) + 90
    assert len(outcomes) == len(answers) - len(given)


def test_what_waits_at_the_end_is_answered(tmp_path: Path) -> None:
    engine = tiny_engine(events=SegmentLog(tmp_path))
    decide_many, gate, busy = engine.decide_many, threading.Event(), threading.Event()

    def gated(*given: Any, **settings: Any) -> Any:
        busy.set()
        assert gate.wait(20)
        return decide_many(*given, **settings)

    engine.decide_many = gated  # type: ignore[method-assign]
    service = tiny_service(engine)
    with ThreadPoolExecutor(8) as pool:

        def ask(n: int) -> tuple[int, Any]:
            with Caller(url) as caller:
                return caller.post("/decide", request(n))

        with running(service) as url:
            sent = [pool.submit(ask, n) for n in range(8)]
            assert busy.wait(20)
            while len(service.worker.queue) < 7:
                pass
            threading.Timer(0.1, gate.set).start()
        assert [one.result()[0] for one in sent] == [200] * 8
    assert [path.suffix for path in tmp_path.glob("main-*")] == [".jsonl"]
    found = SegmentLog(tmp_path)
    assert len(events_of(found)[0]) == 8
    found.close()


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A tiny policy is live in it."""
    serving = make_serving(N_ITEMS, user_size=0)
    policy = constrained(uniform(serving), Repeats("seen", np.arange(N_ITEMS, dtype=np.int32)))
    save(policy, tmp_path / "policy")
    found = Registry(tmp_path / "registry")
    found.promote(found.add(tmp_path / "policy", catalogue=Catalogue(names_of(N_ITEMS))))
    return found.folder


@contextmanager
def served(registry: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`longplay serve` in a process of its own."""
    given = ["serve", "--registry", str(registry), "--port", "0", *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments", *given],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.match(r"serving on (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
        assert found is not None, process.communicate()[1]
        yield found[1], process
    finally:
        process.kill()
        process.communicate()


def test_a_server_ends_by_sigterm_and_goes_on_where_it_was(registry: Path) -> None:
    over, numbers = threading.Event(), itertools.count(100)
    with served(registry) as (url, process), ThreadPoolExecutor(4) as pool:
        with Caller(url) as caller:
            first = [caller.post("/decide", request(n, user="ann"))[1] for n in range(2)]
            item = first[1]["items"][0]
            taken = outcome(1, user="ann", kind="taken", item=item, responses={"click": 1.0})
            assert caller.post("/outcome", taken)[0] == 200
        sent = [pool.submit(_until_closed, url, over, numbers) for _ in range(4)]
        while next(numbers) < 300:
            over.wait(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, process.communicate()[1]
        over.set()
        answers = list(itertools.chain(*[one.result() for one in sent]))
    events = registry / "events"
    assert [path.suffix for path in events.glob("main-*")] == [".jsonl"], "closed and sealed"
    assert {status for status, _ in answers} <= {200, 503}
    found = SegmentLog(events, writer="reader")
    logged = {d.decision_id for d in events_of(found)[0]}
    assert {answer["decision_id"] for status, answer in answers if status == 200} <= logged
    assert [type(start) for start in starts_of(found)] == [Start]
    found.close()

    with served(registry) as (url, process), Caller(url) as caller:
        assert caller.post("/decide", request(1, user="ann"))[1] == first[1], "remembered"
        after = caller.post("/decide", request(2, user="ann"))[1]
        assert after["step"] == 2
        assert item not in after["items"], "the history is there again"
        status, answer = caller.get("/status")
        assert (status, answer["items"], answer["policy"]) == (200, N_ITEMS, after["policy"])
        assert answer["versions"] == [after["policy"]]
        explained = caller.post("/explain", {"decision_id": "r2"})
        assert explained[0] == 200, explained
        assert caller.post("/explain", {"history": ["item-1", "item-2"]})[0] == 200
        assert caller.post("/explain", {"decision_id": "nothing"})[0] in (400, 404, 422)
        assert b"longplay" in caller.send("GET", "/metrics")[2]
        assert caller.send("GET", "/")[1]["content-type"] == "text/html; charset=utf-8"
        assert caller.send("GET", "/page/page.js")[0] == 200
        forgotten = caller.post("/forget", {"user": "user 1"})
        assert forgotten[0] == 200, forgotten
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    found = SegmentLog(events, writer="reader")
    assert [entry.number for entry in found.read("main")] == [*range(len(logged) + 5)]
    found.close()


def _until_closed(url: str, over: threading.Event, numbers: Iterator[int]) -> Sent:
    """As `load`, and what was answered before the server closed the connection."""
    answers: Sent = []
    with Caller(url) as caller:
        while not over.is_set():
            try:
                answers.append(caller.post("/decide", request(next(numbers))))
            except OSError:
                break
    return answers

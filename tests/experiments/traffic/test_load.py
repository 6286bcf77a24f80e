"""Load against a server whose answers are known."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.traffic.play import Plan, play
from experiments.traffic.schedule import Phase
from experiments.traffic.summary import summary
from experiments.traffic.visits import Behaviour
from tests.experiments.traffic.stub import Reply, slate, stub

QUICK = Behaviour(users=50, think=0.2, session_length=4, delay=0.02, duplicates=0.2, late=0.0)


def test_every_request_is_sent_and_outcomes_follow_the_answers() -> None:
    with stub() as (url, seen):
        plan = Plan(phases=[Phase(100, 1)], arrivals="constant", behaviour=QUICK)
        record = play(url, plan, run="r", token="secret")
    figures = summary(record)
    assert figures.decide.calls == len(seen["/decide"]) == 100
    assert figures.decide.success.value == figures.outcome.success.value == 1
    assert {body["request_id"] for body in seen["/decide"]} == record.answered(by_policy=True)
    reported = [one for call in seen["/outcome"] for one in call]
    assert {one["outcome_id"] for one in reported} == record.acknowledged_outcomes()
    assert record.kept == [len(call) for call in record.reports]
    assert len(reported) > len(record.acknowledged_outcomes())  # some are sent twice
    assert record.versions == {"v1": 100}
    assert set(seen["tokens"]) == {"Bearer secret"}
    answered = {f"r/{n}": record.decides.done[n] for n in range(100)}
    for due, visit in zip(record.outcomes.due, record.outcomes.about, strict=True):
        assert due >= answered[f"r/{visit}"]  # nobody reacts to what was not shown yet


def test_a_stall_is_seen_by_all_who_were_due_in_it() -> None:
    """Coordinated omission: a server that stands still for a second is slow for the hundred
    requests of that second, not for those few that were under way."""
    calm = threading.Event()
    calm.set()

    def decide(body: Any) -> Reply:
        if body["request_id"] == "r/50":
            calm.clear()
            time.sleep(1)
            calm.set()
        calm.wait()
        return slate(body)

    with stub(decide) as (url, _):
        plan = Plan(phases=[Phase(100, 2)], arrivals="constant", outcomes=False, connections=8)
        record = play(url, plan, run="r")
    latency = record.decides.latency
    assert record.decides.good.all()
    assert (latency > 0.5).sum() >= 45  # due in the first half of that second
    assert latency.max() > 0.95
    np.testing.assert_array_less(0.45 - 0.01 * np.arange(40), latency[105:145])
    assert record.waited > 50  # eight connections were not enough, and that is said


def test_refusals_fallbacks_and_nonsense_are_told_apart() -> None:
    def decide(body: Any) -> Reply:
        kind = int(body["request_id"].split("/")[1]) % 4
        said = {"decision_id": "", "items": [], "policy": "fallback", "fallback": "deadline"}
        return [(429, {}), (200, said), (200, ["nonsense"]), slate(body)][kind]

    with stub(decide) as (url, _):
        figures = summary(play(url, Plan(phases=[Phase(80, 1)], arrivals="constant")))
    assert figures.decide.statuses == {"429": 20, "malformed": 20}
    assert figures.fallbacks == {"deadline": 20}
    assert figures.versions == {"fallback": 20, "v1": 20}
    assert figures.decide.success.value == figures.fallback.value == 0.5


def test_connections_that_the_server_closes_are_made_again() -> None:
    """A server that answers once on each connection and then goes away without a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    status = json.dumps({"policy": "v", "slate_size": 1, "response_names": [], "context": 0})
    said = json.dumps({"items": ["a"], "policy": "v", "fallback": None})

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked = connection.recv(65_536)
                body = status if asked.startswith(b"GET") else said
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall((head + body).encode())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        record = play(url, Plan(phases=[Phase(50, 1)], arrivals="constant", outcomes=False))
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
    assert record.decides.good.all()


def test_nobody_there_is_an_error_that_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert main(["traffic", "--url", f"http://127.0.0.1:{port}"]) == 2
    assert f"http://127.0.0.1:{port}/status cannot be reached" in capsys.readouterr().err


def test_the_command_says_what_it_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    with stub() as (url, seen):
        options = ["--url", url, "--rps", "40", "--seconds", "0.5", "--token-file", str(token)]
        assert main(["traffic", *options]) == 0
        assert "P99 ms" in capsys.readouterr().out
        assert set(seen["tokens"]) == {"Bearer secret"}
        assert main(["traffic", *options, "--json", "--arrivals", "constant"]) == 0
        assert json.loads(capsys.readouterr().out)["decide"]["calls"] == 20
    with stub(lambda body: (503, {})) as (url, _):
        assert main(["traffic", "--url", url, "--rps", "40", "--seconds", "0.5"]) == 1
    assert "x 503" in capsys.readouterr().out

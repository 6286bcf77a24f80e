"""A user is forgotten, and raw ids are nowhere."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import redis

from experiments.__main__ import main
from offpolicy import LogError, read_log, write_log
from policies import Policy
from policies.baselines.uniform import uniform
from serving import (
    ContractError,
    Engine,
    EventLogError,
    MemorySessions,
    Outcome,
    Request,
    SegmentLog,
    join,
    replay,
)
from serving.events.folder import SegmentFolder
from serving.http.running import running
from serving.http.service import Service
from serving.joining.rule import JoinRule, Shape
from serving.keys import Keys
from serving.privacy.decision_logs import forget_rows
from serving.privacy.forgetting import forget, forget_served
from serving.sessions.opening import open_sessions
from tests.factories import make_serving
from tests.serving.factories import EVENT_LOGS, SECRET, events_of, make_engine
from tests.serving.http.factories import Caller
from tests.serving.servers import Server, redis_server

__all__ = ["redis_server"]

USERS = [f"user{i}@mail.example" for i in range(12)]
ANN, KEY = USERS[3], Keys(SECRET).user(USERS[3])
RULE = JoinRule(reward={"liked": 1.0}, window=1e9, idle=1e9)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return uniform(make_serving(9, user_size=0))


def serve(engine: Engine, *, rounds: int = 4) -> None:
    """Every user asks and takes an item in each round."""
    reads = dict.fromkeys(engine.serving.response_names, 0.5)
    for r in range(rounds):
        for user in USERS:
            asked = Request(request_id=f"{r}/{USERS.index(user)}", user=user, session=f"by-{user}")
            decision = engine.decide(asked)
            known = {"decision_id": decision.decision_id, "user": user}
            taken = {"item": decision.items[0], "responses": reads}
            engine.outcomes([
                Outcome(outcome_id=f"t{decision.decision_id}", kind="taken", **known, **taken),
                Outcome(outcome_id=f"l{decision.decision_id}", kind="liked", **known),
            ])  # fmt: skip


@pytest.mark.parametrize("kind", EVENT_LOGS)
def test_a_user_is_forgotten_and_nobody_else(kind: str, policy: Policy, tmp_path: Path) -> None:
    engine = make_engine(policy, EVENT_LOGS[kind](tmp_path))
    serve(engine)
    shape = Shape.of(policy.serving, engine.catalogue)
    before = join(*events_of(engine.events), RULE, shape).log
    forgotten = forget_served(engine, ANN)
    assert forgotten.user == KEY
    assert forgotten.sessions == 1
    assert forgotten.erased == {"decision": 4, "outcome_event": 8}
    assert forgotten.remaining == {}
    assert KEY not in str(events_of(engine.events))
    after = join(*events_of(engine.events), RULE, shape).log
    assert before is not None
    assert after is not None
    others = np.array([name != KEY for name in before.names_of("user", before.user)])  # type: ignore[arg-type]
    assert after.hash() == before.take(others).hash()

    again = forget_served(engine, ANN)
    assert (again.sessions, again.erased) == (0, {})
    back = engine.decide(Request(request_id="back", user=ANN, session="by-ann"))
    assert (back.step, back.history_version) == (0, 0)  # as one who never came
    known = MemorySessions()
    replay(engine.events, known, responses=len(policy.serving.response_names))
    assert known.peek([KEY])[0].version == 0  # type: ignore[union-attr]


def test_from_outside_what_the_server_writes_to_is_left_and_told(
    policy: Policy, tmp_path: Path
) -> None:
    engine = make_engine(policy, SegmentLog(tmp_path, segment_bytes=3_000))
    serve(engine)
    keys, outside = Keys(SECRET), SegmentFolder(tmp_path)
    forgotten = forget(ANN, keys=keys, events=outside)
    left = sum(KEY.encode() in e.event for e in outside.read("main"))
    assert forgotten.remaining == ({"main": left} if left else {})
    assert sum(forgotten.erased.values()) == 12 - left  # type: ignore[union-attr]
    engine.decide(Request(request_id="last", user=ANN, session="s"))
    told = forget(ANN, keys=keys, events=outside)
    assert told.remaining["main"] >= 1
    assert "still there, in what main writes to" in told.text()
    assert KEY in told.text()
    assert ANN not in told.text() + str(told.to_json())
    engine.events.close()
    assert forget(ANN, keys=keys, events=outside).remaining == {}
    assert KEY.encode() not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_under_another_secret_nothing_is_found_and_that_is_told(
    policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Planted: a line's end in the secret's file. "Nothing erased" is no success then."""
    engine = make_engine(policy, SegmentLog(tmp_path / "events"))
    engine.announce()
    serve(engine)
    engine.events.close()
    (tmp_path / "wrong").write_bytes(SECRET + b"\n")
    (tmp_path / "right").write_bytes(SECRET)
    command = ["forget", ANN, "--events", str(tmp_path / "events"), "--secret-file"]
    assert main([*command, str(tmp_path / "wrong")]) == 1
    assert "under another secret 1 times of 1" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "right")]) == 0
    assert "another secret" not in capsys.readouterr().out


def test_an_id_that_is_none_is_refused(policy: Policy, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="user is 0 characters"):
        forget("", keys=Keys(SECRET))
    with pytest.raises(ContractError, match="user is 0 characters"):
        forget_served(make_engine(policy), "")


def test_rows_of_a_joined_log_go(policy: Policy, tmp_path: Path) -> None:
    engine = make_engine(policy)
    serve(engine)
    log = join(*events_of(engine.events), RULE, Shape.of(policy.serving, engine.catalogue)).log
    assert log is not None
    write_log(log, tmp_path / "log")
    assert forget_rows(tmp_path / "log", KEY) == 4
    left = read_log(tmp_path / "log")
    assert len(left) == len(log) - 4
    assert KEY not in left.names_of("user", np.unique(left.user))  # type: ignore[arg-type]
    assert len(list((tmp_path / "log").glob("*.parquet"))) == 1  # the old part is gone
    assert forget_rows(tmp_path / "log", KEY) == 0
    theirs = [name == KEY for name in log.names_of("user", log.user)]  # type: ignore[arg-type]
    write_log(log.take(np.array(theirs)), tmp_path / "only")
    with pytest.raises(LogError, match="remove the folder"):
        forget_rows(tmp_path / "only", KEY)


def test_a_running_server_forgets(
    policy: Policy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its session store is in memory, and its segment open: it does it itself."""
    caplog.set_level(logging.DEBUG)
    engine = make_engine(policy, SegmentLog(tmp_path / "events"))
    serve(engine)
    (tmp_path / "token").write_text("let-me-in-please!\n")
    token = "let-me-in-please!"
    service = Service(engine, token=token, forget=lambda u: forget_served(engine, u).to_json())
    with running(service) as url, Caller(url, token) as caller:
        asked = {"request_id": "n", "user": "new" + ANN, "session": f"by-{ANN}"}
        assert caller.post("/decide", asked)[0] == 200
        assert caller.post("/decide", asked | {"candidates": ["nothing"]})[0] == 422
        assert main(["forget", ANN, "--url", url]) == 2
        assert "answered 401" in capsys.readouterr().err
        given = ["--url", url, "--token-file", str(tmp_path / "token")]
        assert main(["forget", ANN, *given]) == 0
        said = capsys.readouterr().out
        assert '"decision": 4' in said
        assert ANN not in said
        assert main(["forget", "x" * 300, *given]) == 2
        assert "answered 422" in (told := capsys.readouterr().err)
        assert "user" in told
    assert "mail.example" not in caplog.text  # of the server
    assert main(["forget", ANN, *given]) == 2  # nobody listens any more
    assert capsys.readouterr().err.startswith("longplay forget: ")
    assert KEY.encode() not in b"".join(p.read_bytes() for p in (tmp_path / "events").iterdir())


def test_raw_ids_are_no_keys_of_redis(policy: Policy, redis_server: Server) -> None:
    url = redis_server.url()
    engine = make_engine(policy, sessions=open_sessions(url))
    serve(engine)
    link = redis.from_url(url.partition("?")[0])
    mine = [key for key in link.scan_iter() if url.partition("name=")[2].encode() in key]
    assert any(KEY.encode() in key for key in mine)
    assert not any(b"mail.example" in key or b"by-" in key for key in mine)
    assert forget_served(engine, ANN).sessions == 1
    left = [key for key in link.scan_iter() if KEY.encode() in key]
    assert left == []
    link.close()


class _Failing:
    """A part that fails, and says with what it was called."""

    def __getattr__(self, name: str) -> object:
        def fail(*args: object) -> None:
            raise EventLogError(f"{name}{args} failed")

        return fail


def test_raw_ids_are_in_no_file_no_key_and_no_line_of_the_program_log(
    policy: Policy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sessions = MemorySessions()
    engine = make_engine(policy, SegmentLog(tmp_path, segment_bytes=3_000), sessions=sessions)
    serve(engine)
    engine.sessions = _Failing()  # type: ignore[assignment]
    engine.decide(Request(request_id="r", user=ANN, session=f"by-{ANN}"))
    engine.sessions = sessions
    engine.events.close()  # what is appended fails from here on
    engine.decide(Request(request_id="s", user=ANN, session=f"by-{ANN}"))
    assert "failed" in caplog.text
    written = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    held = repr([(key, list(user.sessions)) for key, user in sessions._users.items()])
    assert Keys(SECRET).user(ANN) in held
    for where in (written.decode(), caplog.text, held):
        assert "mail.example" not in where
        assert "by-" not in where

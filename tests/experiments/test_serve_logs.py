"""What was served is joined, judged, forgotten and retired by the commands that a user calls."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.common.durations import moment_of, seconds_of
from offpolicy import read_log
from policies import Banned, Cap, Policy, build, collect, constrained, save
from policies.baselines.uniform import uniform
from serving import Catalogue, Engine, Outcome, Request, SegmentLog
from serving.events.folder import SegmentFolder
from serving.events.opening import open_events
from serving.http.opening import open_service
from serving.http.running import running
from serving.keys import Keys
from tests.factories import env_of, make_serving
from tests.serving.factories import SECRET, make_engine, play
from tests.serving.http.factories import Caller
from tests.serving.registry.factories import make_registry
from tests.serving.servers import shared

make_env = env_of(20, n_items=40, slate_size=2, n_candidates=12, history_length=6, max_steps=6)


@pytest.fixture(scope="module")
def policy() -> Policy:
    env = make_env()
    learned = build("top_rated", env, temperature=2.0)
    learned.update(collect(env, build("uniform", env), n_sessions=100, seed=100))
    group = np.arange(40, dtype=np.int32)
    return constrained(learned, Banned("gone", group % 9 == 3), Cap("shelf", group % 5, 1))


@pytest.fixture(scope="module")
def served(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the events of 300 sessions under rules, and the policy saved."""
    top = tmp_path_factory.mktemp("served")
    engine = make_engine(policy, SegmentLog(top / "events", segment_bytes=200_000))
    engine.clock = lambda: 0.0
    engine.announce()
    play(make_env(), engine, sessions_per_slot=15, seed=3)
    engine.events.close()
    save(policy, top / "policy")
    return top


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_a_joined_log_is_read_without_a_warning(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, events = tmp_path / "log", served / "events"
    options = ["--window", "10min", "--reward", "paid=1", "--now", "end"]
    assert run("join", events, *options, "--out", log, "--json", tmp_path / "join.json") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "WARN" not in said.out
    counts = json.loads((tmp_path / "join.json").read_text())["counts"]
    joined = read_log(log)
    assert f"{len(joined):,} rows in 300 sessions; fallbacks: 0" in said.out
    assert counts["decisions"] == len(joined)
    assert counts["duplicate_decisions"] > 0  # the play sends every third batch again
    assert joined.candidates is not None
    assert (joined.candidates < 0).any()  # closed by a rule

    command = re.search(r"next: longplay (.*)", said.out)
    assert command is not None
    assert run(*command[1].split()) == 0
    assert_no_warning(capsys.readouterr())
    target = ["--horizon", "per_decision", "--max-steps", "6"]
    scores = ["--target-scores", served / "policy", "--out", tmp_path / "report"]
    assert run("evaluate", log, *target, *scores) == 0
    assert_no_warning(capsys.readouterr())
    judged = ["--target", served / "policy", "--min-uplift", "-0.5", "--min-ess", "200"]
    assert run("gate", log, *target, *judged) == 0
    assert_no_warning(capsys.readouterr())

    before = {p: p.read_bytes() for p in log.iterdir()}
    assert run("join", events, *options, "--out", log) == 2
    assert (
        "exists. A join is made anew from all events: give a new --out" in capsys.readouterr().err
    )
    assert {p: p.read_bytes() for p in log.iterdir()} == before
    assert run("join", events, *options, "--out", tmp_path / "again") == 0
    assert read_log(tmp_path / "again").hash() == joined.hash()


@pytest.mark.parametrize("kind", ["redis", "nats"])
def test_events_on_a_server_are_joined_and_forgotten_alike(
    kind: str, served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = shared(kind).url()
    with closing(open_events(url)) as log:  # a live writer, which is not disturbed
        for entry in SegmentFolder(served / "events").read("main"):
            log.append(entry.event)
        given = ["--reward", "paid=1", "--now", "end", "--out"]
        assert run("join", url, *given, tmp_path / kind) == 0
        assert run("join", served / "events", *given, tmp_path / "folder") == 0
        joined = read_log(tmp_path / "folder")
        assert read_log(tmp_path / kind).hash() == joined.hash()
        (tmp_path / "secret").write_bytes(SECRET)
        given = ["--events", url, "--secret-file", tmp_path / "secret"]
        assert run("forget", "user 3/0", *given) == 0
        assert Keys(SECRET).user("user 3/0") in capsys.readouterr().out
        left = [entry.event for entry in log.read("main")]
        assert not any(Keys(SECRET).user("user 3/0").encode() in event for event in left)
        assert len(left) > len(joined)
        assert run("retire", url, "--older-than", "1d") == 2
        assert "has no segments: set how long events are kept" in capsys.readouterr().err


def test_sessions_that_go_on_are_told(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--reward", "paid=1", "--window", "5s", "--idle", "5s", "--now", "30", "--out"]
    assert run("join", served / "events", *given, tmp_path / "log") == 0
    said = capsys.readouterr().out
    found = re.search(r"left out: (\d+) sessions \((\S+)%\) that are not over, with (\d+)", said)
    assert found is not None
    rows = read_log(tmp_path / "log")
    assert int(found[1]) + rows.n_sessions == 300
    assert float(found[2]) == pytest.approx(100 * int(found[1]) / 300, abs=0.05)


def assert_no_warning(said: pytest.CaptureResult[str]) -> None:
    assert said.err == ""
    assert re.search(r"\b(warn|fail)", said.out, re.IGNORECASE) is None, said.out


def test_without_a_reward_the_kinds_are_told(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("join", served / "events", "--out", tmp_path / "log") == 2
    said = capsys.readouterr().err
    assert re.search(r"as --reward \w+=1. Kinds in the log: (\w+ [\d,]+, ){3}", said)
    assert not (tmp_path / "log").exists()


def test_a_reward_of_no_outcome_is_told(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--reward", "piad=1", "--now", "end", "--out", tmp_path / "log"]
    assert run("join", served / "events", *given) == 0
    assert "--reward piad: no outcome is of this kind" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("--reward liked", "--reward liked: write it as liked=1"),
        ("--reward liked=much", "--reward liked=much: write a number"),
        ("--reward liked=1 liked=2", "liked is given twice"),
        ("--reward liked=1 --window 10", "--window 10: write a number above 0 and its unit"),
        ("--reward liked=1 --windows liked=1w", "--windows liked 1w: write a number above 0"),
        ("--reward liked=1 --now yesterday", "--now yesterday: write now, end"),
        ("--reward liked=1 --policy v9", "'v9' was not served; the log has policy@1"),
        ("--reward liked=1 --items {d}/items.txt", "its 2 names are not those of the 40 items"),
    ],
)
def test_bad_options_are_named(
    given: str, told: str, served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "items.txt").write_text("a\nb\n")
    words = given.format(d=tmp_path).split()
    assert run("join", served / "events", *words, "--out", tmp_path / "log") == 2
    assert told in capsys.readouterr().err


def test_events_that_do_not_explain_themselves_are_refused(
    policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = SegmentLog(tmp_path / "events")
    given = ["--reward", "a=1", "--out", tmp_path / "log"]
    assert run("join", tmp_path / "events", *given) == 2
    assert "no event of type start" in capsys.readouterr().err
    assert run("join", tmp_path / "nowhere", *given) == 2
    assert "there is no such folder" in capsys.readouterr().err
    make_engine(policy, log).announce()
    assert run("join", tmp_path / "events", *given) == 2
    assert "no session is over" in capsys.readouterr().err


def test_versions_of_different_sizes_are_joined_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, at = SegmentLog(tmp_path / "events"), iter(range(10_000))
    for version, n_items in (("small@1", 6), ("large@1", 8), ("large@2", 8)):
        policy = uniform(make_serving(n_items, user_size=0))
        engine = Engine(
            policy,
            Catalogue([f"i{i}" for i in range(n_items)]),
            version=version,
            sha256=f"{version} sha",
            secret=SECRET,
            events=log,
            clock=lambda: float(next(at)),
        )
        engine.announce()
        for i in range(5):
            name = f"{version}/{i}"
            engine.decide(Request(request_id=name, user=name, session="s"))
            if i == 3:  # one that fails, and is answered by the fallback
                engine.sessions, kept = None, engine.sessions  # type: ignore[assignment]
                engine.decide(Request(request_id=f"{name}/f", user=f"{name}/f", session="s"))
                engine.sessions = kept
            engine.outcome(Outcome(outcome_id=name, decision_id=name, user=name, kind="liked"))
    log.close()
    given = [tmp_path / "events", "--reward", "liked=1", "--now", "end", "--out"]
    assert run("join", *given, tmp_path / "all") == 2
    told = capsys.readouterr().err
    assert "small@1 (n items 6" in told
    assert "large@1, large@2 (n items 8" in told
    assert "--policy large@1 large@2" in told
    assert run("join", *given, tmp_path / "one", "--policy", "small@1") == 0
    said = capsys.readouterr().out
    assert "10 decisions of other versions, left out" in said
    assert re.search(r"\b0 of no decision", said)  # outcomes of the others are not orphans
    one = read_log(tmp_path / "one")
    assert (one.n_items, one.reward.sum()) == (6, 5)
    assert run("join", *given, tmp_path / "two", "--policy", "large@1", "large@2") == 0
    assert set(read_log(tmp_path / "two").logger) == {"large@1", "large@2"}


def test_a_user_is_forgotten_by_command(
    served: Path, policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = SegmentLog(tmp_path / "events")
    engine = make_engine(policy, log)
    engine.announce()
    play(make_env(), engine, sessions_per_slot=1, seed=3)
    log.close()
    events, user = tmp_path / "events", "user 3/0"
    key = Keys(SECRET).user(user)
    assert run("join", events, "--reward", "paid=1", "--now", "end", "--out", tmp_path / "log") == 0
    (tmp_path / "secret").write_bytes(SECRET)
    capsys.readouterr()
    given = ["--secret-file", tmp_path / "secret"]
    assert run("forget", user, *given) == 2
    assert "name where: --url of a server, or --events" in capsys.readouterr().err
    assert run("forget", user, "--events", events, "--log", tmp_path / "log", *given) == 0
    said = capsys.readouterr().out
    assert re.search(r"events erased: \d+ \(decision \d+, outcome_event \d+\)", said)
    assert re.search(r"log: \d+ rows removed", said)
    assert user not in said
    assert key in said
    left = [e.event for e in SegmentFolder(events).read("main") if key.encode() in e.event]
    assert left == []
    assert run("join", events, "--reward", "paid=1", "--now", "end", "--out", tmp_path / "new") == 0
    assert "events were erased" in capsys.readouterr().out
    new = read_log(tmp_path / "new")
    assert len(new) == len(read_log(tmp_path / "log"))
    assert new.n_sessions == 19


def test_what_a_server_of_a_registry_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It explains itself, forgets whom it is asked to, and the registry's secret finds others."""
    registry, versions = make_registry(tmp_path, 1)
    registry.promote(versions[0], by="ann")
    events, log = tmp_path / "events", tmp_path / "log"
    offer = [f"item-{i}" for i in range(0, 16, 2)]
    with running(open_service(registry, str(events))) as url, Caller(url) as caller:
        for i in range(20):
            asked = {"request_id": f"r{i}", "user": f"ann{i % 4}", "session": f"s{i % 4}"}
            status, answer = caller.post("/decide", asked | {"candidates": offer, "context": [0.5]})
            assert status == 200
            told = {"outcome_id": f"o{i}", "decision_id": f"r{i}", "user": f"ann{i % 4}"}
            liked = {"kind": "liked", "item": answer["items"][1]}
            assert caller.post("/outcome", told | liked)[0] == 200
        given = ["--reward", "liked=1", "--now", "end", "--out"]
        assert run("join", events, *given, log) == 0  # beside a live writer
        assert "20 rows in 4 sessions" in capsys.readouterr().out
        assert run("forget", "ann0", "--url", url) == 0
        assert '"decision": 5' in capsys.readouterr().out
    joined = read_log(log)
    assert joined.reward.sum() == 20
    assert joined.position_reward is not None
    assert joined.position_reward[:, 1].sum() == 20
    assert run("check", log) == 0
    capsys.readouterr()
    assert run("forget", "ann1", "--events", events, "--registry", tmp_path / "registry") == 0
    assert "decision 5, outcome_event 5" in capsys.readouterr().out
    assert run("join", events, *given, tmp_path / "left") == 0
    assert "10 rows in 2 sessions" in capsys.readouterr().out


def test_old_events_are_retired_by_command(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = SegmentLog(tmp_path / "events", segment_bytes=2_000)
    engine = make_engine(uniform(make_serving(6, user_size=0)), log)
    for i in range(20):  # at 1,000 s after 1970
        engine.decide(Request(request_id=f"{i}", user="u", session="s"))
    log.close()
    assert run("retire", tmp_path / "events", "--older-than", "30d") == 0
    assert "20 events in" in capsys.readouterr().out
    assert list((tmp_path / "events").glob("*.jsonl")) == []
    assert run("retire", tmp_path / "events", "--older-than", "30") == 2
    assert "--older-than 30: write a number above 0 and its unit" in capsys.readouterr().err


def test_lengths_and_moments() -> None:
    lengths = {"30s": 30, "10min": 600, "2h": 7_200, "1d": 86_400, "1.5h": 5_400}
    assert {text: seconds_of("--window", text) for text in lengths} == lengths
    assert moment_of("--now", "1000.5") == 1_000.5
    assert moment_of("--now", "1970-01-02") == 86_400
    assert moment_of("--now", "1970-01-01T02:00+02:00") == 0
    for wrong in ("0s", "-1s", "10", "s", "1 week", ""):
        with pytest.raises(ValueError, match="--window"):
            seconds_of("--window", wrong)

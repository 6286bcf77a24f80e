"""Every route but /health wants the token, and says no word to anybody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.http.running import running
from serving.http.tokens import read_token
from tests.serving.factories import events_of
from tests.serving.http.factories import Caller, request, tiny_service

TOKEN = "a-token-of-some-length"
CLOSED = ["/ready", "/status", "/metrics", "/openapi.json", "/nothing"]


def test_without_the_token_only_health_answers() -> None:
    service = tiny_service(token=TOKEN)
    with running(service) as url:
        for shown in (None, "a-token-of-some-lengti", TOKEN[:-1], TOKEN + "x"):
            with Caller(url, shown) as caller:
                assert caller.get("/health") == (200, {"status": "ok"})
                for path in CLOSED:
                    status, headers, body = caller.send("GET", path)
                    assert status == 401, path
                    assert b"authorization" in body
                    assert headers["www-authenticate"].startswith("Bearer")
                assert caller.get("/")[0] == caller.get("/page/x.js")[0] == 404  # open, and none
                assert caller.post("/items", {"like": "item"})[0] == 401
                assert caller.post("/decide", request())[0] == 401
                assert caller.post("/outcome", b"no json at all")[0] == 401
        with Caller(url, TOKEN) as caller:
            assert caller.get("/ready")[0] == 200
            assert caller.post("/decide", request())[0] == 200
            assert caller.get("/nothing")[0] == 404
        with Caller(url) as caller:
            assert caller.send("GET", "/ready", authorization=f"bearer {TOKEN}")[0] == 200
            assert caller.send("GET", "/ready", authorization=TOKEN)[0] == 401
            assert caller.send("GET", "/ready", authorization=f"Basic {TOKEN}")[0] == 401
    assert len(events_of(service.engine.events)[0]) == 1


def test_a_token_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LONGPLAY_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("LONGPLAY_TOKEN", "x" * 20)
    assert read_token(None) == "x" * 20
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert read_token(tmp_path / "token") == TOKEN
    for weak in ("", "short", "with a space in the middle", "ümlaut" * 5):
        (tmp_path / "token").write_text(weak)
        with pytest.raises(ValueError, match=r"token: a token has at least 16 visible"):
            read_token(tmp_path / "token")
    monkeypatch.setenv("LONGPLAY_TOKEN", "short")
    with pytest.raises(ValueError, match="LONGPLAY_TOKEN"):
        read_token(None)

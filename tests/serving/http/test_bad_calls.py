"""Whatever is sent: a 4xx that names the field and the limit, and the server goes on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from serving.http.limits import Limits
from serving.http.running import running
from tests.serving.http.factories import Caller, outcome, request, tiny_service

LIMITS = Limits(
    body_bytes=4_000,
    body_seconds=0.3,
    history=5,
    candidates=20,
    outcomes=3,
    deadline_ms=1e4,
    longest_deadline_ms=1e4,
    user_requests=1e5,
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(tiny_service(limits=LIMITS)) as found:
        yield found


def raw(**fields: Any) -> bytes:
    return json.dumps(request(0, **fields)).encode()


BAD = {  # case -> body, status, field, limit
    "empty": (b"", 400, None, None),
    "no JSON": (b"{", 400, None, None),
    "more behind": (b"{} {}", 400, None, None),
    "a list": (b"[]", 400, None, None),
    "null": (b"null", 400, None, None),
    "a number": (b"1e999", 400, None, None),
    "deep": (b"[" * 1_900 + b"]" * 1_900, 400, None, None),
    "deep objects": (b'{"a":' * 700, 400, None, None),
    "no UTF-8": (b'{"user":"\xff"}', 400, None, None),
    "UTF-16": (json.dumps(request()).encode("utf-16"), 400, None, None),
    "a mark of byte order": (b"\xef\xbb\xbf" + raw(), 400, None, None),
    "half a character": (raw(user="\ud800"), 422, "user", None),
    "a key of half a character": (b'{"\\udfff":1}', 422, "\udfff", None),
    "NaN": (raw().replace(b'"s"', b"NaN"), 400, None, None),
    "-Infinity": (raw().replace(b'"s"', b"-Infinity"), 400, None, None),
    "many digits": (raw().replace(b'"s"', b"1" * 3_000), 422, "session", None),
    "twice": (raw()[:-1] + b',"user":"bob"}', 422, "user", None),
    "missing": (b'{"request_id":"r","user":"ann"}', 422, "session", None),
    "unknown": (raw(users="ann"), 422, "users", None),
    "null for an id": (raw(user=None), 422, "user", None),
    "no text": (raw(user=1), 422, "user", None),
    "empty id": (raw(user=""), 422, "user", 256),
    "long id": (raw(request_id="r" * 257), 422, "request_id", 256),
    "text for a list": (raw(history="item-1"), 422, "history", None),
    "a number in a list": (raw(history=["item-1", 2]), 422, "history[1]", None),
    "long history": (raw(history=["item-1"] * 6), 422, "history", 5),
    "many candidates": (raw(candidates=["item-1"] * 21), 422, "candidates", 20),
    "more than the policy's": (
        raw(candidates=[f"item-{i}" for i in range(13)]), 422, "candidates", 12,
    ),
    "no candidates": (raw(candidates=[]), 422, "candidates", 12),
    "unknown candidates": (raw(candidates=["item-1", "nothing"]), 422, "candidates", None),
    "candidates twice": (raw(candidates=["item-1", "item-1"]), 422, "candidates", None),
    "context": (raw(context=[1.0]), 422, "context", 0),
    "no deadline": (raw(deadline_ms=0), 422, "deadline_ms", 0),
    "a long deadline": (raw(deadline_ms=10_001), 422, "deadline_ms", 10_000),
    "a true deadline": (raw(deadline_ms=True), 422, "deadline_ms", None),
    "another schema": (raw(schema=2), 422, "schema", None),
    "large": (raw(user="x" * 4_000), 413, None, 4_000),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_told_what_is_wrong(case: str, url: str) -> None:
    body, status, field, limit = BAD[case]
    with Caller(url) as caller:
        found = caller.post("/decide", body)
        error = found[1]["error"]
        assert (found[0], error["field"], error["limit"]) == (status, field, limit), error
        assert error["message"]
        assert caller.get("/health")[0] == 200


BAD_OUTCOMES = {
    "a text": ("liked", 400, None, None),
    "a list of lists": ([[]], 400, None, None),
    "too many": ([outcome(n) for n in range(4)], 422, "outcomes", 3),
    "a bad one": ([outcome(0), outcome(1, value="much")], 422, "value", None),
    "unknown item": (outcome(item="nothing"), 422, "item", None),
    "taken without": (outcome(kind="taken"), 422, "item", None),
    "responses": (outcome(kind="taken", item="item-1"), 422, "responses", None),
    "value": (outcome(value=1e300), 422, "value[0]", pytest.approx(3.4028234663852886e38)),
    "names of responses": (outcome(responses={"": 1.0}), 422, "a key of responses", 256),
}


@pytest.mark.parametrize("case", BAD_OUTCOMES)
def test_a_bad_outcome_is_told_what_is_wrong(case: str, url: str) -> None:
    body, status, field, limit = BAD_OUTCOMES[case]
    with Caller(url) as caller:
        found = caller.post("/outcome", body)
        error = found[1]["error"]
        assert (found[0], error["field"], error["limit"]) == (status, field, limit), error


def test_methods_paths_and_kinds_of_content(url: str) -> None:
    with Caller(url) as caller:
        for path, method, allowed in (("/decide", "GET", "POST"), ("/health", "POST", "GET")):
            status, headers, body = caller.send(method, path, b"{}", content_type="text/plain")
            assert (status, headers["allow"]) == (405, allowed), body
        assert caller.send("OPTIONS", "/decide")[0] == 405
        assert caller.get("/nothing")[0] == 404
        assert caller.get("/metrics")[0] == 404
        assert caller.post("/explain", {})[0] == 404
        assert caller.get("/page/../service.py")[0] == 404
        for kind in ("", "text/plain", "application/json; charset=latin-1", "multipart/form-data"):
            status, _, body = caller.send("POST", "/decide", raw(), content_type=kind)
            assert (status, json.loads(body)["error"]["field"]) == (415, "content-type"), kind
        for kind in ("application/json", "Application/JSON; charset=UTF-8"):
            assert caller.send("POST", "/decide", raw(), content_type=kind)[0] == 200
        packed = {"content_type": "application/json", "content_encoding": "gzip"}
        assert caller.send("POST", "/decide", raw(), **packed)[0] == 415
        assert caller.send("HEAD", "/health")[::2] == (200, b"")


def socket_of(url: str) -> socket.socket:
    where = urlsplit(url)
    return socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=20)


PIECES = b"transfer-encoding: chunked\r\n\r\n"
HEAD = b"POST /decide HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD + b"content-length: 100\r\n\r\n{", b"408"),
        (HEAD + b"content-length: 4001\r\n\r\n" + b"x" * 4001, b"413"),
        (HEAD + b"content-length: 99999999999999\r\n\r\n{", b"413"),
        (HEAD + b"expect: 100-continue\r\ncontent-length: 999999\r\n\r\n", b"413"),
        (HEAD + PIECES + (b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 9, b"413"),
        (HEAD + PIECES + b"5\r\n{", b"408"),
        (HEAD + PIECES + b"zz\r\n{", b"400"),
        (HEAD + b"content-length: -1\r\n\r\n{", b"400"),
        (b"\x16\x03\x01 hello\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
    ],
)  # fmt: skip
def test_bodies_that_are_slow_huge_or_no_http(sent: bytes, status: bytes, url: str) -> None:
    with socket_of(url) as connection:
        connection.sendall(sent)
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    with Caller(url) as caller:
        assert caller.get("/health")[0] == 200


def test_callers_who_hang_up_are_no_trouble(url: str) -> None:
    for sent in (
        b"",
        HEAD,
        HEAD + b"content-length: 100\r\n\r\n{",
        HEAD + b"content-length: 2\r\n\r\n{}",
    ):
        with socket_of(url) as connection:
            connection.sendall(sent)
    with Caller(url) as caller:
        assert caller.post("/decide", request(77))[0] == 200


def test_one_user_cannot_ask_without_end() -> None:
    limits = Limits(user_requests=3.0, deadline_ms=1e4)
    with running(tiny_service(limits=limits)) as url, Caller(url) as caller:
        found = [caller.post("/decide", request(n, user="ann")) for n in range(50)]
        refused = [answer for status, answer in found if status == 429]
        assert len(refused) > 30  # 3, and 3 a second of what the test takes
        assert refused[0]["error"]["field"] == "user"
        assert refused[0]["error"]["limit"] == 3
        assert caller.post("/outcome", outcome(user="ann"))[0] == 429
        assert caller.post("/decide", request(user="bob"))[0] == 200
        body = json.dumps(request(user="ann")).encode()
        sent = [caller.send("POST", "/decide", body, content_type="application/json")[:2]
                for _ in range(50)]  # fmt: skip
        assert {headers["retry-after"] for status, headers in sent if status == 429} == {"1"}


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="body_bytes"):
        Limits(body_bytes=0)
    with pytest.raises(ValueError, match="deadline_ms"):
        Limits(deadline_ms=float("nan"))

"""Messages: JSON there and back, and errors that name the field."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import Catalogue, ContractError, Decision, Outcome, OutcomeEvent, Request
from serving.contracts import fields

REQUEST = {"request_id": "r", "user": "u", "session": "s"}
OUTCOME = {"outcome_id": "o", "decision_id": "r", "user": "u", "kind": "taken"}
DECISION: dict[str, Any] = {
    "decision_id": "r", "time": 12.5, "user": "ab", "session": "cd", "began": "q", "step": 3,
    "slate": [4, -1], "items": ["é"], "propensity": 0.1 + 0.2, "position_propensity": [1 / 3, 1.0],
    "candidates": [4, -1, 7], "candidate_propensity": None, "context": [0.1, -2.0],
    "policy": "p@1", "rules": "00", "history_version": 2, "history_hash": "11",
    "history_age": None, "prior_items": [3], "prior_responses": [[1.0, 0.5]],
    "unknown_items": 0, "fallback": None, "worked_ms": 0.25, "waited_ms": 1.5,
    "policy_sha256": "", "arm": "live", "rollout": "",
}  # fmt: skip

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        Request,
        request_id=ids,
        user=ids,
        session=ids,
        candidates=st.none() | st.lists(ids, max_size=5),
        context=st.none() | st.lists(finite, max_size=5),
        history=st.none() | st.lists(ids, max_size=5),
    )
)
def test_a_request_comes_back_as_it_was(request: Request) -> None:
    assert Request.from_json(request.to_json()) == request


@given(
    st.builds(
        Outcome,
        outcome_id=ids,
        decision_id=ids,
        user=ids,
        kind=ids,
        item=st.none() | ids,
        value=finite,
        responses=st.none() | st.dictionaries(ids, finite, max_size=3),
        client_time=st.none() | finite,
    )
)
def test_an_outcome_comes_back_as_it_was(outcome: Outcome) -> None:
    assert Outcome.from_json(outcome.to_json()) == outcome


def test_a_decision_comes_back_as_it_was() -> None:
    decision = Decision.from_json(DECISION)
    assert decision.slate == (4, -1)
    assert decision.prior_responses == ((1.0, 0.5),)
    line = decision.to_json()
    assert b"\n" not in line
    assert json.loads(line) == DECISION | {"schema": 1, "type": "decision"}
    assert Decision.from_json(line) == decision


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"user": None}, "user is null; it must be a string"),
        ({"user": ""}, "user is 0 characters"),
        ({"user": "x" * 257}, "user is 257 characters"),
        ({"user": "\ud800"}, "user is no text that UTF-8 can hold"),
        ({"session": 7}, "session is of type int; it must be a string"),
        ({"candidates": "abc"}, "candidates is a string; it must be a list"),
        ({"candidates": ["a", 3]}, r"candidates\[1\] is of type int"),
        ({"context": [1, True]}, r"context\[1\] is true or false; it must be a number"),
        ({"context": [10**400]}, r"context\[0\] is not finite"),
        ({"context": {"a": 1}}, "context is an object; it must be a list"),
        ({"histories": []}, "'histories' is no field of a request; it has request_id, user"),
        ({"schema": 2}, "schema is not 1"),
        ({"type": "outcome"}, "type is not 'request'"),
    ],
)
def test_a_bad_field_of_a_request_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        Request.from_json(REQUEST | changed)
    if not changed.keys() - Request.__dataclass_fields__.keys():
        with pytest.raises(ContractError, match=says):
            Request(**REQUEST | changed)  # type: ignore[arg-type]


def test_a_key_that_is_no_text_is_named() -> None:
    with pytest.raises(ContractError, match="'1' is no field of a request"):
        Request.from_json({1: 2})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is no JSON"),
        (b"\xff\xfe", "the body is no JSON"),
        (b'{"user": NaN}', "NaN is no number"),
        (b"[1]", "the body is of type list; it must be an object"),
        (b'{"user": ' * 100_000, "nested too deeply"),
        (b'{"user":"u","session":"s"}', "request_id is missing: a request must have it"),
    ],
)
def test_a_body_that_is_no_request_is_explained(body: bytes, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        Request.from_json(body)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"value": "1"}, "value is a string; it must be a number"),
        ({"responses": [1]}, "responses is of type list; it must be an object"),
        ({"responses": {"click": None}}, "responses.click is null; it must be a number"),
        ({"item": 3}, "item is of type int"),
    ],
)
def test_a_bad_field_of_an_outcome_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        Outcome.from_json(OUTCOME | changed)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*REQUEST, *OUTCOME, "candidates", "responses"]), anything))
def test_whatever_comes_is_a_message_or_a_contract_error(body: dict[str, Any]) -> None:
    for cls, whole in ((Request, REQUEST), (Outcome, OUTCOME)):
        for given_body in (body, whole | {k: v for k, v in body.items() if k != "schema"}):
            try:
                message = cls.from_json(json.dumps(given_body))
            except ContractError:
                continue
            assert cls.from_json(message.to_json()) == message


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_a_body_of_any_bytes_is_a_contract_error(body: bytes | str) -> None:
    with pytest.raises(ContractError):
        Request.from_json(body)


def test_a_name_that_stands_twice_is_found_without_comparing_all_with_all() -> None:
    """A body of 256 kB with 30,000 names kept the loop of the server for 50 s."""
    compared = 0

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    names = [Name(n) for n in [*range(300), 7]]
    with pytest.raises(ContractError, match="'7' stands twice in one object") as raised:
        fields._each_once([(name, 0) for name in names])
    assert raised.value.field == "7"
    assert compared < 10 * len(names)


def test_events_need_all_their_fields() -> None:
    with pytest.raises(ContractError, match="item is missing: a outcome_event must have it"):
        OutcomeEvent.from_json(OUTCOME)
    for name in DECISION.keys() - {"waited_ms", "policy_sha256", "arm", "rollout"}:
        with pytest.raises(ContractError, match=f"{name} is missing"):
            Decision.from_json({k: v for k, v in DECISION.items() if k != name})


def test_a_catalogue_is_read_from_lines_or_json(tmp_path: Any) -> None:
    for name, text in (
        ("items.txt", "é\nb\nc\n"),
        ("items.json", '["é", "b", "c"]'),
        ("numbers.json", '{"c": 2, "é": 0, "b": 1}'),
        ("windows.txt", "\ufeffé\r\nb\r\nc"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert Catalogue.from_file(tmp_path / name).names == ("é", "b", "c")
    odd = "a\u2028b\nc\x0bd\n"
    with pytest.raises(FileNotFoundError, match="is no catalogue file"):
        Catalogue.from_file(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(bytes([255, 254, 0]))
    with pytest.raises(ValueError, match="is no text in UTF-8"):
        Catalogue.from_file(tmp_path / "binary.txt")
    (tmp_path / "odd.txt").write_text(odd, encoding="utf-8")
    assert Catalogue.from_file(tmp_path / "odd.txt").names == ("a\u2028b", "c\x0bd")
    for text, says in (("a\n\nb", "item 1 is 0 characters"), ("a\na", "names 'a' twice")):
        (tmp_path / "bad.txt").write_text(text)
        with pytest.raises(ValueError, match=rf"bad\.txt: .*{says}"):
            Catalogue.from_file(tmp_path / "bad.txt")
    for text, says in (
        ('{"a": 1}', "the numbers of 1 items must be 0 to 0"),
        ('{"a": true}', "the numbers of 1 items must be 0 to 0"),
        ('["a", "a"]', "names 'a' twice"),
        ("[]", "no items"),
        ("3", "a list of names, or an object"),
        ("[3]", "item 0 is of type int"),
        ("[", "Expecting value"),
    ):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ValueError, match=rf"bad\.json: .*{says}"):
            Catalogue.from_file(tmp_path / "bad.json")


def test_events_are_the_same_without_the_quicker_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = [0.1 + 0.2, 1e-7, 5e-324, 1.7976931348623157e308, -0.0, 1.0, 2.0**60, 1e22]
    decision = Decision.from_json(DECISION | {"context": odd, "items": ['é\u2028\x00"\\']})
    quick = decision.to_json()
    monkeypatch.setitem(sys.modules, "msgspec.json", None)
    fields._encode.cache_clear()
    try:
        plain = decision.to_json()
    finally:
        fields._encode.cache_clear()
    assert plain != quick  # 1e-07 and 1e-7
    assert Decision.from_json(plain) == Decision.from_json(quick) == decision
    assert b"\n" not in plain + quick

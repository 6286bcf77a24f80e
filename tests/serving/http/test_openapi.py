"""The published description: what it lets through the server takes, and what not, not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from serving.contracts.fields import ContractError
from serving.contracts.outcomes import Outcome
from serving.contracts.requests import Request
from serving.http.limits import Limits
from serving.http.openapi import describe
from serving.http.routes import ROUTES
from serving.http.running import running
from tests.serving.http.factories import PATIENT, Caller, outcome, request, tiny_service

DESCRIBED = describe(Limits(), secured=False)
MESSAGES = {"Request": Request, "Outcome": Outcome}


VALIDATORS = {  # of messages, which refer to no other schema
    name: Draft202012Validator(DESCRIBED["components"]["schemas"][name]) for name in MESSAGES
}


def test_every_schema_is_one_and_every_route_is_described() -> None:
    for schema in DESCRIBED["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    found = {(path, method) for path, said in DESCRIBED["paths"].items() for method in said}
    assert found == {(route.path, route.method.lower()) for route in ROUTES}
    said = json.dumps(DESCRIBED)
    for name in DESCRIBED["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in said, f"{name} is not used"


def test_limits_and_the_token_are_in_it() -> None:
    limits = Limits(history=7, candidates=8, outcomes=9, longest_deadline_ms=10)
    found = describe(limits, secured=True)["components"]
    fields = found["schemas"]["Request"]["properties"]
    assert fields["history"]["anyOf"][0]["maxItems"] == 7
    assert fields["candidates"]["anyOf"][0]["maxItems"] == 8
    assert fields["deadline_ms"]["anyOf"][0]["maximum"] == 10
    assert found["schemas"]["Outcomes"]["anyOf"][1]["maxItems"] == 9
    assert {*found["securitySchemes"]} == {"bearer"}
    paths = describe(limits, secured=True)["paths"]
    assert paths["/health"]["get"]["security"] == paths["/"]["get"]["security"] == []
    assert all("security" in one for said in paths.values() for one in said.values())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
FIELDS = {name: sorted(DESCRIBED["components"]["schemas"][name]["properties"]) for name in MESSAGES}
GOOD = {"Request": request(), "Outcome": outcome()}


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_schema_lets_through_what_the_contract_does(name: str, data: st.DataObject) -> None:
    """A good message with some fields replaced, added or left out."""
    body: dict[str, Any] = dict(GOOD[name])
    for field in data.draw(st.lists(st.sampled_from([*FIELDS[name], "other"]), max_size=3)):
        body[field] = data.draw(JSON)
    for field in data.draw(st.lists(st.sampled_from(sorted(body)), max_size=1)):
        del body[field]
    try:
        MESSAGES[name].from_json(body)
        taken = True
    except ContractError:
        taken = False
    schema = VALIDATORS[name].is_valid(body)
    assert schema == taken, body


def test_answers_are_as_described() -> None:
    with running(tiny_service()) as url, Caller(url) as caller:
        assert caller.get("/openapi.json") == (200, describe(PATIENT, secured=False))
        for path, body in (("/decide", request()), ("/outcome", outcome()), ("/outcome", [])):
            check(path, "post", *caller.post(path, body))
        for path in ("/health", "/ready", "/status"):
            check(path, "get", *caller.get(path))
        check("/decide", "post", *caller.post("/decide", {}))


def check(path: str, method: str, status: int, answer: Any) -> None:
    said = DESCRIBED["paths"][path][method]["responses"]
    content = said["200" if status == 200 else "4XX"]["content"]["application/json"]
    Draft202012Validator(content["schema"] | DESCRIBED).validate(answer)

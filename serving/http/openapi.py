"""OpenAPI 3.1 of the routes, from the table that serves them and the fields that check bodies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from serving.contracts.fields import SCHEMAS, text
from serving.contracts.outcomes import Outcome
from serving.contracts.requests import Request
from serving.contracts.schemas import schema_of
from serving.explaining.explain import Question
from serving.http.limits import Limits
from serving.http.messages import Beginning, Farewell, Slate
from serving.http.routes import JSON, ROUTES, Route

Schema = dict[str, Any]


def describe(limits: Limits, *, secured: bool, routes: Iterable[Route] = ROUTES) -> Schema:
    """The description of a server with these limits; `secured` = it wants a token."""
    paths: Schema = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, secured)
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Longplay",
            "version": "1",
            "description": "Slates under rules, logged with the probability that was played. "
            f"A body has at most {limits.body_bytes} bytes; one user sends at most "
            f"{limits.user_requests:g} calls a second.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(limits),
            **({"securitySchemes": schemes} if secured else {}),
        },
    }


def _operation(route: Route, secured: bool) -> Schema:
    content: Schema = {} if route.gives is None else {"schema": _ref(route.gives)}
    error = {"description": "What was wrong.", "content": {JSON: {"schema": _ref("Error")}}}
    said: Schema = {
        "operationId": f"{route.method.lower()} {route.path}",
        "summary": route.about,
        "responses": {
            "200": {"description": "The answer.", "content": {route.kind: content}},
            "4XX": error,
            "503": error,
        },
    }
    if route.takes is not None:
        body = {"content": {JSON: {"schema": _ref(route.takes)}}, "required": True}
        said["requestBody"] = body
    if secured:
        said["security"] = [] if route.open else [{"bearer": []}]
    return said


def _schemas(limits: Limits) -> Schema:
    of_request = {"history": limits.history, "candidates": limits.candidates}
    request = schema_of(Request, "request", most=of_request)
    deadline = {"type": "number", "exclusiveMinimum": 0, "maximum": limits.longest_deadline_ms}
    request["properties"]["deadline_ms"]["anyOf"][0] = deadline
    one, no_more = _ref("Outcome"), {"additionalProperties": False}
    string, count = SCHEMAS[text], {"type": "integer", "minimum": 0}
    return {
        "Request": request,
        "Slate": schema_of(Slate, "slate"),
        "Outcome": schema_of(Outcome, "outcome"),
        "Outcomes": {"anyOf": [one, {"type": "array", "items": one, "maxItems": limits.outcomes}]},
        "Kept": _object({"kept": count}),
        "Question": schema_of(Question, "question", most=of_request),
        "Explanation": {"type": "object"},
        "Beginning": schema_of(Beginning, "beginning"),
        "Items": _object({"items": {"type": "array", "items": string}}),
        "Farewell": schema_of(Farewell, "farewell"),
        "Forgotten": {"type": "object"},
        "Health": _object({"status": {"const": "ok"}}),
        "Ready": _object(
            {"status": {"const": "ready"}, "failing": {"type": "array", "items": string}}
        ),
        "Status": _object(
            {
                "policy": string,
                "sha256": {"type": "string"},
                "since": {"type": "number"},
                "versions": {"type": "array", "items": string},
                "items": count,
                "slate_size": count,
                "response_names": {"type": "array", "items": string},
                "context": count,
                "rules": {"type": "array", "items": string},
                "slis": {"type": "object"},
                "restored": {"type": ["object", "null"]},
                "error": {"type": ["string", "null"]},
                "board": {"type": ["object", "null"]},
                "canary": {"type": ["string", "null"]},
                "weight": {"type": ["number", "null"]},
                "rollout": {"type": ["string", "null"]},
                "shadow": {"type": ["string", "null"]},
            }
        ),
        "Error": _object(
            {
                "error": _object(
                    {
                        "field": {"type": ["string", "null"]},
                        "message": {"type": "string"},
                        "limit": {"type": ["number", "null"]},
                    }
                )
                | no_more
            }
        ),
    }


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}

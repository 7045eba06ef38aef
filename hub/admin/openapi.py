"""OpenAPI 3.1 from the route table and the typed answers: what is documented is what is encoded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import msgspec

from hub.admin.answers import Problem

_REFERENCE: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


class Documented(NamedTuple):
    """One operation."""

    path: str
    summary: str
    answer: type[msgspec.Struct] | None
    """None: plain text."""
    unknown: bool = False
    """Whether it answers 404."""
    method: str = "get"
    body: type[msgspec.Struct] | None = None
    """What it takes, as JSON; more than it can hold is answered with 413."""
    refuses: bool = False
    """Whether it answers 422: what was asked for can be read, and nodes would refuse it."""
    raw: bool = False
    """Whether it takes any body, from who proves himself by a signature instead of a key."""
    query: tuple[str, ...] = ()
    """Names that may stand behind the `?`."""


def openapi(operations: Sequence[Documented]) -> dict[str, Any]:
    """The whole document."""
    answers = [each.answer for each in operations if each.answer is not None]
    bodies = [each.body for each in operations if each.body is not None]
    types = [*answers, *bodies, Problem]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    by_type = dict(zip(types, schemas, strict=True))
    problem = {"application/problem+json": {"schema": by_type[Problem]}}

    def operation(each: Documented) -> dict[str, Any]:
        content = (
            {"text/plain": {"schema": {"type": "string"}}}
            if each.answer is None
            else {"application/json": {"schema": by_type[each.answer]}}
        )
        responses: dict[str, Any] = {
            "200": {"description": "What was asked for.", "content": content},
            "401": {"description": "No key, or an unknown one.", "content": problem},
        }
        if each.raw:
            responses["401"] = {"description": "The signature is not right.", "content": problem}
            responses["413"] = {"description": "Too large a body.", "content": problem}
            responses["503"] = {"description": "Send it again later.", "content": problem}
        elif each.method != "get":
            responses["403"] = {"description": "A key that only reads.", "content": problem}
        if each.body is not None:
            responses["400"] = {"description": "What is wrong, and where.", "content": problem}
            responses["413"] = {"description": "Too large a body.", "content": problem}
        if each.refuses:
            responses["422"] = {"description": "Nodes would refuse it.", "content": problem}
        if each.unknown:
            responses["404"] = {"description": "There is no such thing.", "content": problem}
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(each.path)
        ] + [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in each.query]
        name = re.sub(r"\W+", "_", each.path.removeprefix("/api/v1")).strip("_")
        taken = {"application/json": {"schema": by_type[each.body]}} if each.body is not None else {}
        return {
            "summary": each.summary,
            "operationId": name if each.method == "get" else f"{each.method}_{name}",
            "responses": responses,
            **({"parameters": parameters} if parameters else {}),
            **({"requestBody": {"required": True, "content": taken}} if taken else {}),
            **({"requestBody": {"required": True, "content": {"*/*": {}}}, "security": [{}]} if each.raw else {}),
        }

    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = operation(each)

    return {
        "openapi": "3.1.0",
        "info": {"title": "Edgewise hub", "version": version("edgewise")},
        "security": [{"key": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }

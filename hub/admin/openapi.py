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


def openapi(operations: Sequence[Documented]) -> dict[str, Any]:
    """The whole document."""
    answers = [each.answer for each in operations if each.answer is not None]
    schemas, components = msgspec.json.schema_components([*answers, Problem], ref_template=_REFERENCE)
    by_type = dict(zip([*answers, Problem], schemas, strict=True))
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
        if each.unknown:
            responses["404"] = {"description": "There is no such thing.", "content": problem}
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(each.path)
        ]
        return {
            "summary": each.summary,
            "operationId": re.sub(r"\W+", "_", each.path.removeprefix("/api/v1")).strip("_"),
            "responses": responses,
            **({"parameters": parameters} if parameters else {}),
        }

    return {
        "openapi": "3.1.0",
        "info": {"title": "Edgewise hub", "version": version("edgewise")},
        "security": [{"key": []}, {}],
        "paths": {each.path: {"get": operation(each)} for each in operations},
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }

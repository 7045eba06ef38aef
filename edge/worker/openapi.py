"""OpenAPI 3.1 of the node, from the very structs that decode requests and encode answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import msgspec

from edge.worker.endpoint import Audience, Handler
from edge.worker.problems import ProblemDetails

_REF: Final = "#/components/schemas/{name}"
_TYPES: Final = "application/json"


class Operation(NamedTuple):
    """One method of one path: what runs, and what it takes and gives."""

    method: str
    handler: Handler
    summary: str
    answer: Any
    """Struct of the answer, or a media type that is described in words alone."""
    body: Any = None
    problems: tuple[int, ...] = ()
    also: tuple[str, ...] = ()
    """Further media types of body and answer."""
    status: int = 200
    """Of the answer that is no problem."""
    is_body_optional: bool = False
    failure: Any = ProblemDetails
    """Struct of the answer to what is refused."""
    query: tuple[tuple[str, str], ...] = ()
    """Names of what may stand behind the path's `?`, and what each means."""
    headers: tuple[tuple[str, str], ...] = ()
    """The same of request headers that are its own."""
    as_page: bool = False
    """The answer is a page for whoever would rather have HTML."""
    is_cached: bool = False
    """Whoever names the tag of what he has is told that nothing has changed."""
    unready: bool = False
    """Answered with 503, and the same struct, while there is nothing to answer with."""


class RouteSpec(NamedTuple):
    """One path, and who may ask."""

    path: str
    access: Audience
    operations: tuple[Operation, ...]


def document(routes: Sequence[RouteSpec]) -> dict[str, Any]:
    """The document as plain JSON values."""
    structs = {
        struct
        for route in routes
        for operation in route.operations
        for struct in (operation.body, operation.answer, operation.failure)
        if struct is not None and not isinstance(struct, str)
    }
    types = sorted(structs, key=str)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(types, schemas, strict=True))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Edgewise edge node",
            "version": version("edgewise"),
            "description": "Personalised content decisions at the edge. Errors are RFC 9457 problems.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            route.path: {
                operation.method.lower(): _operation(route, operation, schema_of) for operation in route.operations
            }
            for route in routes
        },
        "components": {"schemas": components, "securitySchemes": _SECURITY_SCHEMES},
    }


def _operation(route: RouteSpec, operation: Operation, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9]+", "_", f"{operation.method.lower()}{route.path}").strip("_")
    name += "_" * route.path.endswith("/")  # two paths of one name but for the slash are two operations
    described: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "security": _SECURITY[route.access],
        "responses": {
            str(operation.status): {
                "description": _MEANING[operation.status],
                "content": _content(operation, operation.answer, schema_of)
                | ({"text/html": {}} if operation.as_page else {}),
            },
            **({"304": {"description": _MEANING[304]}} if operation.is_cached else {}),
            **({"503": _unready(operation, schema_of)} if operation.unready else {}),
            **{str(status): _problem(status, operation.failure, schema_of) for status in _statuses(route, operation)},
        },
    }
    parameters = [
        {"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}
        for parameter in re.findall(r"{(\w+)}", route.path)
    ] + [
        {"name": name, "in": place, "description": meaning, "schema": {"type": "string"}}
        for place, named in (("query", operation.query), ("header", operation.headers))
        for name, meaning in named
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": not operation.is_body_optional,
            "content": _content(operation, operation.body, schema_of),
        }
    return described


def _content(operation: Operation, struct: Any, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    if isinstance(struct, str):
        return {struct: {}}
    return {media: {"schema": schema_of[struct]} for media in (_TYPES, *operation.also)}


def _unready(operation: Operation, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    return {"description": _MEANING[503], "content": _content(operation, operation.answer, schema_of)}


def _problem(status: int, failure: Any, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    media = "application/problem+json" if failure is ProblemDetails else _TYPES
    has_no_places = status == HTTPStatus.BAD_REQUEST and failure is not ProblemDetails
    meaning = "The request is wrong." if has_no_places else _MEANING[status]
    return {"description": meaning, "content": {media: {"schema": schema_of[failure]}}}


def _statuses(route: RouteSpec, operation: Operation) -> list[int]:
    statuses = set(operation.problems)
    if operation.body is not None:
        statuses |= {400, 408, 413, 415}
    if route.access in {"public", "tracking", "visitor"}:
        statuses.add(401)
    if route.access == "operator":
        statuses.add(403)
    return sorted(statuses)


_MEANING: Final = {
    200: "OK",
    202: "Accepted; it goes on elsewhere.",
    302: "It is elsewhere; Location says where.",
    304: "What has this tag is still so.",
    400: "The request is wrong; `errors` says where.",
    401: "Nobody may ask this without a key, an allowed origin, or a proof.",
    403: "Not for this caller.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is encoded in a way that is not understood.",
    503: "Not now; Retry-After says when.",
}
_SECURITY_SCHEMES: Final = {
    "writeKey": {"type": "http", "scheme": "basic", "description": "A write or server key as user, no password."},
    "key": {"type": "http", "scheme": "bearer", "description": "An operator key, a server key, or a visitor token."},
    "visitor": {"type": "apiKey", "in": "cookie", "name": "ew_id"},
}
_SECURITY: Final[dict[Audience, list[dict[str, list[str]]]]] = {
    "anybody": [],
    "public": [{"writeKey": []}, {"key": []}, {}],
    "page": [{"writeKey": []}, {"key": []}, {}],
    "tracking": [{"writeKey": []}, {"key": []}, {}],
    "visitor": [{"visitor": []}, {"key": []}],
    "operator": [{"key": []}, {}],
}

"""Live facts over HTTP, for feeds that have no shell on the hub's machine: a viewer reads, a publisher writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from edgewise.bundle.facts import MOST_ID_CHARACTERS, MOST_NAMES, NO_FACTS
from edgewise.errors import MALFORMED, InputError, RefusedError
from hub.admin.guard import WHO
from hub.admin.openapi import Documented
from hub.admin.problems import problem
from hub.facts.asked import changes_of_items
from hub.facts.board import FactsBoard
from hub.ledger.rows import FactSheetRow

MOST_BODY_BYTES: Final = 8 << 20
PATH: Final = "/api/v1/facts"
_Route = tuple[Documented, Callable[[Request], Awaitable[Response]]]


class FactsChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`PUT /api/v1/facts`: item -> name -> number; null takes a number away. All of it, or nothing."""

    items: dict[
        Annotated[str, Meta(min_length=1, max_length=MOST_ID_CHARACTERS)],
        Annotated[dict[str, float | None], Meta(max_length=MOST_NAMES)],
    ]


class FactsAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The newest version: what nodes have within seconds."""

    version: int
    """0: there are none yet."""
    halted: bool
    numbers: int
    issued_ms: int | None
    expires_ms: int | None
    notes: list[str] = []
    """What the live release knows nothing of."""


class FactsRoutes:
    """Reading and changing live facts."""

    def __init__(self, board: FactsBoard) -> None:
        self._board = board

    def table(self) -> list[_Route]:
        """Every route with what answers it."""
        return [
            (Documented(PATH, "Live facts, how many and since when.", FactsAnswer), self.get),
            (
                Documented(PATH, "Set numbers of items.", FactsAnswer, method="put", body=FactsChange, refuses=True),
                self.put,
            ),
            (Documented(f"{PATH}/halt", "The kill switch.", FactsAnswer, method="post"), self.halt),
            (Documented(f"{PATH}/resume", "Let facts count again.", FactsAnswer, method="post"), self.resume),
        ]

    async def get(self, _: Request) -> Response:
        """The newest version."""
        return _answer(await run_in_threadpool(self._board.newest))

    async def put(self, request: Request) -> Response:
        """All of the body, or nothing of it."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                return problem(413, f"more than {MOST_BODY_BYTES} bytes; send the items in several requests")
        try:
            changes = changes_of_items(msgspec.json.decode(body, type=FactsChange).items)
            notes = await run_in_threadpool(self._board.notes, changes)
            row = await run_in_threadpool(lambda: self._board.change(changes, by=request.scope[WHO]))
        except InputError as wrong:
            told = "; ".join(f"{each.path}: {each.message}" for each in wrong.problems)
            return problem(400, f"{wrong.message}: {told}")
        except MALFORMED as wrong:
            return problem(400, str(wrong))
        except RefusedError as refused:
            return problem(422, f"{refused.code}: {refused.message}")
        return _answer(row, notes)

    async def halt(self, request: Request) -> Response:
        """Nodes serve by the released catalogue alone."""
        return _answer(await run_in_threadpool(lambda: self._board.halt(by=request.scope[WHO])))

    async def resume(self, request: Request) -> Response:
        """Facts count again."""
        return _answer(await run_in_threadpool(lambda: self._board.resume(by=request.scope[WHO])))


def _answer(row: FactSheetRow | None, notes: list[str] | None = None) -> Response:
    told = (
        FactsAnswer(NO_FACTS, False, 0, None, None, notes or [])
        if row is None
        else FactsAnswer(row.version, row.halted, row.numbers, row.issued_ms, row.expires_ms, notes or [])
    )
    return Response(msgspec.json.encode(told), media_type="application/json")

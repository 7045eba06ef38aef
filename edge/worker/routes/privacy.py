"""`POST /v1/privacy/erase`, `GET /v1/privacy/export`: what the proven visitor may ask of a node, about himself only."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from edge.profiles.recent import RecentDecisions
from edge.spool.writer import SpoolFullError
from edge.worker.desk import Desk
from edge.worker.endpoint import PRIVATE, Exchange, json_answer
from edge.worker.identity import unproven
from edge.worker.problems import Answer, HttpProblem
from edgewise.decision import Decision
from edgewise.errors import MALFORMED
from edgewise.ids import SubjectId, ulid
from edgewise.records import DecisionRecord, PreferenceRecord
from edgewise.subjects import subject_of
from edgewise.visitor import COOKIE

_ATTACHED: Final = (b"content-disposition", b'attachment; filename="edgewise-export.json"')
_NO_COOKIE: Final = (b"set-cookie", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax".encode())
_WHERE: Final = (
    "This is what this node holds of you for its decisions. The hub of the site has the complete record, with the "
    "sources of every fact; whoever runs the site exports it by `edgewise profile export`."
)

_FOLLOWS: Final = "This node has forgotten you. The hub of the site, all other nodes and everything beside them follow."
_FOLLOWS_NOT: Final = (
    "This node uses nothing of you any more. It has no hub: what it wrote down of you stays in its log, together with "
    "this request, until a hub takes both, or whoever runs the site deletes the log."
)

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class ErasureBody(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Whom it is about; only a server may say so. An empty body will do for a visitor himself."""

    anonymous_id: Name | None = None
    user_id: Name | None = None


class ErasureAnswer(msgspec.Struct, frozen=True):
    """The request was taken, and holds on this node."""

    id: str
    """By which the hub's certificate names it (`request`)."""
    state: str = "accepted"
    """The node serves nothing of the visitor any more; `note` says what follows."""
    note: str = ""


class ExportAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """All that this node holds of the visitor."""

    subject: SubjectId
    """Keyed hash of his identifier; the node knows no other name of his."""
    preferences: dict[str, Any]
    profile: dict[str, Any] | None
    """None: the node holds none."""
    decisions: list[dict[str, Any]]
    """Those that the node still remembers, oldest first."""
    complete: bool = False
    note: str = _WHERE


_bodies = msgspec.json.Decoder(ErasureBody)


class PrivacyRoutes:
    """Erasure and export."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def erase(self, exchange: Exchange) -> Answer:
        """Forget the visitor on this node now; the request is durable before it is acknowledged.

        It travels in the first lane, before all clicks. The cookie goes as well: who comes back begins anew.
        """
        desk = self._desk
        subject = self._proven(exchange, _bodies.decode(exchange.body) if exchange.body else ErasureBody())
        now_ms = desk.clock.now_ms()
        record = PreferenceRecord(
            producer=desk.spool.producer,
            seq=desk.spool.next_seq,
            subject=subject,
            time_ms=now_ms,
            received_ms=now_ms,
            erasure=ulid(now_ms, desk.entropy(10)),
        )
        if desk.spool.append(record) is None:
            raise SpoolFullError("the disk of the node is full")
        for decision_id in [each for each, made in desk.unflushed.items() if subject in made.owners]:
            del desk.unflushed[decision_id]
        desk.wanted.discard(subject)
        desk.cache.erase(subject)
        await desk.spool.commit()
        answer = ErasureAnswer(record.erasure, note=_FOLLOWS if desk.has_hub else _FOLLOWS_NOT)
        return json_answer(answer, status=HTTPStatus.ACCEPTED, headers=[PRIVATE, _NO_COOKIE])

    async def export(self, exchange: Exchange) -> Answer:
        """What this node holds of the visitor; the hub has more."""
        desk = self._desk
        subject = self._proven(exchange, ErasureBody())
        with desk.cache.reading() as reading:
            preferences, profile = reading.preferences(subject), reading.profile(subject)
        with desk.cache.file.asked(), desk.cache.file.env.begin() as txn:
            remembered = {record.decision_id: record for record in RecentDecisions(desk.cache.file).of(txn, subject)}
        for made in desk.unflushed.values():
            if subject in made.owners:
                record = msgspec.msgpack.decode(made.record, type=DecisionRecord)
                remembered[record.decision_id] = record
        answer = ExportAnswer(
            subject=subject,
            preferences=msgspec.to_builtins(preferences, str_keys=True),
            profile=None if profile is None else msgspec.to_builtins(profile, str_keys=True),
            decisions=[_readable(remembered[decision_id]) for decision_id in sorted(remembered)],
        )
        return json_answer(answer, headers=[PRIVATE, _ATTACHED])

    def _proven(self, exchange: Exchange, body: ErasureBody) -> SubjectId:
        """The subject that the caller has proven to be, or that a server names."""
        caller, key = exchange.caller, self._desk.keys.subject_key
        if caller.is_server:
            if body.user_id is not None:
                return subject_of(key, "userId", body.user_id)
            named = body.anonymous_id or caller.pseudonym or caller.visitor
        else:
            if body != ErasureBody():
                detail = "only a server may name somebody; send no body, or a server key"
                raise HttpProblem(HTTPStatus.FORBIDDEN, "not-yours", detail)
            named = caller.visitor
        if named is None:
            raise unproven("the cookie ew_id, a visitor token, or a server key together with Edgewise-Id")
        return subject_of(key, "anonymousId", named)


def _readable(record: DecisionRecord) -> dict[str, Any]:
    """A decision without what only a computer can use: feature rows are numbers that follow from the profile."""
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(record, shown={}, sampled={}))
    try:
        plain["decision"] = msgspec.to_builtins(msgspec.json.decode(record.decision, type=Decision))
    except MALFORMED:
        plain["decision"] = None
    return plain

"""Rows into Segment calls, as plain dicts that go through `edgewise.intake` like live ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from hub.sources.document import SourceDocument
from hub.sources.fault import UNFORESEEN, Fault
from hub.sources.moments import written
from hub.sources.paths import Row, getter
from hub.sources.repeating import untimed_id
from hub.sources.robots import is_robot
from hub.sources.rule import ENTRY, Rule

MOST_ENTRIES: Final = 1_000
"""Calls that one row may make by `each`."""
_canonical: Final = msgspec.json.Encoder(order="sorted")


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """What one row gives to one call; rows of a group give to the same call."""

    rule: int
    """Position of the rule in the document."""
    group: tuple[str, ...] | None
    """None: the row is a call of its own."""
    number: int
    """Of the row in its file."""
    time_ms: int | None
    call: dict[str, Any]
    products: list[dict[str, Any]]
    key: tuple[str, ...]
    contact: dict[str, Any] | None
    """Fields for the vault."""
    consent_ms: int | None = None
    """When the consent of the call was stated; None: the source does not say."""


class Translator:
    """Makes calls of the rows of one source. Holds no row; not safe for several threads at once."""

    def __init__(self, document: SourceDocument, name: str = "") -> None:
        """`name` is the source's, which its message ids begin with; its kind where it is not given."""
        self.document = document
        self.name = name or document.kind
        self._rules = [Rule(said, document) for said in document.records]
        self._user_agent = None if document.user_agent is None else getter(document.user_agent)
        self.columns: frozenset[str] = frozenset().union(*(rule.columns for rule in self._rules))
        """Every column and path that is read, but for those inside of `each`."""
        if document.user_agent is not None:
            self.columns |= {document.user_agent}

    def time_column(self, piece: Piece) -> str:
        """Where the time of a piece stands."""
        return self._rules[piece.rule].time_column

    @property
    def has_groups(self) -> bool:
        """Whether several rows may make one call."""
        return any(rule.group for rule in self._rules)

    def is_robot(self, row: Row) -> bool:
        """Whether the row's user agent says that no person looked."""
        return self._user_agent is not None and is_robot(self._user_agent(row))

    def calls(self, row: Row, number: int) -> list[dict[str, Any]]:
        """The calls of a row on its own; empty where no rule is for it.

        Raises:
            InputError: a Fault, with the column, what came, why it is refused and what was expected.
        """
        return [self.join([piece]) for piece in self.pieces(row, number)]

    def group_of(self, row: Row) -> list[tuple[int, tuple[str, ...]]]:
        """The groups that a row belongs to, (rule, group), as far as they can be read: also of a row with a Fault."""
        found = []
        for position, rule in enumerate(self._rules):
            try:
                if rule.group and rule.where(row) and (group := _values(rule.group, row)):
                    found.append((position, group))
            except (Fault, *UNFORESEEN):
                continue
        return found

    def pieces(self, row: Row, number: int) -> list[Piece]:
        """What a row gives, to be joined with what other rows of the same groups give. Raises Fault."""
        found: list[Piece] = []
        for position, rule in enumerate(self._rules):
            if rule.entries is None:
                pieces = [self._piece(position, rule, row, number, ())] if rule.where(row) else []
            else:
                entered = [(str(index), {**row, ENTRY: entry}) for index, entry in enumerate(self._entries(rule, row))]
                pieces = [
                    self._piece(position, rule, inner, number, (index,))
                    for index, inner in entered
                    if rule.where(inner)
                ]
            found += [piece for piece in pieces if piece is not None]
        return found

    def join(self, pieces: Sequence[Piece]) -> dict[str, Any]:
        """One call of what the rows of a group give, in any order. Raises Fault where they contradict each other."""
        first = min(pieces, key=lambda piece: (piece.time_ms or 0, piece.number))
        rule = self._rules[first.rule]
        if len(pieces) > 1:
            first = _head(pieces, first)
        call = dict(first.call)
        products = [product for piece in sorted(pieces, key=lambda piece: piece.number) for product in piece.products]
        if products:
            call["properties"] = {**call.get("properties", {}), "products": products}
        times = [piece.time_ms for piece in pieces if piece.time_ms is not None]
        if times:
            call["timestamp"] = written(min(times))
        call["messageId"] = self._message_id(rule, first, call)
        return call

    def contact_key(self, piece: Piece) -> str:
        """What the vault calls a row: a digest of its key, else of its fields."""
        return _digest(list(piece.key) or piece.contact)

    def _piece(self, position: int, rule: Rule, row: Row, number: int, entry: tuple[str, ...]) -> Piece | None:
        head = rule.head(row)
        if head is None:
            return None
        group = None
        if rule.group:
            group = _values(rule.group, row)
            if group is None:
                raise Fault(", ".join(column for column, _ in rule.group), None, "empty", "which group the row is of")
        key = _values(rule.key, row) if rule.key else group or ()
        if key is None:
            raise Fault(", ".join(column for column, _ in rule.key), None, "empty", "what the row is called by")
        named = (*key, *entry) if key else ()
        return Piece(position, group, number, rule.time_ms(row), head.call, rule.products(row), named, *head[1:])

    def _entries(self, rule: Rule, row: Row) -> Iterator[Any]:
        assert rule.entries is not None
        entries = rule.entries(row)
        if entries is None:
            return
        if not isinstance(entries, list) or len(entries) > MOST_ENTRIES:
            raise Fault(rule.said.each or "", entries, "no list", f"a list of at most {MOST_ENTRIES} entries")
        yield from entries

    def _message_id(self, rule: Rule, piece: Piece, call: Mapping[str, Any]) -> str:
        """`NAME:` and a digest: of the key, else of what the call says. A key itself may name a person.

        What is said of a person may change under the same key, so there the digest is of both; and change back, which
        only `repeating` can tell from a file that is read again, where nothing says when.
        """
        parts: list[Any] = [rule.label, *piece.key]
        if rule.said.type == "identify" and not rule.has_time:
            who = (call.get("userId"), call.get("anonymousId"), call.get("context", {}).get("externalIds"))
            named = parts if piece.key else [*parts, *who, call.get("context", {}).get("traits")]
            return untimed_id(self.name, _digest(named), _digest([*parts, call]))
        if not piece.key or rule.said.type == "identify":
            parts.append(call)
        return f"{self.name}:{_digest(parts)}"


def _digest(said: Any) -> str:
    return hashlib.sha256(_canonical.encode(said)).hexdigest()[:32]


def rows_of(payload: Any, document: SourceDocument) -> Iterable[Any]:
    """The rows of a JSON document: where `rows` says, else its entries if it is a list, else itself."""
    found = payload
    if document.rows is not None and isinstance(payload, Mapping):
        found = getter(document.rows)(payload)
        if found is None:
            raise Fault(document.rows, None, "absent", "the list of rows")
    return found if isinstance(found, list) else [found]


def _head(pieces: Sequence[Piece], first: Piece) -> Piece:
    """The earliest row speaks for its group; rows may leave out whom they are about, but not name different people."""
    if all(piece.call is first.call for piece in pieces):
        return first
    named: dict[tuple[Any, ...], Piece] = {}
    for piece in sorted(pieces, key=lambda piece: (piece.time_ms or 0, piece.number)):
        call = piece.call
        who = (call.get("userId"), call.get("anonymousId"), call.get("context", {}).get("traits"))
        if any(who):
            named.setdefault(tuple(str(each) for each in who), piece)
    if len(named) > 1:
        numbers = ", ".join(str(piece.number) for piece in list(named.values())[:2])
        raise Fault("", f"rows {numbers}", "different people", "one person in all rows of a group")
    return next(iter(named.values()), first)


def _values(readers: Sequence[tuple[str, Any]], row: Row) -> tuple[str, ...] | None:
    """The values of all columns; None where one is empty."""
    found = []
    for _, read in readers:
        value = read(row)
        if value is None:
            return None
        found.append(str(value))
    return tuple(found)

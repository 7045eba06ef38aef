"""One rule of a document, ready to read rows: `where` it holds, and the pieces of its call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from hub.sources.conditions import holds
from hub.sources.document import Field, FieldOrColumn, RecordRule, SourceDocument, field_of
from hub.sources.fault import Fault
from hub.sources.identifying import Identifiers, into_call, names_somebody
from hub.sources.paths import Row
from hub.sources.values import AROUND, Reader, Readers

ENTRY: Final = "@"
"""The column that holds the entry, in a rule with `each`."""


class Head(NamedTuple):
    """What all rows of a group say alike."""

    call: dict[str, Any]
    contact: dict[str, Any] | None
    """Fields for the vault."""
    consent_ms: int | None
    """When the call's consent was stated, where the source says so."""


class Rule:
    """Reads the pieces of a call. What is the same for all rows of a group (the head) is read once for them."""

    def __init__(self, said: RecordRule, document: SourceDocument) -> None:
        self.said = said
        self._document = document
        head, other = Readers(document), Readers(document)
        key = said.key if said.key is not None else document.key
        self.where = holds(said.where, other.get)
        self.group = [(column, other.reader(Field(column=column), "id")) for column in said.group]
        self.key = [(column, other.reader(Field(column=column), "id")) for column in key]
        time = said.time if said.time is not None else document.time
        self.time_column = "" if time is None else _written(field_of(time))
        self._time = None if time is None else other.moment(field_of(time))
        self.entries = None if said.each is None else other.get(said.each)
        self._event = head.reader(said.event, "text") if isinstance(said.event, Field) else None
        self._name = None if said.name is None else head.reader(field_of(said.name), "text")
        self._identifiers = Identifiers({**document.identifiers, **said.identifiers}, head, document.region)
        self._properties = _readers(said.properties, head)
        self._traits = _readers(said.traits, head)
        self._context = _readers(said.context, head)
        consent = {} if isinstance(document.consent, str) else document.consent
        self._consent = [(purpose, head.reader(field, "boolean")) for purpose, field in consent.items()]
        stated = document.consent_time
        self._consent_time = None if stated is None else head.moment(field_of(stated))
        self._scores = _readers({} if said.scores is None else said.scores.fields, head, "decimal")
        self._model = None if said.scores is None else head.reader(field_of(said.scores.model), "text")
        self._vault = _readers(document.vault, head, "text")
        money = {**said.properties, **({} if said.products is None else said.products.fields)}
        self._has_money = said.products is not None or any(field_of(each).type == "money" for each in money.values())
        self._currency = head.money.final if self._has_money and "currency" not in said.properties else None
        if isinstance(document.currency, Field):
            head.reader(document.currency)  # so that the head is read again where the currency changes
        inner = Readers(document)
        fields = {} if said.products is None else said.products.fields
        self._product = _readers(fields, inner)
        self._each = None if said.products is None or said.products.each is None else other.get(said.products.each)
        self.columns = head.columns | other.columns | (set() if self._each else inner.columns)
        self._head_getters = [Readers(document).get(column) for column in sorted(head.columns)]
        self._last: tuple[tuple[Any, ...], Head] | None = None
        self.label = said.label or (said.event if isinstance(said.event, str) else said.type)
        """Tells this rule's calls from those of others."""

    @property
    def has_time(self) -> bool:
        """Whether the document says where it stands when something happened."""
        return self._time is not None

    def time_ms(self, row: Row) -> int | None:
        """When it happened; None where the document does not say where that stands."""
        if self._time is None:
            return None
        moment = self._time(row)
        if moment is None:
            raise Fault(self.time_column, None, "empty", "when it happened")
        return moment

    def head(self, row: Row) -> Head | None:
        """Everything of the call but its products, time and id; None: no call of this row."""
        if not self.group:
            return self._read_head(row)
        raw = tuple([get(row) for get in self._head_getters])
        if self._last is None or self._last[0] != raw:
            found = self._read_head(row)
            if found is None:
                return None
            self._last = (raw, found)
        return self._last[1]

    def products(self, row: Row) -> list[dict[str, Any]]:
        """The products of the row."""
        if not self._product:
            return []
        if self._each is None:
            found = _filled(self._product, row)
            return [found] if found else []
        entries = self._each(row)
        if entries is None:
            return []
        if not isinstance(entries, list):
            assert self.said.products is not None
            raise Fault(self.said.products.each or "", entries, "no list", "a list of products")
        stated = [{**entry, AROUND: row} for entry in entries if isinstance(entry, Mapping)]
        return [found for entry in stated if (found := _filled(self._product, entry))]

    def _read_head(self, row: Row) -> Head | None:
        call = self._named(row)
        if call is None:
            return None
        context = _nested(_filled(self._context, row))
        found = self._identifiers.read(row)
        if not names_somebody(found):
            if self._document.nobody == "skip":
                return None
            if self._document.nobody == "reject":
                raise Fault(self._identifiers.columns, None, "names nobody", "an identifier")
        into_call(found, call, context)
        if consent := {purpose: bool(value) for purpose, value in _filled(self._consent, row).items()}:
            context["consent"] = {"categoryPreferences": consent}
        properties = _filled(self._properties, row)
        if self._currency is not None and (currency := self._currency(row)) is not None:
            properties["currency"] = currency
        traits = {**_filled(self._traits, row), **self._scored(row)}
        pieces = {"properties": properties, "traits": traits, "context": context}
        call.update((name, piece) for name, piece in pieces.items() if piece)
        consent_ms = self._consent_time(row) if consent and self._consent_time is not None else None
        return Head(call, _filled(self._vault, row) or None, consent_ms)

    def _named(self, row: Row) -> dict[str, Any] | None:
        """Type and name of the call; None where the row has no event."""
        call: dict[str, Any] = {"type": self.said.type}
        if self.said.type == "track":
            event = self.said.event if self._event is None else self._event(row)
            if event is None:
                return None
            call["event"] = str(event)
        elif self._name is not None and (name := self._name(row)) is not None:
            call["name"] = str(name)
        return call

    def _scored(self, row: Row) -> dict[str, Any]:
        if self.said.scores is None or self._model is None:
            return {}
        prefix = f"score.{self.said.scores.vendor}"
        scores = _filled(self._scores, row)
        model = self._model(row)
        if scores and model is None:
            raise Fault(_written(field_of(self.said.scores.model)), None, "empty", "the model that gave the scores")
        found: dict[str, Any] = {}
        for name, value in scores.items():
            found[f"{prefix}.{name}"] = value
            found[f"{prefix}.{name}.model"] = model
        return found


def _readers(
    declared: Mapping[str, FieldOrColumn], readers: Readers, otherwise: Any = None
) -> list[tuple[str, Reader]]:
    return [(name, readers.reader(field_of(said), otherwise)) for name, said in declared.items()]


def _filled(readers: Sequence[tuple[str, Reader]], row: Row) -> dict[str, Any]:
    found = {}
    for name, read in readers:
        value = read(row)
        if value is not None:
            found[name] = value
    return found


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`page.url` as Segment's context has it: an object in an object."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        inner = found
        *outer, last = name.split(".")
        for step in outer:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return found


def _written(field: Field) -> str:
    return field.column if isinstance(field.column, str) else " or ".join(field.column or ())

"""Sources: zones, currencies and forms of dates exist, and every rule can make a call."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Iterator, Sequence

from edgewise.errors import Problem
from hub.site.converting import did_you_mean
from hub.site.documents import Say, Steps
from hub.site.reading import Files
from hub.sources.document import Condition, Field, FieldOrColumn, RecordRule, SourceDocument, field_of
from hub.sources.moments import check_form
from hub.sources.money import EXPONENT_OF

_KINDS = ("userId", "anonymousId", "groupId", "previousId", "email", "phone")


@functools.cache
def _timezones() -> frozenset[str]:
    """Reads every file of the database, so once a process."""
    return frozenset(zoneinfo.available_timezones())


def check_sources(files: Files) -> Iterator[Problem]:
    """What is wrong with the sources of a site, each on its own."""
    for document, place in files.sources.values():
        yield from _document(document, place.problem)
        yield from _retention(document, place.problem)
        for position, rule in enumerate(document.records):
            yield from _rule(document, rule, ("records", position), place.problem)


def _document(document: SourceDocument, say: Say) -> Iterator[Problem]:
    if document.timezone not in _timezones():
        cure = did_you_mean(document.timezone, _timezones())
        known = cure if len(cure) < 100 else "expected a name of the IANA database such as Europe/London"  # noqa: PLR2004  # one of 600 names
        yield say(("timezone",), f"no time zone {document.timezone!r}; {known}")
    if document.delimiter is not None and document.delimiter in '"\r\n\0':
        yield say(("delimiter",), f"{document.delimiter!r} cannot stand between fields; expected , ; | or a tab")
    yield from _forms(document.dates, ("dates",), say)
    yield from _currencies(document, say)
    for name, field in _fields(document):
        yield from _field(field, name, document, say)
    nobody = not document.identifiers and not any(rule.identifiers for rule in document.records)
    if nobody and document.nobody != "count":
        yield say((), "no identifier is declared; add `identifiers`, or say `nobody: count`")
    for kind in document.identifiers:
        yield from _kind(kind, ("identifiers", kind), say)
    if document.facts is not None:
        if document.facts.time is not None:
            yield from _field(field_of(document.facts.time), ("facts", "time"), document, say)
        yield from _conditions(document.facts.where, ("facts",), say)
    labels: dict[str, int] = {}
    for position, rule in enumerate(document.records):
        label = rule.label or (rule.event if isinstance(rule.event, str) else rule.type)
        if label in labels:
            message = f"rules {labels[label] + 1} and {position + 1} are both called {label!r}; give one a `label`"
            yield say(("records", position), message)
        labels.setdefault(label, position)


def _currencies(document: SourceDocument, say: Say) -> Iterator[Problem]:
    stated = document.currency
    codes: list[tuple[Steps, str]] = [(("currency",), stated)] if isinstance(stated, str) else []
    if document.convert is not None:
        codes.append((("convert", "to"), document.convert.to))
        codes += [(("convert", "rates", code), code) for code in document.convert.rates]
        if document.currency is None:
            yield say(("convert",), "there is nothing to convert from; say `currency`")
        elif isinstance(stated, str) and stated not in (document.convert.to, *document.convert.rates):
            yield say(("convert", "rates"), f"no rate for {stated}, the source's currency; add one")
    for path, code in codes:
        if code not in EXPONENT_OF:
            close = did_you_mean(code, EXPONENT_OF)
            cure = close if close.startswith("did you") else "expected a code of ISO 4217 such as GBP"
            yield say(path, f"no currency {code!r}; {cure}")


def _rule(document: SourceDocument, rule: RecordRule, path: Steps, say: Say) -> Iterator[Problem]:
    if rule.type == "track" and rule.event is None:
        yield say(path, "a track call has a name; say `event: Order Completed`, or `event: {column: …}`")
    if rule.type != "track" and rule.event is not None:
        yield say((*path, "event"), f"only track calls have an event; this one is of type {rule.type}")
    if rule.type not in ("page", "screen", "group") and rule.name is not None:
        yield say((*path, "name"), f"only pages and screens have a name; this call is of type {rule.type}")
    if rule.scores is not None and rule.type != "identify":
        yield say((*path, "scores"), "scores are traits of a person; say `type: identify`")
    if rule.group and rule.each is not None:
        yield say((*path, "each"), "`group` makes one call of several rows, `each` several of one; keep one of them")
    if rule.group and rule.type != "track":
        yield say((*path, "group"), f"only track calls have several rows; this one is of type {rule.type}")
    for kind in rule.identifiers:
        yield from _kind(kind, (*path, "identifiers", kind), say)
    yield from _conditions(rule.where, path, say)
    for name, field in _fields(rule):
        yield from _field(field, (*path, *name), document, say)


def _conditions(conditions: Sequence[Condition], path: Steps, say: Say) -> Iterator[Problem]:
    for position, condition in enumerate(conditions):
        said = (condition.equals, condition.differs, condition.starts, condition.contains, condition.filled)
        bounds = (condition.above, condition.at_least, condition.below, condition.at_most)
        if all(one is None for one in (*said, *bounds)):
            cure = "say is, not, starts, contains, filled, above, at_least, below or at_most"
            yield say((*path, "where", position), f"nothing is asked of {condition.column!r}; {cure}")


def _field(field: Field, path: Steps, document: SourceDocument, say: Say) -> Iterator[Problem]:
    if (field.column is None) == (field.value is None):
        yield say(path, "expected a `column` or a constant `value`; say one of them")
    if field.type == "money" and document.currency is None:
        yield say(path, "money of which currency? say `currency: GBP` for the source, or `currency: {column: …}`")
    if field.minor and field.type != "money":
        yield say((*path, "minor"), "only money has minor units; say `type: money`")
    if field.others != "keep" and not field.values:
        yield say((*path, "others"), "there are no `values` that could be others; list some")
    yield from _forms(field.dates, (*path, "dates"), say)


def _forms(forms: tuple[str, ...] | list[str], path: Steps, say: Say) -> Iterator[Problem]:
    for position, form in enumerate(forms):
        wrong = check_form(form)
        if wrong is not None:
            yield say((*path, position), wrong)


def _kind(kind: str, path: Steps, say: Say) -> Iterator[Problem]:
    meant = {known.lower(): known for known in _KINDS}.get(kind.replace("_", "").lower())
    if meant is not None and meant != kind:
        yield say(path, f"no identifier is called {kind!r}; did you mean {meant!r}?")


def _retention(document: SourceDocument, say: Say) -> Iterator[Problem]:
    known = set(document.vault)
    for rule in document.records:
        known |= set(rule.traits) | set(rule.properties)
        if rule.scores is not None:
            known |= {f"score.{rule.scores.vendor}.{name}" for name in rule.scores.fields}
    for name in document.retention.fields:
        if name not in known:
            yield say(("retention", "fields", name), f"the source has no field {name!r}; {did_you_mean(name, known)}")


def _fields(said: SourceDocument | RecordRule) -> Iterator[tuple[tuple[str, ...], Field]]:
    """Every field of a part, with its path, but for those of its rules."""
    named: dict[tuple[str, ...], FieldOrColumn | None] = {}
    match said:
        case SourceDocument():
            named[("time",)] = said.time
            named[("consent_time",)] = said.consent_time
            named.update({("identifiers", name): field for name, field in said.identifiers.items()})
            named.update({("vault", name): field for name, field in said.vault.items()})
            if not isinstance(said.consent, str):
                named.update({("consent", purpose): field for purpose, field in said.consent.items()})
            if isinstance(said.currency, Field):
                named[("currency",)] = said.currency
        case RecordRule():
            named |= {("time",): said.time, ("name",): said.name}
            if isinstance(said.event, Field):
                named[("event",)] = said.event
            for group in ("identifiers", "properties", "traits", "context"):
                named.update({(group, name): field for name, field in getattr(said, group).items()})
            if said.products is not None:
                named.update({("products", "fields", name): field for name, field in said.products.fields.items()})
            if said.scores is not None:
                named[("scores", "model")] = said.scores.model
                named.update({("scores", "fields", name): field for name, field in said.scores.fields.items()})
    yield from ((path, field_of(field)) for path, field in named.items() if field is not None)

"""`edgewise profile suggestions`: records without a shared key that are probably one person, for people to decide."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edgewise.ids import SubjectId
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import By
from hub.commands.profile_identity import known_between
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger
    from hub.ledger.suggestions import Suggestion

_SHOWN = 20


class Said(msgspec.Struct, frozen=True):
    """What one source's record says of a person, as it stands in the vault."""

    source: str
    fields: dict[str, Any]


class Side(msgspec.Struct, frozen=True):
    """One of the two."""

    subject: SubjectId
    records: list[Said]


class Field(msgspec.Struct, frozen=True):
    """What one field says."""

    field: str
    words: str
    weight: float
    """log2 of how many times as likely this is of one person as of two."""
    says: str
    """The weight in words."""


class Suggested(msgspec.Struct, frozen=True):
    """A pair with its evidence."""

    number: int
    probability: float
    left: Side
    right: Side
    evidence: list[Field]


def suggestions(
    *,
    data_dir: DataDir,
    refresh: Annotated[bool, typer.Option("--refresh", help="Compare the vault's records anew first.")] = False,
    accept: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="They are one person: state the merge.")
    ] = None,
    refuse: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="They are two; never suggest it again.")
    ] = None,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List people who are probably one, with what speaks for it; a person accepts or refuses."""
    from edgewise.clock import SystemClock
    from hub.audit import person
    from hub.ledger.ledger import open_ledger

    if accept is not None and refuse is not None:
        raise typer.BadParameter("one of --accept and --refuse, not both", param_hint="--accept")
    terminal = Terminal(json=json, quiet=quiet)
    now_ms = SystemClock().now_ms()
    with open_ledger(data_dir) as ledger:
        if accept is not None or refuse is not None:
            terminal.result(*_decided(ledger, accept, refuse, who=person(by, os.environ), now_ms=now_ms))
            return
        if refresh:
            from hub.linkage.suggest import refresh as find

            with terminal.working("comparing the vault's records") as working:
                notes = find(ledger, who=person(by, os.environ), now_ms=now_ms, working=working)
            for note in notes:
                terminal.note(f"note: {note}")
        listed = _listed(ledger)
    terminal.result({"suggestions": listed}, *_shown(listed))


def _decided(
    ledger: Ledger, accept: int | None, refuse: int | None, *, who: str, now_ms: int
) -> tuple[dict[str, Any], str]:
    from hub.ledger.rows import AuditEntry
    from hub.ledger.suggestions import SuggestionState

    number = accept or refuse or 0
    open_ = next((each for each in ledger.suggestions(SuggestionState.OPEN) if each.number == number), None)
    pair = {} if open_ is None else _pair(open_)
    changed = 0
    if accept is None:
        decided = ledger.refuse_suggestion(
            number, AuditEntry(who, "profile suggestion refuse", str(number), pair), now_ms
        )
        did = "stay two people and are not suggested again"
    else:
        reason = "" if open_ is None else _reason(ledger, open_)
        audit = AuditEntry(who, "profile suggestion accept", str(number), pair)
        decided, others = ledger.accept_suggestion(number, audit, reason, now_ms)
        changed, did = len(others), "are one person now"
    told = {"number": number, "state": decided.state, **_pair(decided), "changed": changed}
    return told, f"{decided.left_subject} and {decided.right_subject} {did}"


def _reason(ledger: Ledger, suggestion: Suggestion) -> str:
    """What the merge is stated for. Raises RefusedError where people have said that they are two."""
    from edgewise.errors import RefusedError

    left, right = suggestion.left_subject, suggestion.right_subject
    known = known_between(ledger, left, right)
    if not known.joined(left, right) and not known.would_join(left, right):
        raise RefusedError(
            "kept-apart",
            f"suggestion {suggestion.number} cannot be accepted: subjects of theirs were stated to be two people",
        )
    words = "; ".join(each.words for each in suggestion.evidence if each.weight > 0)
    return f"suggestion {suggestion.number}, probability {suggestion.probability:.4f}: {words}"


def _pair(suggestion: Suggestion) -> dict[str, Any]:
    return {"left": suggestion.left_subject, "right": suggestion.right_subject}


def _listed(ledger: Ledger) -> list[Suggested]:
    """The open ones, but for pairs that became one person since."""
    from hub.ledger.suggestions import SuggestionState
    from hub.linkage.suggest import strength

    open_ = ledger.suggestions(SuggestionState.OPEN)
    subjects = {subject for each in open_ for subject in (each.left_subject, each.right_subject)}
    people = ledger.people_of(subjects)
    records: dict[SubjectId, list[Said]] = {subject: [] for subject in subjects}
    if subjects:
        for contact in ledger.contacts():
            if contact.subject in records:
                records[contact.subject].append(Said(contact.source, contact.fields))
    return [
        Suggested(
            each.number,
            each.probability,
            Side(each.left_subject, records[each.left_subject]),
            Side(each.right_subject, records[each.right_subject]),
            [Field(said.field, said.words, said.weight, strength(said.weight)) for said in each.evidence],
        )
        for each in open_
        if people[each.left_subject] != people[each.right_subject]
    ]


def _shown(listed: list[Suggested]) -> list[Any]:
    if not listed:
        return ["nobody is suggested; `--refresh` compares the vault's records anew"]
    shown: list[Any] = []
    for each in listed[:_SHOWN]:
        shown.append(f"\n{each.number}: one person with a probability of {each.probability:.4f}")
        sides = [["", side.subject[:8], *_words(side)] for side in (each.left, each.right)]
        shown.append(table(["", "subject", "source", "says"], sides))
        shown.append(
            table(["", "what agrees or differs", "speaks"], [["", said.words, said.says] for said in each.evidence])
        )
    if len(listed) > _SHOWN:
        shown.append(f"\n{len(listed) - _SHOWN:,} more; --json lists all")
    shown.append("\n`edgewise profile suggestions --accept N` makes them one person, `--refuse N` never shows it again")
    return shown


def _words(side: Side) -> list[str]:
    said = "; ".join(", ".join(str(value) for value in each.fields.values() if value) for each in side.records)
    sources = ", ".join(dict.fromkeys(each.source for each in side.records))
    return [_plain(sources), _plain(said)]


def _plain(text: str) -> str:
    return "".join(mark if mark.isprintable() else "\ufffd" for mark in text)

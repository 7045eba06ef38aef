"""Records of the vault that share no key and are probably one person: suggested, never joined without a person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from edgewise.ids import SubjectId
from hub.identity.resolve import Statement, pair_of, standing
from hub.ledger.ledger import Ledger
from hub.ledger.rows import AuditEntry, ContactRow
from hub.ledger.suggestions import Evidence, Found, SuggestionState
from hub.linkage.clusters import weight_of
from hub.linkage.records import prepared, records
from hub.linkage.roles import Role, recognised
from hub.linkage.scoring import Scorer

LEAST_PROBABILITY: Final = 0.5
_DIGITS: Final = 6


def refresh(
    ledger: Ledger,
    *,
    who: str,
    now_ms: int,
    least_probability: float = LEAST_PROBABILITY,
    working: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Compare the vault's records anew and make what is found the open suggestions; returns notes for people."""
    contacts = list(ledger.contacts())
    found, notes = suggested(ledger, contacts, least_probability, working)
    detail = {"records": len(contacts), "suggestions": len(found), "least_probability": least_probability}
    ledger.replace_open_suggestions(found, AuditEntry(who, "profile suggestions refresh", "vault", detail), now_ms)
    return notes


def suggested(
    ledger: Ledger,
    contacts: Sequence[ContactRow],
    least_probability: float,
    working: Callable[[str], None] = lambda _: None,
) -> tuple[list[Found], list[str]]:
    """One pair for each two people with records that agree, best first; and notes.

    Left out: pairs of one person, and people between whom a suggestion was refused, or a person stated that they
    are two.
    """
    if len({contact.subject for contact in contacts}) < 2:  # noqa: PLR2004  # a pair
        return [], [
            f"the vault has records of {len({contact.subject for contact in contacts})} people; nobody to compare"
        ]
    prepared_rows = _rows(contacts)
    if not any(value for row in prepared_rows for value in row.values()):
        return [], ["no field of the vault says who somebody is (first_name, surname, dob, email, phone, …)"]
    person = {subject: members[0] for subject, members in _people(ledger, contacts).items()}
    apart = _apart(ledger, person)
    of = records(
        prepared_rows, ids=[str(number) for number in range(len(contacts))], files=[each.source for each in contacts]
    )
    best: dict[tuple[SubjectId, SubjectId], tuple[float, int, int]] = {}
    with Scorer(of) as scorer:
        scorer.learn(working)
        working("comparing records")
        scored = scorer.candidates(least_probability)
        least = weight_of(least_probability)
        for left, right, weight in zip(
            scored.left.tolist(), scored.right.tolist(), scored.weight.tolist(), strict=True
        ):
            people = pair_of(person[contacts[left].subject], person[contacts[right].subject])
            if people[0] == people[1] or people in apart or weight < least:
                continue
            if people not in best or weight > best[people][0]:
                best[people] = (weight, left, right)
        chosen = sorted(best.values(), key=lambda each: (-each[0], each[1], each[2]))
        said = scorer.evidence([(left, right) for _, left, right in chosen])
        notes = scorer.notes
    found = []
    for (weight, left, right), evidence in zip(chosen, said, strict=True):
        pair = pair_of(contacts[left].subject, contacts[right].subject)
        told = [Evidence(each.field, each.words, round(each.weight, 3)) for each in evidence]
        found.append(Found(*pair, round(1 / (1 + 2**-weight), _DIGITS), told))
    return found, notes


def strength(weight: float) -> str:
    """How much a field says, in words; `weight` is log2 of the ratio of likelihoods."""
    size = abs(weight)
    side = "for" if weight > 0 else "against"
    for least, word in ((7, "very strongly"), (4, "strongly"), (1.5, "somewhat"), (0.5, "a little")):
        if size >= least:
            return f"{word} {side} it ({2**size:,.0f} times as likely {'of one person' if weight > 0 else 'of two'})"
    return "nothing either way"


def _people(ledger: Ledger, contacts: Iterable[ContactRow]) -> dict[SubjectId, tuple[SubjectId, ...]]:
    return ledger.people_of({contact.subject for contact in contacts})


def _apart(ledger: Ledger, person: Mapping[SubjectId, SubjectId]) -> set[tuple[SubjectId, SubjectId]]:
    """Pairs of people of whom somebody said that they are two."""
    pairs = [(each.left_subject, each.right_subject) for each in ledger.suggestions(SuggestionState.REFUSED)]
    statements = [Statement(each.position, each.kind, each.left, each.right) for each in ledger.statements()]
    pairs += standing(statements).apart
    known = ledger.people_of({subject for pair in pairs for subject in pair} - person.keys())
    called = {**{subject: members[0] for subject, members in known.items()}, **person}
    return {pair_of(called[left], called[right]) for left, right in pairs}


def _rows(contacts: Sequence[ContactRow]) -> list[dict[Role, str | None]]:
    """Prepared rows in the order of `contacts`; each source has columns, and an order of dates, of its own."""
    of_source: dict[str, list[int]] = defaultdict(list)
    for position, contact in enumerate(contacts):
        of_source[contact.source].append(position)
    rows: list[dict[Role, str | None]] = [{} for _ in contacts]
    for positions in of_source.values():
        roles = recognised(sorted({name for position in positions for name in contacts[position].fields}))
        columns = {
            role: [_text(contacts[position].fields.get(column)) for position in positions]
            for role, column in roles.items()
        }
        for position, row in zip(positions, prepared(columns, len(positions)), strict=True):
            rows[position] = row
    return rows


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)

"""Keys that nearly meet: found in the vault's values, one finding for one fault, never between people who are one."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from edgewise.consent import Grants
from edgewise.ids import MessageId, Producer, SubjectId
from edgewise.records import EventRecord
from edgewise.subjects import subject_of
from hub.data_audit.holdings import Holdings, source_of
from hub.data_audit.joins import LEAST_PEOPLE, JoinFault, join_faults
from hub.ledger.rows import ContactRow

KEY = b"k" * 32
GRANTED = Grants(personalisation=True, analytics=True, marketing=True)
Names = Mapping[str, str]


def holdings(vault: Iterable[tuple[Names, Mapping[str, Any]]], seen: Iterable[Names]) -> Holdings:
    """`vault`: (identifiers, fields) of the CRM's records; `seen`: identifiers of events of the shop."""
    found = Holdings([])
    for source, names in [*(("import/crm", names) for names, _ in vault), *(("hook/shop", names) for names in seen)]:
        found.take_event(event(source, names))
    for number, (names, fields) in enumerate(vault):
        found.take_contact(ContactRow("crm", str(number), subject(names), dict(fields), 1))
    return found


def event(producer: str, names: Names) -> EventRecord:
    hashed = {kind: subject_of(KEY, kind, value) for kind, value in names.items()}
    return EventRecord(
        Producer(producer), 1, subject(names), MessageId("m"), "track", "x", 1, 1, GRANTED, identifiers=hashed
    )


def subject(names: Names) -> SubjectId:
    kind, value = next(iter(names.items()))
    return subject_of(KEY, kind, value)


def faults(vault: list[tuple[Names, Mapping[str, Any]]], seen: list[Names]) -> list[JoinFault]:
    of = holdings(vault, seen)
    return join_faults(of, {}, KEY)


@pytest.mark.parametrize(
    ("field", "kind", "written", "seen", "difference"),
    [
        ("card", "loyaltyCard", "00{}", "{}", "leading zeros"),
        ("card", "loyaltyCard", "{}", "0000{}", "leading zeros"),
        ("card", "loyaltyCard", "KD-{}", "kd-{}", "capitals and small letters"),
        ("card", "loyaltyCard", "12 {}", "12{}", "blanks and dashes"),
        ("card", "loyaltyCard", "{}.0", "{}", "a decimal point, as spreadsheets write it"),
        ("email", "email", "a{}@gmail.com", "a{}@gmial.com", "a mistyped mail domain"),
        ("email", "email", "a{}@hotmial.com", "a{}@hotmail.com", "a mistyped mail domain"),
        ("email", "email", "a{}+shop@x.example", "a{}@x.example", "a +tag in the address"),
        ("phone", "phone", "0049 30 12345{}", "+493012345{}", "the country code of the number"),
        ("phone", "phone", "+49 30 12345{}", "03012345{}", "the country code of the number"),
    ],
)
def test_ways_to_write_one_thing(field: str, kind: str, written: str, seen: str, difference: str) -> None:
    numbers = [f"{number}7" for number in range(10, 16)]
    vault: list[tuple[Names, Mapping[str, Any]]] = [
        ({"userId": f"u{number}"}, {field: written.format(number)}) for number in numbers
    ]
    (fault,) = faults(vault, [{kind: seen.format(number)} for number in numbers])
    assert (fault.source, fault.other, fault.field, fault.kind) == ("crm", "shop", field, kind)
    assert fault.difference == difference
    assert set(fault.pairs) == {
        (subject(names), subject({kind: seen.format(number)}))
        for (names, _), number in zip(vault, numbers, strict=True)
    }


def test_what_is_written_alike_is_no_fault() -> None:
    vault: list[tuple[Names, Mapping[str, Any]]] = [({"card": f"00{n}5"}, {"card": f"00{n}5"}) for n in range(10, 20)]
    assert faults(vault, [names for names, _ in vault]) == []


def test_a_few_may_be_chance() -> None:
    vault: list[tuple[Names, Mapping[str, Any]]] = [({"userId": f"u{n}"}, {"card": f"00{n}"}) for n in range(10, 20)]
    assert faults(vault, [{"card": str(n)} for n in range(10, 10 + LEAST_PEOPLE - 1)]) == []
    assert len(faults(vault, [{"card": str(n)} for n in range(10, 10 + LEAST_PEOPLE)])) == 1


def test_people_who_are_one_already_are_not_apart() -> None:
    vault: list[tuple[Names, Mapping[str, Any]]] = [({"userId": f"u{n}"}, {"card": f"00{n}"}) for n in range(10, 20)]
    seen = [{"card": str(n)} for n in range(10, 20)]
    of = holdings(vault, seen)
    one = {subject(names): subject(other) for (names, _), other in zip(vault, seen, strict=True)}
    assert join_faults(of, one, KEY) == []


def test_one_fault_in_two_fields_is_told_once() -> None:
    vault: list[tuple[Names, Mapping[str, Any]]] = [
        ({"userId": f"u{n}"}, {"card": f"00{n}", "member": f"00{n}"}) for n in range(10, 20)
    ]
    assert len(faults(vault, [{"card": str(n)} for n in range(10, 20)])) == 1


def test_values_that_are_no_keys_are_passed_over() -> None:
    odd: dict[str, Any] = {"a": None, "b": True, "c": 1.5, "d": ["x"], "e": "", "f": "x" * 1_000, "g": "\u0000"}
    vault: list[tuple[Names, Mapping[str, Any]]] = [({"userId": f"u{n}"}, odd) for n in range(5)]
    assert faults(vault, [{"card": "x"}]) == []


def test_producers_are_called_by_their_source() -> None:
    assert [source_of(name) for name in ("import/crm", "hook/crm", "edge-1/3/0", "edge-1")] == [
        "crm", "crm", "web", "web",
    ]  # fmt: skip

"""Identifiers: one spelling for each, nobody behind what senders write for nothing, nothing lost of long numbers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from edgewise.identifiers import is_blocked, normalised
from edgewise.intake import Call, decode_call
from edgewise.naming import identifiers_of, subject_of_call
from edgewise.subjects import subject_of

KEY = b"k" * 32
BIG = 9_223_372_036_854_775_807


def call(**said: Any) -> Call:
    return decode_call(msgspec.json.encode({"type": "identify", **said}), type=None)


def hashes(**named: str) -> dict[str, str]:
    return {kind: subject_of(KEY, kind, value) for kind, value in named.items()}


@pytest.mark.parametrize(
    ("kind", "value", "spelled"),
    [
        ("email", "ann@example.org", "ann@example.org"),
        ("email", "  Ann@Example.ORG\u200b\n", "ann@example.org"),
        ("email", "\uff41\uff4e\uff4e\uff20example.org", "ann@example.org"),
        ("email", "ann@MÜNCHEN.example", "ann@xn--mnchen-3ya.example"),
        ("email", "ann\u202e@example.org", "ann@example.org"),
        ("email", "no address", ""),
        ("email", "@example.org", ""),
        ("email", "ann@ ", ""),
        ("email", "a@" + "ü" * 70, "a@" + "ü" * 70),
        ("phone", "+44 (0)20 7946 0958", "+442079460958"),
        ("phone", "\uff0b44 20 7946 0958", "+442079460958"),
        ("phone", "+1 (415) 555-2671", "+14155552671"),
        ("phone", "020 7946 0958", "02079460958"),
        ("phone", "+44 20", "4420"),
        ("phone", "call me", ""),
        ("userId", " Ann ", " Ann "),
        ("crm_id", str(BIG), str(BIG)),
        ("crm_id", "x" * 501, ""),
    ],
)
def test_every_identifier_has_one_spelling(kind: str, value: str, spelled: str) -> None:
    assert normalised(kind, value) == spelled


def test_a_region_says_whose_national_numbers_they_are() -> None:
    assert normalised("phone", "020 7946 0958", "GB") == "+442079460958" == normalised("phone", "+442079460958", "GB")
    assert normalised("phone", "030 901820", "DE") == "+4930901820"


@pytest.mark.parametrize(
    "value",
    [
        *("null", "NULL", "None", "undefined", "Unknown", "anonymous", "guest", "NaN", "N/A", "true"),
        *("0", "000-00", "-", "-1"),
        *("null\u200b", "\uff4eull", "\u200b\uff2e\uff35\uff2c\uff2c\u2060", "\uff10\uff10", "un\u00adknown", "\u200b"),
        *("", "  ", "00000000-0000-0000-0000-000000000000", "[object Object]", "(not set)"),
    ],
)
def test_what_senders_write_for_nothing_names_nobody(value: str) -> None:
    assert is_blocked(value)
    assert {normalised(kind, value) for kind in ("userId", "email", "phone", "crm_id")} == {""}
    with pytest.raises(InputError, match="names somebody") as refused:
        call(userId=value or " ")
    assert refused.value.problems[0].path == "$.anonymousId"
    assert call(userId=value or " ", anonymousId="a-1").user_id is None


@given(st.text(max_size=60))
def test_spelling_twice_changes_nothing_and_nothing_is_too_strange(value: str) -> None:
    for kind in ("userId", "email", "phone", "crm_id"):
        once = normalised(kind, value)
        assert normalised(kind, once) == once
        assert len(subject_of(KEY, kind, once)) == 32


def test_addresses_and_numbers_are_found_in_traits_and_context() -> None:
    said = call(anonymousId="a", traits={"email": "A@b.example", "phone": 442079460958})
    assert identifiers_of(said, KEY) == hashes(anonymousId="a", email="a@b.example", phone="442079460958")
    said = call(type="track", event="x", anonymousId="a", context={"traits": {"email": "A@b.example"}})
    assert identifiers_of(said, KEY) == hashes(anonymousId="a", email="a@b.example")
    both = call(anonymousId="a", traits={"email": "a@b.example"}, context={"traits": {"email": "c@d.example"}})
    assert identifiers_of(both, KEY)["email#2"] == subject_of(KEY, "email", "c@d.example")


def test_the_traits_of_a_group_are_not_the_persons() -> None:
    said = call(type="group", anonymousId="a", groupId="g-1", traits={"email": "info@shop.example"})
    assert identifiers_of(said, KEY) == hashes(anonymousId="a", groupId="g-1")


def test_external_ids_are_as_segment_spells_them() -> None:
    ids = [
        {"id": "A@b.example", "type": "email", "collection": "users", "encoding": "none"},
        {"id": BIG, "type": "crm_id"},
        {"id": "u-1", "type": "user_id"},
        {"id": "acme", "type": "account", "collection": "accounts"},
        {"id": "null", "type": "loyalty"},
        {"id": "second", "type": "crm_id"},
    ]
    said = call(anonymousId="a", context={"externalIds": ids})
    assert said.user_id == "u-1"
    expected = hashes(anonymousId="a", userId="u-1", email="a@b.example", crm_id=str(BIG))
    assert identifiers_of(said, KEY) == {**expected, "crm_id#2": subject_of(KEY, "crm_id", "second")}


@pytest.mark.parametrize(
    ("ids", "path"),
    [
        ("x", "$.context.externalIds"),
        ([{"id": "x", "type": "e"}] * 51, "$.context.externalIds"),
        (["x"], "$.context.externalIds[0]"),
        ([{"id": "x"}], "$.context.externalIds[0].type"),
        ([{"id": "x", "type": "a b"}], "$.context.externalIds[0].type"),
        ([{"id": "x", "type": "email#2"}], "$.context.externalIds[0].type"),
        ([{"id": 1.5, "type": "crm"}], "$.context.externalIds[0].id"),
    ],
)
def test_external_ids_that_are_none_are_refused_with_their_path(ids: Any, path: str) -> None:
    with pytest.raises(InputError) as refused:
        call(anonymousId="a", context={"externalIds": ids})
    assert [problem.path for problem in refused.value.problems] == [path]


def test_whose_record_it_is() -> None:
    assert subject_of_call(call(anonymousId="a", userId="u"), KEY) == subject_of(KEY, "anonymousId", "a")
    assert subject_of_call(call(anonymousId="a", userId="u"), KEY, vouched=True) == subject_of(KEY, "userId", "u")
    assert subject_of_call(call(userId=BIG), KEY) == subject_of(KEY, "userId", str(BIG))
    ids = [{"id": "c", "type": "crm"}, {"id": "+442079460958", "type": "phone"}]
    nameless = call(groupId="g", context={"externalIds": ids})
    assert subject_of_call(nameless, KEY) == subject_of(KEY, "phone", "+442079460958")
    assert subject_of_call(call(context={"externalIds": ids[:1]}), KEY) == subject_of(KEY, "crm", "c")


@pytest.mark.parametrize("said", [{}, {"groupId": "g"}, {"previousId": "p"}, {"traits": {"email": "null"}}])
def test_a_call_that_names_nobody_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected an anonymousId or a userId, got neither"):
        call(**said)


def test_who_was_renamed_is_the_subject_that_he_was() -> None:
    renamed = call(type="alias", userId="new", previousId="old")
    was = {"previousId": subject_of(KEY, "userId", "old"), "anonymousId": subject_of(KEY, "anonymousId", "old")}
    assert identifiers_of(renamed, KEY) == {**was, "userId": subject_of(KEY, "userId", "new")}

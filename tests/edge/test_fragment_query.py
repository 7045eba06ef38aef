"""What the address of a fragment asks."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.worker.consent_header import consent_of
from edge.worker.fragment_query import asked_by, asks_shared, preferred_language
from edgewise.attributes import CONTEXT_FIELDS, context_field
from edgewise.consent import Consent, ConsentState
from edgewise.errors import InputError

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(st.dictionaries(st.sampled_from(CONTEXT_FIELDS), TEXTS))
def test_every_field_of_the_context_can_be_asked_by_its_name(said: dict[str, str]) -> None:
    context = asked_by("hero", urlencode(said).encode(), {}).request.context
    assert {field: context_field(context, field) for field in said} == said


@given(st.dictionaries(st.sampled_from((*CONTEXT_FIELDS, "attributes.weather")), TEXTS), TEXTS, TEXTS)
def test_a_shared_fragment_is_asked_by_the_listed_fields_alone(said: dict[str, str], cookie: str, consent: str) -> None:
    """Two requests that agree in the list are the same question, whatever else is in them."""
    query = urlencode(said).encode()
    headers = {b"cookie": cookie.encode(), b"edgewise-consent": consent.encode(), b"edgewise-page": b"/elsewhere"}
    listed = {name: value for name, value in said.items() if name == "locale"}
    alone = asked_by("hero", urlencode(listed).encode(), {}, vary=["locale"])
    assert asked_by("hero", query, headers, vary=["locale"]) == alone


@given(st.binary(max_size=60), st.binary(max_size=30), st.sampled_from([None, ("locale",)]))
def test_any_bytes_are_a_question_or_refused(query: bytes, header: bytes, vary: tuple[str, ...] | None) -> None:
    headers = {b"accept-language": header, b"edgewise-page": header, b"edgewise-consent": header}
    with contextlib.suppress(InputError):
        asks_shared(query)
        assert asked_by("hero", query, headers, vary=vary).request.placements[0].name == "hero"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("12", 12.0),
        ("-0.5", -0.5),
        ("true", True),
        ("false", False),
        ("007", "007"),
        ("1e400", "1e400"),
        ("NaN", "NaN"),
        ("", ""),
    ],
)
def test_an_attribute_is_a_number_or_a_truth_where_json_says_so(written: str, meant: Any) -> None:
    (value,) = asked_by("hero", f"attributes.a={written}".encode(), {}).request.context.attributes.values()
    assert (value, type(value)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"),
        ("da;q=0.5, en-GB;q=0.8, *;q=0.1", "en-GB"),
        ("en;q=0, *", ""),
        ("fr;q=x, de;q=0.1", "de"),
        ("a;q=9", ""),
        ("", ""),
        (",;,=,", ""),
    ],
)
def test_the_language_that_is_wanted_most(header: str, language: str) -> None:
    assert preferred_language(header.encode()) == language


def test_the_address_goes_before_headers() -> None:
    headers = {b"accept-language": b"de", b"edgewise-page": b"/cart?secret=1"}
    silent = asked_by("hero", b"utm_source=mail", headers)
    assert (silent.request.context.locale, silent.request.context.page.path) == ("de", "/cart")
    said = asked_by("hero", b"locale=fr&path=/sale", headers)
    assert (said.request.context.locale, said.request.context.page.path, said.locale_from_header) == (
        "fr",
        "/sale",
        False,
    )
    # A proxy's cache knows the address, not what the proxy has added to it.
    assert asked_by("hero", b"", headers, vary=["page.path"]).request.context.page.path == ""


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("", Consent()),
        ("personalisation=granted", Consent(personalisation=ConsentState.GRANTED)),
        (
            "personalization=denied; analytics = Granted",
            Consent(personalisation=ConsentState.DENIED, analytics=ConsentState.GRANTED),
        ),
        ("marketing=denied,marketing=granted", Consent(marketing=ConsentState.DENIED)),
        ("marketing=granted,marketing=denied", Consent(marketing=ConsentState.DENIED)),
    ],
)
def test_consent_is_said_in_a_header(header: str, meant: Consent) -> None:
    assert consent_of({b"edgewise-consent": header.encode()}) == meant


@pytest.mark.parametrize("header", ["personalisation", "personalisation=yes", "tracking=denied", "=denied, a", "x=y"])
def test_a_misspelt_consent_is_refused(header: str) -> None:
    with pytest.raises(InputError, match="Edgewise-Consent"):
        consent_of({b"edgewise-consent": header.encode()})

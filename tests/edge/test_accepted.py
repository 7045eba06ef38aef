"""Content negotiation, by the examples of RFC 9110, 12.5.1, and what browsers and people send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.worker.accepted import prefers, wanted

RFC = b"text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5"
CHROMIUM = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("media", "quality"), [("text/html", 0.3), ("text/plain", 0.7), ("image/jpeg", 0.5), ("application/json", 0.5)]
)
def test_the_most_exact_range_counts(media: str, quality: float) -> None:
    assert wanted(RFC, media).quality == quality


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (CHROMIUM, True),
        (b"text/html", True),
        (b"TEXT/HTML", True),
        (b"text/*", True),
        (b"text/html, */*", True),
        (b"*/*, application/json", False),
        (b"application/json;q=0.5, text/html", True),
        (b"application/json, text/html;q=0.1", False),
        (b"text/html;q=0, application/json", False),
        (b"text/html;q=0", False),
        (b"text/html;q=nan", False),
        (b"text/html;q=often", False),
        (b"application/json, text/html", False),
        (b"text/htmlx", False),
        (b"*/*", False),
        (b"", False),
    ],
)
def test_a_page_is_given_to_whom_it_is_worth_more(accept: bytes, *, is_page: bool) -> None:
    assert prefers(accept, "text/html", to="application/json") is is_page


@given(st.binary(max_size=60))
def test_whatever_is_sent_has_a_quality(accept: bytes) -> None:
    assert 0.0 <= wanted(accept, "text/html").quality <= 1.0

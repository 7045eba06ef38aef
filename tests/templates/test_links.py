"""Which addresses a page may point to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.templates.links import MOST_CHARACTERS, flaw_of_link

GOOD = [
    "/coffee/house-blend",
    "papers?size=2&colour=white#how",
    "#top",
    "?page=2",
    "./a:b",
    "https://shop.example/a?b=c:d",
    "HTTPS://shop.example",
    "http://[::1]:8080/",
    "mailto:help@shop.example?subject=Hello%20there",
]
BAD = [
    "",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    " javascript:alert(1)",
    "\u2028javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:image/svg+xml;base64,PHN2Zz4=",
    "vbscript:msgbox(1)",
    "blob:https://shop.example/1",
    "file:///etc/passwd",
    "view-source:https://shop.example",
    "//evil.example/a",
    "/\\evil.example/a",
    "\\\\evil.example",
    "https:evil.example",
    "https:///evil.example",
    "https://shop.example@evil.example/",
    "https://shop.example/\u202egpj.exe",
    "a b",
    "x" * (MOST_CHARACTERS + 1),
]


@pytest.mark.parametrize("link", GOOD)
def test_good(link: str) -> None:
    """What people write into a shop's pages is taken."""
    assert flaw_of_link(link) == ""


@pytest.mark.parametrize("link", BAD)
def test_bad(link: str) -> None:
    """What runs, or leads elsewhere than it says, is not."""
    assert flaw_of_link(link)


@given(st.text(max_size=12), st.sampled_from(["javascript:", "data:", "vbscript:"]))
def test_nothing_before_a_script_hides_it(before: str, scheme: str) -> None:
    """Whatever stands before the scheme: what is taken has a `/`, `?` or `#` there, or another scheme, or no colon."""
    link = f"{before}{scheme}alert(1)"
    if not flaw_of_link(link):
        lead = link.partition(":")[0]
        assert set(lead) & set("/?#") or lead.lower() in {"http", "https", "mailto"}

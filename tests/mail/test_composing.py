"""Messages: exactly the fields and parts that were meant, whatever a letter holds."""

from __future__ import annotations

import itertools
import re
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest
from hub_records import decision, decision_id
from hypothesis import given
from hypothesis import strategies as st
from mail_injections import PLACES, VALUES
from mail_world import ANN, KEY, letter

from edgewise.errors import InputError
from edgewise.ids import DecisionId
from edgewise.mail_links import LinkKind, MailLink, MailSeal
from hub.mail import headers
from hub.mail.composing import House, MessageComposer, flaw_of, message_of
from hub.mail.letters import Due
from hub.mail.pages import as_text
from hub.mail.sending import address_hash
from hub.mail.ways import Prepared

DUE = Due(key="cart-1", journey="abandoned-cart", person=ANN, due_ms=0, not_after_ms=1)
LINKS = "https://edge.shop.example"
FIELDS = {
    "MIME-Version",
    "Content-Type",
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Auto-Submitted",
    "Content-Language",
}
SEAL = MailSeal(KEY)


def house(**changes: Any) -> House:
    fields: dict[str, Any] = {
        "sender": "news@shop.example",
        "sender_name": "Shop Ä",
        "links": LINKS,
        "reply_to": "help@shop.example",
        "imprint": "Shop, Road 1",
    }
    return House(**{**fields, **changes})


def composed(given_house: House | None = None, **changes: Any) -> Prepared:
    composer = MessageComposer(given_house or house(), SEAL, KEY)
    return composer.compose(DUE, letter(DUE, **changes), "0" * 32, 1_700_000_000_000)


def read(data: bytes) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(data)
    assert isinstance(message, EmailMessage)
    return message


def test_a_mail_has_both_parts_and_everything_that_ends_it() -> None:
    mail = composed(subject="Größe — noch da", html="<p>Größe</p>", text="Größe", locale="de")
    message = read(mail.data)
    assert set(message.keys()) == FIELDS
    assert message["Subject"] == "Größe — noch da"
    assert message["From"].addresses[0].display_name == "Shop Ä"
    assert message["Message-ID"] == f"<{'0' * 32}@shop.example>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    (unsubscribe,) = re.findall(rb"\r\nList-Unsubscribe: <(https://[^>\s]+)>\r\n", mail.data)
    assert unsubscribe.decode() == mail.unsubscribe
    link = SEAL.read(mail.unsubscribe.rpartition("/")[2], LinkKind.WILL)
    assert (link.subject, link.address) == (ANN, address_hash(KEY, "ann@example.org"))
    text, html = (part.get_content() for part in message.iter_parts())
    for part in (text, html):
        assert "Größe" in part
        assert "Shop, Road 1" in part
        for what in ("why", "preferences", "unsubscribe"):
            assert f"{LINKS}/v1/mail/{what}/" in part
        assert "Abmelden" in part


@pytest.mark.parametrize("place", PLACES)
def test_no_value_becomes_a_header(place: str) -> None:
    """The corpus of `tests/mail_injections.py`, value by value; what cannot be a message is refused."""
    sent = refused = 0
    for value in VALUES:
        try:
            mail = injected(place, value)
        except InputError:
            refused += 1
            continue
        sent += 1
        assert_sound(mail)
    assert sent + refused == len(VALUES) >= 50
    # addresses are refused, words are made harmless and sent
    assert refused > 40 if place in {"to", "reply-to"} else refused == 0


def test_pairs_of_values_do_no_more_than_one() -> None:
    for first, second in itertools.islice(itertools.product(VALUES[::5], VALUES[::4]), 60):
        assert_sound(composed(house(sender_name=second), subject=first))


def test_the_corpus_would_inject_without_what_is_done_to_it() -> None:
    """A check of the corpus: Python's own library takes encoded line breaks for what they are not."""
    harmful = 0
    for value in VALUES:
        message = EmailMessage()
        try:
            message["Subject"] = value
            message.set_content("x")
            harmful += "Bcc" in message or b"\nBcc" in message.as_bytes()
        except (ValueError, UnicodeError, LookupError, IndexError):
            harmful += 1
    assert harmful >= 10


@given(st.text(max_size=300))
def test_any_text_is_one_harmless_line(text: str) -> None:
    plain = headers.plain(text)
    assert "=?" not in plain
    assert len(plain) <= headers.MOST_CHARACTERS
    assert headers.plain(plain) == plain
    assert_sound(composed(subject=text))


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("ann@example.org", "ann@example.org"),
        (" ann+x@example.org", "ann+x@example.org"),
        ("ann@müller.example", "ann@xn--mller-kva.example"),
        ("o'neil@example.org", "o'neil@example.org"),
    ],
)
def test_addresses_that_mail_can_be_sent_to(value: str, address: str) -> None:
    assert headers.address(value) == address


@pytest.mark.parametrize(
    "value",
    ["", "ann", "@example.org", "ann@", "änn@example.org", "a..b@x", '"a b"@x', "a@[127.0.0.1]", "a" * 65 + "@x"],
)
def test_addresses_that_it_cannot(value: str) -> None:
    with pytest.raises(InputError, match="not an address"):
        headers.address(value)


def test_a_message_that_does_not_read_as_it_was_meant_is_not_sent() -> None:
    fields = {"From": "a@x.example", "To": "b@x.example", "Subject": "Hello"}
    sound = message_of({**fields}, text="t", html="<p>h</p>", boundary="b")
    assert flaw_of(sound, {**fields}, text="t", html="<p>h</p>") is None
    for before, after, flaw in (
        (b"Subject: Hello", b"Subject: Hello\r\nBcc: evil@x.example", "the header fields"),
        (b"Subject: Hello", b"Subject: Hell", "Subject reads"),
        (b"To: b@x.example", b"To: b@x.example, c@x.example", "To reads"),
        (b"<p>h</p>", b"<p>other</p>", "a part that reads otherwise"),
        (b"Subject: Hello\r\n", b"Subject: Hello\n", "a line break"),
        (b"<p>h</p>", b"h" * 1_000, "a line of more than"),
        (b"Content-Type: text/html", b"Content-Type: text/plain", "other parts"),
    ):
        changed = sound.replace(before, after)
        assert changed != sound
        assert flaw in str(flaw_of(changed, {**fields}, text="t", html="<p>h</p>"))


def test_links_are_counted_at_the_item_that_they_stand_at() -> None:
    shown = decision(0, number=7)
    html = (
        f'<div data-edgewise-placement="home" data-edgewise-decision="{decision_id(8)}">'
        '<div data-edgewise-item="tea"><img src="https://shop.example/tea.png" alt="Tea">'
        '<a class="b" href="https://shop.example/tea?a=1&amp;b=2">Tea</a></div></div>'
        '<a href="https://shop.example/">Home</a> <a href="mailto:help@shop.example">Help</a>'
    )
    mail = composed(html=html, decisions=(shown,), why=("You looked at tea.",))
    tokens = re.findall(rf'href="{LINKS}/v1/mail/click/([^"]+)"', mail.html)
    first, second = (SEAL.read(token, LinkKind.CLICK) for token in tokens)
    assert (first.url, first.item, first.decision_id) == ("https://shop.example/tea?a=1&b=2", "tea", decision_id(8))
    assert (second.url, second.item, second.decision_id) == ("https://shop.example/", "", decision_id(7))
    assert second.placement == "home"
    assert 'src="https://shop.example/tea.png"' in mail.html
    assert 'href="mailto:help@shop.example"' in mail.html
    (why,) = re.findall(rf"{LINKS}/v1/mail/why/(\S+)", mail.text)
    assert SEAL.read(why, LinkKind.WHY).why == ("You looked at tea.",)
    (opened,) = re.findall(rf'src="{LINKS}/v1/mail/open/([^"]+)"', mail.html)
    assert SEAL.read(opened, LinkKind.OPEN).decision_id == decision_id(7)


@pytest.mark.parametrize("counts", [True, False])
def test_the_why_of_a_page_becomes_the_why_of_the_mail(counts: bool) -> None:  # noqa: FBT001
    """No edge knows a decision that the hub made."""
    html = f'<a href="{LINKS}/v1/why/{decision_id(7)}">Why?</a>'
    mail = composed(house(counts_clicks=counts), html=html, why=("You left tea.",))
    (token,) = re.findall(rf'href="{LINKS}/v1/mail/why/([^"]+)">Why\?', mail.html)
    assert SEAL.read(token, LinkKind.WHY).why == ("You left tea.",)
    assert "/v1/why/" not in mail.html


def test_a_house_that_counts_nothing_leaves_links_alone() -> None:
    quiet = house(counts_opens=False, counts_clicks=False)
    mail = composed(quiet, html='<a href="https://shop.example/">Home</a>')
    assert 'href="https://shop.example/"' in mail.html
    assert "/v1/mail/click/" not in mail.html
    assert "/v1/mail/open/" not in mail.html


def test_links_that_no_header_can_hold_are_not_counted() -> None:
    mail = composed(html='<a href="https://shop.example/größe">x</a><a href="https://x.example/&#10;y">y</a>')
    assert "/v1/mail/click/" not in mail.html


def test_style_stands_where_mail_programs_look_for_it() -> None:
    mail = composed(html="<html><head><style>p{color:red}</style></head><body><p>Hello</p></body></html>")
    assert '<p style="color: red;">Hello</p>' in mail.html
    assert mail.html.rstrip().endswith("</body></html>")


def test_who_wrote_no_plain_part_gets_the_words_of_the_other() -> None:
    html = "<html><head><title>no</title><style>p{}</style></head><body><h1>Your cart</h1><p>Two <b>teas</b></p>"
    assert as_text(f'{html}<a href="https://x.example/a?b=1&amp;c=2">Go</a>') == (
        "Your cart\n\nTwo teas\nGo (https://x.example/a?b=1&c=2)"
    )
    assert "Two teas" in composed(html=html, text="").text


@pytest.mark.parametrize("links", ["", "edge.shop.example", "ftp://edge", "https://edge shop"])
def test_a_house_needs_links_that_can_be_followed(links: str) -> None:
    with pytest.raises(InputError, match="mail_links"):
        MessageComposer(house(links=links), SEAL, KEY)


@given(token=st.text(max_size=200))
def test_no_token_is_made_by_others(token: str) -> None:
    with pytest.raises(InputError, match="damaged, or not of this site"):
        SEAL.read(token)


def test_a_token_is_of_one_site_and_one_kind_and_its_every_letter_counts() -> None:
    link = MailLink(LinkKind.CLICK, ANN, "m", decision_id=DecisionId("d"), url="https://x.example/")
    token = SEAL.token(link)
    assert SEAL.read(token, LinkKind.CLICK) == link
    assert SEAL.token(link) == token
    assert ANN not in token
    with pytest.raises(InputError, match="something else"):
        SEAL.read(token, LinkKind.WILL, LinkKind.WHY)
    with pytest.raises(InputError, match="not of this site"):
        MailSeal(bytes(32)).read(token)
    for at in range(0, len(token) - 1, 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(InputError):
            SEAL.read(changed)
    with pytest.raises(InputError, match="at most 6000"):
        SEAL.token(MailLink(LinkKind.WHY, ANN, "m", why=("x" * 6_000,)))


def injected(place: str, value: str) -> Prepared:
    match place:
        case "to":
            return composed(to=value)
        case "subject":
            return composed(subject=value)
        case "from name":
            return composed(house(sender_name=value))
        case "reply-to":
            return composed(house(reply_to=value))
        case _:
            return composed(locale=value)


def assert_sound(mail: Prepared) -> None:
    """Judged by another reader than the one that composed: the lines of the head, one by one."""
    head = mail.data.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    assert set(names) == FIELDS if "Reply-To" in names else set(names) == FIELDS - {"Reply-To"}
    assert len(names) == len(set(names))
    old = BytesParser(policy=policy.compat32).parsebytes(mail.data)
    assert old["Bcc"] is None
    assert old["To"].count("@") == 1
    assert [part.get_content_type() for part in old.walk()] == ["multipart/alternative", "text/plain", "text/html"]

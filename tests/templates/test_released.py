"""Templates of a release: compiled with the bundle or refused with it, in the reader's language, approved or absent."""

import hashlib
from typing import Any

import msgspec
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.manifest import TEMPLATES, encode_manifest
from edgewise.bundle.policy import encode_policy
from edgewise.bundle.templates import (
    ListVariable,
    Template,
    Templates,
    TextVariable,
    UrlVariable,
    decode_templates,
    encode_templates,
    is_approved_template,
    template_sha256,
)
from edgewise.errors import BundleRefused
from edgewise.ids import TemplateName
from edgewise.reasons import Reason
from edgewise.rendering import Links, ShownItem, render_fallback, render_placement
from edgewise.templates.locales import best_locale

CARD = TemplateName("card")


def template(**changes: Any) -> Template:
    """A card in two languages, approved."""
    known: dict[str, Any] = {
        "sources": {"html": {"": "<b>{{ title }}</b>", "de": "<b>Film: {{ title }}</b>"}},
        "variables": {"title": TextVariable(required=True)},
    }
    made = Template(**(known | changes))
    if made.approved_sha256 is None:
        made = msgspec.structs.replace(made, approved_sha256=template_sha256(made), approved_by="Ann")
    return made


def bundle(**templates: Template) -> Bundle:
    """The film shop with these templates; its hero is shown by the card."""
    placements = {world.HERO: world.placement(template=CARD)}
    files = world.resources(policy=encode_policy(world.policy(placements)))
    files[TEMPLATES] = encode_templates(Templates({TemplateName(name): made for name, made in templates.items()}))
    manifest = world.manifest(files)
    return load_bundle(manifest, hashlib.sha256(encode_manifest(manifest)).hexdigest(), files)


def test_a_placement_is_shown_by_its_template() -> None:
    """In the reader's language."""
    made = bundle(card=template())
    assert "<b>Film 20</b>" in render_fallback(made, world.HERO, locale="en")
    assert "<b>Film: Film 20</b>" in render_fallback(made, world.HERO, locale="de-CH")


def test_the_frame_is_the_templates() -> None:
    """Elements and classes around, with the markup that pages rely on."""
    made = bundle(card=template(around="ul", around_class="films wide", item_class="film"))
    assert render_fallback(made, world.HERO) == (
        '<ul data-edgewise-placement="home_hero" class="films wide">'
        '<li data-edgewise-item="film-20" class="film"><b>Film 20</b></li></ul>'
    )


def test_what_nobody_approved_is_not_there() -> None:
    """Nor what changed since; the built-in template shows the items instead."""
    made = bundle(card=template(approved_sha256="0" * 64, approved_by="Ann"))
    assert len(made.templates) == 0
    assert "<h3>Film 20</h3>" in render_fallback(made, world.HERO)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sources": {"html": {"": "<b>\n{{ titel }}</b>"}}}, "card: html, line 2: no variable 'titel'"),
        ({"sources": {"html": {"": "x", "de": "<script></script>"}}}, "card: html (de), line 1: the element <script>"),
        ({"sources": {"html": {"de": "x"}}}, "card: the html for every locale is missing"),
        ({"sources": {"html": {"": "x"}, "text": {"": "x"}}}, "card: a fragment has no text"),
        ({"variables": {"why": TextVariable()}}, "card: the variable 'why' is given by Edgewise"),
        ({"kind": "mail"}, "card: the text for every locale is missing"),
    ],
)
def test_a_bundle_is_refused_with_its_template(changes: dict[str, Any], says: str) -> None:
    """What does not compile never serves, whoever approved it: the node keeps what it has."""
    with pytest.raises(BundleRefused) as refused:
        bundle(card=template(**changes))
    assert refused.value.code == "template"
    assert says in refused.value.message


def test_what_would_keep_a_node_busy() -> None:
    """A template that writes nothing is stopped by no limit of what is written: with 100 kB this took a minute."""
    texts = ListVariable(most=50, most_characters=5_000)
    looks = "{% if a | lower | upper == b %}{% endif %}"

    def page(times: int) -> dict[str, Any]:
        source = "{% for a in texts %}{% for b in texts %}" + looks * times + "{% endfor %}{% endfor %}"
        return {"sources": {"html": {"": f"<b>x</b>\n{source}"}}, "variables": {"texts": texts}}

    assert len(bundle(card=template(**page(2))).templates) == 1
    with pytest.raises(BundleRefused, match=r"card: html, line 2: .* more than 200000 values .* lower `most`"):
        bundle(card=template(**page(3)))


def test_the_parts_of_a_mail() -> None:
    """Each in the language that there is."""
    sources = {
        "html": {"": "<p>{{ name }}</p>", "de": "<p>Liebe {{ name }}</p>"},
        "text": {"": "Hello {{ name }}"},
        "subject": {"": "Still there, {{ name }}?"},
    }
    made = bundle(cart=template(kind="mail", sources=sources, variables={}))
    parts = made.templates.mail("cart", "de-AT")
    assert parts is not None
    said = {"name": "Ann & Bob"}
    assert parts.html.render(said) == "<p>Liebe Ann &amp; Bob</p>"
    assert parts.text.render(said) == "Hello Ann & Bob"
    assert parts.subject.render(said) == "Still there, Ann & Bob?"
    assert made.templates.mail("card", "") is None
    assert made.templates.fragment("cart") is None


def test_an_item_that_does_not_fit_is_left_out() -> None:
    """Its neighbours are shown, and somebody is told."""
    made = bundle(card=template(variables={"title": TextVariable(required=True), "link": UrlVariable()}))
    items = [
        ShownItem(world.FILMS[0], 1, Reason.MODEL, {"link": "/a"}),
        ShownItem(world.FILMS[1], 2, Reason.MODEL, {"title": "B"}),
    ]
    told: list[tuple[str, str]] = []
    html = render_placement(
        made,
        world.HERO,
        items,
        locale="",
        decision_id=world.DECISION,
        deferred=False,
        links=Links(),
        trouble=lambda item, why: told.append((item, why)),
    )
    assert "<b>B</b>" in html
    assert world.FILMS[0] not in html
    assert told == [(world.FILMS[0], "title is missing; it is required")]


def test_an_approval_is_of_everything() -> None:
    """Each change of a template needs a new one."""
    made = template()
    assert is_approved_template(made)
    changes: list[dict[str, Any]] = [
        {"sources": {"html": {"": "x"}}},
        {"variables": {}},
        {"formats": ["tile"]},
        {"around": "ul"},
        {"item_class": "x"},
    ]
    for change in changes:
        assert not is_approved_template(msgspec.structs.replace(made, **change))
    assert is_approved_template(decode_templates(encode_templates(Templates({CARD: made}))).templates[CARD])


@pytest.mark.parametrize(
    ("asked", "given_locale"),
    [("de-AT", "de-AT"), ("de_at", "de-AT"), ("DE", "de"), ("de-CH-1996", "de"), ("en-GB", ""), ("", ""), ("-", "")],
)
def test_locales_fall_back(asked: str, given_locale: str) -> None:
    """From region to language to everybody."""
    assert best_locale(asked, {"", "de", "de-AT"}) == given_locale


@given(st.text(max_size=60))
def test_any_locale_is_asked_for(asked: str) -> None:
    """Browsers send what they like."""
    assert best_locale(asked, {"", "de"}) in {"", "de"}

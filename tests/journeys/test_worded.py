"""The site's own words for a mail: by an approved template, escaped, with its reader's own links, or without it."""

from __future__ import annotations

import copy
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journeys_world import CART, JOURNEY, JourneyWorld, person, shop
from mail_world import KEY

from edgewise.bundle.templates import Template, Templates, TextVariable, UrlVariable, template_sha256
from edgewise.errors import SiteError
from edgewise.ids import TemplateName
from edgewise.mail_links import MailSeal
from edgewise.rendering import Links
from edgewise.templates.released import ReadyTemplates
from hub.journeys.deciding import Decider
from hub.journeys.worded import Voice
from hub.journeys.writing import JourneyWriter
from hub.ledger.ledger import open_ledger
from hub.mail.composing import House, MessageComposer
from hub.mail.letters import Letter
from hub.scoring_child import ScoringChild
from hub.site.approving_templates import approve_templates
from hub.site.loading import load_site
from hub.site.starting import start_site

EDGE = "https://edge.shop.example"
CARD = TemplateName("cart")
HTML = (
    "<h1>{{ title }}</h1><p>Dear {{ name }}</p>{% for product in products %}<p>{{ product.title }}</p>"
    '{% endfor %}<a href="{{ unsubscribe_link }}">no more</a>'
)
SOURCES = {
    "html": {"": HTML},
    "text": {"": "{{ sender }} to {{ name }}: {{ title }}\nEnd: {{ unsubscribe_link }} Why: {{ why_link }}"},
    "subject": {"": "{{ title }}, {{ name }}?", "de": "{{ title }}, wie gesagt"},
}


def made(**changes: Any) -> Template:
    fields: dict[str, Any] = {
        "sources": SOURCES,
        "kind": "mail",
        "variables": {"title": TextVariable(required=True), "link": UrlVariable()},
    }
    template = Template(**{**fields, **changes})
    return msgspec.structs.replace(template, approved_sha256=template_sha256(template), approved_by="Ann")


@pytest.mark.parametrize("fits", [True, False])
def test_a_mail_in_the_sites_own_words(tmp_path: Path, *, fits: bool) -> None:
    release = copy.copy(shop())
    variables = {"title": TextVariable(required=True), "link": UrlVariable()}
    template = made() if fits else made(variables={**variables, "lost": TextVariable(required=True)})
    release.templates = ReadyTemplates(Templates({CARD: template}))
    journey = msgspec.structs.replace(JOURNEY, steps=[msgspec.structs.replace(JOURNEY.steps[0], template=CARD)])
    with open_ledger(tmp_path) as ledger:
        world = JourneyWorld(ledger, {CART: journey}, release=release)
        ann = world.joins(person(1))
        world.does(ann, "Product Added", ago_minutes=90)
        assert world.watch().put == 1
        contact = ledger.contacts_of([ann])[0]
        fields = {**contact.fields, "first_name": "<b>Ann</b>\r\nBcc: x@y.example", "locale": "de-AT"}
        ledger.keep_contacts([msgspec.structs.replace(contact, fields=fields, time_ms=contact.time_ms + 1)])
        decider = Decider(ledger, lambda: release, ScoringChild())
        writer = JourneyWriter(
            ledger, lambda: world.journeys, decider, subject_key=KEY, voice=Voice(Links(EDGE), "Tea & Co")
        )
        due = world.rows()[0].due()
        letter = writer.write(due, world.clock.now_ms())
    assert isinstance(letter, Letter)
    if not fits:
        assert letter.subject == "About your cart: shipping"
        assert "data-edgewise-placement" in letter.html
        return
    assert letter.subject == "shipping, wie gesagt"
    house = House("shop@shop.example", "Tea & Co", EDGE)
    sealed = MessageComposer(house, MailSeal(KEY), KEY).compose(due, letter, "m" * 32, 1)
    mail = message_from_bytes(sealed.data, EmailMessage, policy=policy.default)
    assert mail["Subject"] == "shipping, wie gesagt"
    assert mail["Bcc"] is None
    assert "Dear &lt;b&gt;Ann" in sealed.html
    assert f'<a href="{sealed.unsubscribe}">no more</a>' in sealed.html
    assert f"End: {sealed.unsubscribe} Why: {EDGE}/v1/mail/why/" in sealed.text
    assert sealed.text.startswith("Tea & Co to <b>Ann")


def test_a_template_that_cannot_word_mails_is_refused(tmp_path: Path) -> None:
    start_site(tmp_path / "site", "Ann")
    folder = tmp_path / "site"
    path = folder / "journeys/abandoned-cart.yaml"
    path.write_text(path.read_text().replace("products: cart_products}", "products: cart_products, template: banner}"))
    assert "the template 'banner' is one of placements; name one of `kind: mail`" in refusal(folder)
    path.write_text(path.read_text().replace("template: banner}", "template: cart}"))
    (folder / "templates/cart.yaml").write_text("kind: mail\nvariables: {title: {type: text}}\n")
    for end, source in (("html", "<p>{{ title }}</p>"), ("txt", "{{ title }}"), ("subject.txt", "{{ title }}")):
        (folder / f"templates/cart.{end}").write_text(source)
    assert "nobody approved 'cart'" in refusal(folder)
    approve_templates(folder, "Ann")
    assert load_site(folder).journeys["abandoned-cart"].steps[0].template == "cart"


def refusal(folder: Path) -> str:
    with pytest.raises(SiteError) as refused:
        load_site(folder)
    (problem,) = refused.value.problems
    assert problem.path.startswith("journeys/abandoned-cart.yaml:")
    return problem.message

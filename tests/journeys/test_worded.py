"""The site's own words for a mail: by an approved template, escaped, with its reader's own links, or without it."""

from __future__ import annotations

import copy
import re
from contextlib import closing
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
from databases import empty_ledger
from journeys_world import CART, JOURNEY, PRODUCTS, TREATMENTS, JourneyWorld, person, shop
from mail_world import KEY
from world import bundle

from edgewise.bundle.catalogue import Catalogue, content_sha256
from edgewise.bundle.policy import LiveFact
from edgewise.bundle.templates import Template, Templates, TextVariable, UrlVariable, template_sha256
from edgewise.decision import Decision
from edgewise.errors import SiteError
from edgewise.ids import ItemId, TemplateName
from edgewise.mail_links import MailSeal
from edgewise.records import Touch
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
SHOP = "https://shop.example/"
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
            ledger, lambda: world.journeys, decider, subject_key=KEY, voice=Voice(Links(EDGE), "Tea & Co", site=SHOP)
        )
        due = world.rows()[0].due()
        letter = writer.write(due, world.clock.now_ms())
    assert isinstance(letter, Letter)
    if not fits:
        assert letter.subject == "About your cart: shipping"
        assert "data-edgewise-placement" in letter.html
        assert letter.trouble.startswith("without its template 'cart': shipping: ")
        assert "lost" in letter.trouble
        return
    assert not letter.trouble
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


def test_the_prices_in_a_mail_are_those_of_the_moment(tmp_path: Path) -> None:
    """Of what lies in the cart and of what was decided beside it."""
    sold = shop()
    items = {one.id: one for one in sold.items.items}
    for film, price in (("film-7", 8.0), ("film-0", 5.0)):
        content = {"title": film, "price": price}
        changes: dict[str, Any] = {"content": content, "approved_sha256": content_sha256(content)}
        items[ItemId(film)] = msgspec.structs.replace(items[ItemId(film)], **changes)
    site = msgspec.structs.replace(sold.policy.site, live_facts={"price": LiveFact(shown=True)})
    priced = msgspec.structs.replace(sold.policy, site=site)
    release = bundle(policy=priced, catalogue=Catalogue(list(items.values())))
    listing = "{% for product in products %}{{ product.title }} {{ product.price }} {% endfor %}"
    release.templates = ReadyTemplates(Templates({CARD: made(sources=SOURCES | {"text": {"": listing}})}))
    journey = msgspec.structs.replace(JOURNEY, steps=[msgspec.structs.replace(JOURNEY.steps[0], template=CARD)])
    with closing(empty_ledger(tmp_path)) as ledger:
        world = JourneyWorld(ledger, {CART: journey}, release=release)
        world.does(world.joins(person(1)), "Product Added", ago_minutes=90, touches=(Touch(ItemId("film-7")),))
        assert world.watch().put == 1
        now_ms = world.clock.now_ms()
        lower = {"price": {ItemId("film-7"): 6.5, ItemId("film-0"): 4.25}}
        ledger.change_facts(lower, who="Ann", now_ms=now_ms, life_ms=60_000)
        decider = Decider(ledger, lambda: release, ScoringChild())
        writer = JourneyWriter(ledger, lambda: world.journeys, decider, subject_key=KEY, voice=Voice(Links(EDGE)))
        letters = [writer.write(world.rows()[0].due(), moment_ms) for moment_ms in (now_ms, now_ms + 60_000)]
    told = [letter.text.split()[:4] for letter in letters if isinstance(letter, Letter)]
    assert told == [["film-7", "6.5", "film-0", "4.25"], ["film-7", "8", "film-0", "5"]]


@pytest.mark.parametrize("own_words", [True, False])
def test_what_lies_in_the_cart_comes_first_and_is_not_decided(tmp_path: Path, *, own_words: bool) -> None:
    release = copy.copy(shop())
    release.templates = ReadyTemplates(Templates({CARD: made()}))
    template = CARD if own_words else TemplateName("")
    journey = msgspec.structs.replace(JOURNEY, steps=[msgspec.structs.replace(JOURNEY.steps[0], template=template)])
    with closing(empty_ledger(tmp_path)) as ledger:
        world = JourneyWorld(ledger, {CART: journey}, release=release)
        ann = world.joins(person(1))
        world.states(ann, mute={"items": ["film-8"]})
        for name in ("film-7", "unheard-of", "film-0", "film-9", "film-8"):
            world.does(ann, "Product Added", ago_minutes=90, touches=(Touch(ItemId(name)),))
        world.does(ann, "Product Removed", ago_minutes=80, touches=(Touch(ItemId("film-9")),))
        assert world.watch().put == 1
        decider = Decider(ledger, lambda: release, ScoringChild())
        writer = JourneyWriter(ledger, lambda: world.journeys, decider, subject_key=KEY, voice=Voice(Links(EDGE)))
        letter = writer.write(world.rows()[0].due(), world.clock.now_ms())
        elsewhere = JourneyWriter(
            ledger, lambda: world.journeys, decider, subject_key=KEY, voice=Voice(Links(EDGE), site=SHOP)
        ).write(world.rows()[0].due(), world.clock.now_ms())
    assert isinstance(letter, Letter)
    assert isinstance(elsewhere, Letter)
    assert (letter.trouble.partition(" ")[0], elsewhere.trouble) == ("/films/7.jpg", "")
    if not own_words:
        assert f'<img src="{SHOP}films/7.jpg"' in elsewhere.html
    listed = [int(number) for number in re.findall(r"<(?:p|h3)>Film (\d+)", letter.html)]
    assert listed == [7, 0, 1, 2], "what the cart has, as far as there is any; then what was decided without it"
    (record,) = letter.decisions
    asked = {each.name: each.exclude for each in record.placements}
    assert asked == {TREATMENTS: [], PRODUCTS: ["film-7", "unheard-of", "film-0", "film-8"]}
    decided = msgspec.json.decode(record.decision, type=Decision).placements[PRODUCTS].items
    assert [item.id for item in decided] == ["film-1", "film-2"]
    assert letter.why[0] == "You left it in your cart."
    if not own_words:
        around = [part.partition(">")[0] for part in letter.html.split("data-edgewise-placement=")[1:]]
        assert [("data-edgewise-decision" in each) for each in around] == [True, False, True]


UNFIT = (
    ("title: {type: text}, lead: {type: text, required: true}", "<p>{{ lead }}</p>", "cart-forgotten"),
    ("title: {type: text, most_characters: 20}", "<p>{{ title }}</p>", "cart-forgotten"),
    ("title: {type: text}", "{% if products %}<p>{{ title }}</p>{% endif %}", "cart-forgotten"),
    (
        "title: {type: text}",
        "<p>{{ title }}</p>{% for each in products %}{{ each.image.src }}{% endfor %}",
        "house-blend",
    ),
)


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
    coffees = folder / "items/coffees.yaml"
    coffees.write_text(coffees.read_text().replace(" image: /images/house-blend.webp,", ""))
    for variables, template, item in UNFIT:
        (folder / "templates/cart.yaml").write_text(f"kind: mail\nvariables: {{{variables}}}\n")
        (folder / "templates/cart.html").write_text(template)
        approve_templates(folder, "Ann")
        with pytest.raises(SiteError) as refused:
            load_site(folder)
        problem = next(each for each in refused.value.problems if "cannot be shown" in each.message)
        assert re.fullmatch(r"items/[a-z_]+\.yaml:\d+.*", problem.path)
        assert f": {item!r} cannot be shown by templates/cart.html" in problem.message
        assert problem.message.endswith("; mend it here, or the template")


def refusal(folder: Path) -> str:
    with pytest.raises(SiteError) as refused:
        load_site(folder)
    (problem,) = refused.value.problems
    assert problem.path.startswith("journeys/abandoned-cart.yaml:")
    return problem.message

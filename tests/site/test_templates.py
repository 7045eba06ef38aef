"""Templates of a site: every item is shown by its placement's template before there is a release, or said not to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from edgewise.admission.load import load_bundle
from edgewise.bundle.manifest import TEMPLATES
from edgewise.errors import InputError, SiteError
from edgewise.ids import BundleVersion, PlacementName, TemplateName
from edgewise.rendering import render_fallback
from hub.release.bundle import build_bundle, build_resources
from hub.release.plan import readable
from hub.site.approving import approve_items
from hub.site.approving_templates import approve_templates
from hub.site.loading import load_site

CARD = TemplateName("card")
HOME = PlacementName("home")
FILES: Mapping[str, str] = {
    "site.yaml": "name: shop\n",
    "collections/all.yaml": "all: true\n",
    "placements/home.yaml": (
        "collection: all\narms: {editors: {ranking: {method: priority}}}\narm: editors\nopted_out_arm: editors\n"
        "fallback: [tea]\ncount: 2\ntemplate: card\n"
    ),
    "items/all.yaml": (
        "- id: tea\n  content:\n    title: Tea & more\n    link: /tea\n    price: 3.5\n"
        "- id: pot\n  content:\n    title: Pot\n    link: /pot\n    price: 30\n"
    ),
    "templates/card.yaml": (
        "# how offers look\nvariables:\n  title: {type: text, required: true, most_characters: 20}\n"
        "  link: {type: url, required: true}\n  price: {type: number}\naround: ul\naround_class: offers\n"
    ),
    "templates/card.html": '<a href="{{ link }}">{{ title }}</a>\n<b>{{ price | number(2) }}</b>\n',
    "templates/card.de.html": '<a href="{{ link }}">Neu: {{ title }}</a>\n',
}


def site_of(folder: Path, approve: str = "Ann", **changes: str) -> Path:
    """The site, with files changed by their stems: `card_html` is `templates/card.html`."""
    stems = {path.partition("/")[2].replace(".", "_"): path for path in FILES}
    files = {**FILES, **{stems[stem]: text for stem, text in changes.items()}}
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    approve_items(folder, "Ann")
    if approve:
        approve_templates(folder, approve)
    return folder


def problems_of(site: Path) -> dict[str, str]:
    """What is said of a site: file and line -> message."""
    with pytest.raises(SiteError) as refused:
        load_site(site)
    return dict(refused.value.problems)


def test_a_release_shows_its_items(tmp_path: Path) -> None:
    """From files to what a visitor sees, each in his language."""
    contents = load_site(site_of(tmp_path))
    built = build_bundle(contents, {}, version=BundleVersion(1), parent=None, created_ms=0)
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    assert render_fallback(bundle, HOME, locale="en-GB") == (
        '<ul data-edgewise-placement="home" class="offers"><li data-edgewise-item="tea">'
        '<a href="/tea">Tea &amp; more</a>\n<b>3.50</b></li></ul>'
    )
    assert "Neu: Tea" in render_fallback(bundle, HOME, locale="de_at")


@pytest.mark.parametrize(
    ("declared", "when_out", "blamed"),
    [
        ("most_characters: 60", "hide", set[str]()),
        ("most_characters: 30", "hide", {"pot"}),  # a real code is longer
        ("most_characters: 60, required: true", "without", {"tea", "pot"}),
        ("most_characters: 60, required: true", "hide", {"tea"}),
    ],
)
def test_items_are_shown_with_their_codes_as_they_will_be(
    tmp_path: Path, declared: str, when_out: str, blamed: set[str]
) -> None:
    """With a whole code where there is a promotion, and without one where there may be none."""
    card = FILES["templates/card.yaml"].replace("around: ul", f"  code: {{type: text, {declared}}}\naround: ul")
    items = FILES["items/all.yaml"].replace("- id: pot\n", "- id: pot\n  promotion: spring\n")
    (tmp_path / "promotions").mkdir()
    spring = f"discount: {{percent: 10}}\ntotal: 5\nwhen_out: {when_out}\n"
    (tmp_path / "promotions/spring.yaml").write_text(spring)
    html = "{% if code %}{{ code }}{% endif %}"
    site = site_of(tmp_path, card_yaml=card, all_yaml=items, card_html=html)
    if not blamed:
        load_site(site)
        return
    assert {message.split("'")[1] for message in problems_of(site).values()} == blamed


def test_nobody_approved(tmp_path: Path) -> None:
    """A template that nobody approved, or that changed since, is not used in silence."""
    site = site_of(tmp_path, approve="")
    (message,) = problems_of(site).values()
    assert "nobody approved 'card'" in message
    approve_templates(site, "Ann")
    load_site(site)
    (site / "templates/card.de.html").write_text("<p>{{ title }}</p>")
    ((place, message),) = problems_of(site).items()
    assert place == "placements/home.yaml:7"
    assert "changed since Ann approved it" in message


def test_approval_is_of_declarations_too(tmp_path: Path) -> None:
    """Who allows longer titles has changed what was approved."""
    site = site_of(tmp_path)
    path = site / "templates/card.yaml"
    path.write_text(path.read_text().replace("most_characters: 20", "most_characters: 200"))
    assert "changed since Ann" in str(problems_of(site))


def test_approving_keeps_comments(tmp_path: Path) -> None:
    """The approval is one line more; a second one takes its place."""
    site = site_of(tmp_path)
    path = site / "templates/card.yaml"
    first = path.read_text()
    assert "# how offers look" in first
    assert yaml.safe_load(first)["approved"]["by"] == "Ann"
    (site / "templates/card.html").write_text("<p>{{ title }}</p>")
    (approved,) = approve_templates(site, "Bob", [CARD])
    again = path.read_text()
    assert yaml.safe_load(again)["approved"] == {"by": "Bob", "sha256": approved.sha256}
    assert len(again.splitlines()) == len(first.splitlines())
    assert approve_templates(site, "Cid") == []


def test_what_does_not_compile_is_not_approved(tmp_path: Path) -> None:
    """Approval compiles."""
    site = site_of(tmp_path)
    (site / "templates/card.html").write_text("<p>\n{{ titel }}</p>")
    before = (site / "templates/card.yaml").read_text()
    with pytest.raises(SiteError) as refused:
        approve_templates(site, "Ann")
    assert refused.value.problems[0].path == "templates/card.html:2"
    assert (site / "templates/card.yaml").read_text() == before


@pytest.mark.parametrize(("by", "name"), [("", "card"), ("Ann", "cart")])
def test_an_approval_names_both(tmp_path: Path, by: str, name: str) -> None:
    """Somebody, and something that is there."""
    site = site_of(tmp_path)
    with pytest.raises(InputError):
        approve_templates(site, by, [TemplateName(name)])


BROKEN = [
    ("title: Pot", "title: A pot of the finest tea", 9, "title has 23 characters, at most 20"),
    ("    title: Pot\n", "", 7, "title is missing"),
    ("link: /pot", "link: 'javascript:alert(1)'", 9, "link is no address"),
    ("price: 30", "price: cheap", 10, "price is 'cheap'; expected a number"),
]


@pytest.mark.parametrize(("old", "new", "line", "says"), BROKEN)
def test_an_item_that_does_not_fit(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    """It is refused with its own file and line, what is wrong, and the template that says so."""
    site = site_of(tmp_path, all_yaml=FILES["items/all.yaml"].replace(old, new))
    ((place, message),) = problems_of(site).items()
    assert place.startswith("items/all.yaml:")
    # The approval is a line before the content.
    assert int(place.rpartition(":")[2]) - line in {-1, 0, 1, 2}
    assert says in message
    assert "'pot' cannot be shown by templates/card" in message


def test_an_address_that_is_none_when_put_together(tmp_path: Path) -> None:
    """Which template's line put it together is said."""
    html = '<p>{{ title }}</p>\n<a href="{{ title }}:{{ price }}">x</a>'
    declared = FILES["templates/card.yaml"]
    site = site_of(tmp_path, card_html=html, card_yaml=declared)
    (site / "items/all.yaml").write_text(
        (site / "items/all.yaml").read_text().replace("title: Pot", "title: javascript")
    )
    approve_items(site, "Ann")
    messages = problems_of(site)
    assert any("templates/card.html:2: the address 'javascript:30'" in message for message in messages.values())


def test_variants_and_representations_are_shown_too(tmp_path: Path) -> None:
    """Whatever content of an item a visitor may get."""
    variant = "  variants: [{name: short, when: {match: all, rules: []}, content: {title: P}}]\n"
    site = site_of(tmp_path / "a", all_yaml=FILES["items/all.yaml"] + variant)
    ((_, message),) = problems_of(site).items()
    assert "'pot' cannot be shown" in message
    assert "link is missing" in message
    tile = "  representations: {tile: {content: {title: P}}}\n"
    placement = FILES["placements/home.yaml"] + "format: tile\n"
    site = site_of(tmp_path / "b", all_yaml=FILES["items/all.yaml"] + tile, home_yaml=placement)
    ((_, message),) = problems_of(site).items()
    assert "link is missing" in message


def test_a_format_chooses_its_template(tmp_path: Path) -> None:
    """A placement that names none is shown by the template of its format."""
    tile = "  representations: {tile: {content: {title: P, link: /p}}}\n"
    placement = FILES["placements/home.yaml"].replace("template: card", "format: tile")
    declared = FILES["templates/card.yaml"] + "formats: [tile]\n"
    contents = load_site(
        site_of(tmp_path, all_yaml=FILES["items/all.yaml"] + tile, home_yaml=placement, card_yaml=declared)
    )
    built = build_bundle(contents, {}, version=BundleVersion(1), parent=None, created_ms=0)
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    assert "<b>3.50</b>" in render_fallback(bundle, HOME)


def test_nothing_of_a_site_without_templates(tmp_path: Path) -> None:
    """Its releases are what they were before there were templates; nor is a template that nobody approved released."""
    site = site_of(tmp_path, approve="", home_yaml=FILES["placements/home.yaml"].replace("template: card\n", ""))
    resources, _ = build_resources(load_site(site), {})
    assert TEMPLATES not in resources


def test_a_plan_shows_the_line_that_changed(tmp_path: Path) -> None:
    """A person who approves a release sees the line of a template, not a digest."""
    resources, _ = build_resources(load_site(site_of(tmp_path)), {})
    tree = readable(resources)
    assert tree["templates"]["card"]["sources"]["html"]["everybody"]["2"] == "<b>{{ price | number(2) }}</b>"
    assert tree["resources"].keys().isdisjoint({TEMPLATES})

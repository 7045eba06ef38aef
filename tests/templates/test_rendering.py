"""Decided items as HTML: the markup that pages rely on, whole or left out, and a fallback that never fails."""

from html.parser import HTMLParser
from typing import Any

import pytest
import world
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from edgewise.admission.load import Bundle
from edgewise.ids import ItemId, PlacementName
from edgewise.reasons import Reason
from edgewise.rendering import Links, ShownItem, content_of, render_fallback, render_placement

VOID = frozenset({"img", "br", "hr", "wbr", "source", "col"})


class Outline(HTMLParser):
    """Elements with their attributes, as a parser of HTML sees them; `is_balanced` where each was closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.is_balanced = True
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.is_balanced = self.is_balanced and not self._open

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        self.is_balanced = bool(self._open) and self._open.pop() == tag and self.is_balanced

    @override
    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str | None]:
        """Of an attribute, in the order of the page."""
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The film shop."""
    return world.bundle()


def shown(number: int, content: dict[str, Any] | None, *why: str) -> ShownItem:
    """An item in its slot."""
    return ShownItem(ItemId(f"film-{number}"), number, Reason.MODEL, content, why)


def rendered(bundle: Bundle, *items: ShownItem, deferred: bool = False, **said: Any) -> str:
    """The hero, with these items."""
    known: dict[str, Any] = {"locale": "en", "decision_id": world.DECISION, "links": Links()}
    return render_placement(bundle, world.HERO, items, deferred=deferred, **(known | said))


def test_markup_contract(bundle: Bundle) -> None:
    """One element around with its decision, one around each item, in the order of the decision."""
    items = [shown(number, {"title": f"Film {number}"}) for number in (3, 1, 2)]
    outline = Outline(rendered(bundle, *items, deferred=True))
    around, attributes = outline.tags[0]
    assert around == "div"
    assert attributes == {
        "data-edgewise-placement": world.HERO,
        "data-edgewise-decision": world.DECISION,
        "data-edgewise-deferred": None,
    }
    assert outline.values("data-edgewise-item") == ["film-3", "film-1", "film-2"]
    assert outline.is_balanced


def test_counts_at_once_unless_deferred(bundle: Bundle) -> None:
    """The mark is there only where the decision waits to be seen."""
    assert "data-edgewise-deferred" not in rendered(bundle, shown(1, {"title": "Film"}))


def test_nothing_is_an_empty_container(bundle: Bundle) -> None:
    """Where showing nothing was decided the container keeps the decision."""
    outline = Outline(rendered(bundle))
    assert len(outline.tags) == 1
    assert outline.values("data-edgewise-decision") == [world.DECISION]


def test_content_of_the_page_itself(bundle: Bundle) -> None:
    """What the caller brought has its place, and nothing in it."""
    outline = Outline(rendered(bundle, shown(1, None)))
    assert outline.values("data-edgewise-item") == ["film-1"]
    assert outline.text == ""


def test_why_leads_to_its_page(bundle: Bundle) -> None:
    """A reason is told, with a link to all of them below the base that is given."""
    outline = Outline(rendered(bundle, shown(1, {}, "Because you liked <Film 2>"), links=Links("https://edge.example")))
    assert outline.values("href") == [f"https://edge.example/v1/why/{world.DECISION}"]
    assert outline.text == "Because you liked <Film 2>"


@given(title=st.text(max_size=30), link=st.text(max_size=30), why=st.text(max_size=30))
def test_no_text_leaves_its_place(bundle: Bundle, title: str, link: str, why: str) -> None:
    """Whatever contents, ids and reasons hold, the page has the elements that it has without."""
    marks = '<i onclick="x">&quot;\'`</div><!--{{ 7 * 7 }}'
    content = {"title": title + marks, "text": marks + title, "link": link + marks, "image": marks}
    item = ShownItem(ItemId(marks + title), 1, Reason.MODEL, content, (why + marks,))
    outline = Outline(rendered(bundle, item, decision_id=marks))
    assert [tag for tag, _ in outline.tags] == ["div", "div", "h3", "p", "p", "small", "a"]
    assert outline.is_balanced


def test_fallback_is_what_the_placement_says(bundle: Bundle) -> None:
    """Approved items, the same for everybody, without a decision."""
    outline = Outline(render_fallback(bundle, world.HERO))
    assert outline.values("data-edgewise-item") == list(bundle.policy.placements[world.HERO].fallback)[:1]
    assert outline.values("data-edgewise-decision") == []
    assert "Film 20" in outline.text


@pytest.mark.parametrize("has_bundle", [True, False])
def test_fallback_of_nothing_is_empty(bundle: Bundle, *, has_bundle: bool) -> None:
    """Without a bundle, or for a placement that is none, the container is empty, and its name is only a name."""
    name = PlacementName('x"><script>alert(1)</script>')
    outline = Outline(render_fallback(bundle if has_bundle else None, name))
    assert outline.tags == [("div", {"data-edgewise-placement": name})]


def test_content_of_an_item(bundle: Bundle) -> None:
    """Approved content only; nothing of an item that is not known."""
    assert content_of(bundle, world.FILMS[3]) == {"title": "Film 3", "image": "/films/3.jpg"}
    assert content_of(bundle, ItemId("film-none")) is None

"""Approvals are written into people's files without disturbing anything else in them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.catalogue import content_sha256
from edgewise.errors import InputError, SiteError
from edgewise.ids import ItemId
from hub.site.approving import approve_items
from hub.site.loading import load_site

SITE = "name: shop\n"
LAYOUTS = {
    "block": "# teas\n- id: a   # the first\n  content:\n    title: A\n\n- id: b\n  content: {title: B}\n",
    "flow": "- {id: a, content: {title: A}}\n- {content: {title: B}, id: b}",
    "id_last": "- content: {title: A}\n  id: a\n- content:\n    title: B\n  id: b",
    "quoted": '- \'id\': \'a\'\n  "content": {title: "A: the best"}\n- id: b\n  content: {title: "# no comment"}\n',
    "windows_lines": "- id: a\r\n  content: {title: A}\r\n- id: b\r\n  content: {title: B}\r\n",
    "old_approval": "- id: a\n  content: {title: A}\n  approved: {by: X, sha256: '"
    + "0" * 64
    + "'}\n- id: b\n  approved:\n"
    "    by: Y\n    sha256: '" + "1" * 64 + "'\n\n  # what is shown\n  content: {title: B}\n",
}


def site_of(folder: Path, items: str, file: str = "items/all.yaml") -> Path:
    (folder / "items").mkdir(parents=True, exist_ok=True)
    (folder / "site.yaml").write_text(SITE)
    (folder / file).write_bytes(items.encode())
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_keeps_its_comments_and_gains_an_approval(tmp_path: Path, layout: str) -> None:
    before = LAYOUTS[layout]
    site = site_of(tmp_path, before)
    approved = approve_items(site, 'Ann "the buyer" O\'Neil: #1')
    assert [entry.item for entry in approved] == ["a", "b"]
    after = (site / "items/all.yaml").read_bytes().decode()
    for comment in ("# teas", "# the first", "# what is shown", "# no comment"):
        assert (comment in after) == (comment in before)
    items = {item["id"]: item for item in yaml.safe_load(after)}
    for item in items.values():
        assert item["approved"]["sha256"] == content_sha256(item["content"])
        assert item["approved"]["by"] == 'Ann "the buyer" O\'Neil: #1'
    assert load_site(site).waiting == ()
    assert approve_items(site, "Bob") == []
    assert (site / "items/all.yaml").read_bytes().decode() == after, "what is approved stays as it is"


def test_only_named_items_are_approved(tmp_path: Path) -> None:
    site = site_of(tmp_path, LAYOUTS["block"])
    approve_items(site, "Ann", [ItemId("b")])
    assert load_site(site).waiting == ("a",)
    with pytest.raises(SiteError) as refused:
        approve_items(site, "Ann", [ItemId("aa")])
    assert "did you mean" in refused.value.problems[0].message
    with pytest.raises(InputError, match="--by NAME"):
        approve_items(site, " ")
    assert load_site(site).waiting == ("a",)


def test_changed_content_waits_again(tmp_path: Path) -> None:
    site = site_of(tmp_path, LAYOUTS["block"])
    approve_items(site, "Ann")
    path = site / "items/all.yaml"
    path.write_text(path.read_text().replace("title: A", "title: A, improved"))
    assert load_site(site).waiting == ("a",)
    assert [entry.item for entry in approve_items(site, "Bob")] == ["a"]
    assert load_site(site).waiting == ()
    catalogue = {item.id: item for item in load_site(site).catalogue.items}
    assert (catalogue[ItemId("a")].approved_by, catalogue[ItemId("b")].approved_by) == ("Bob", "Ann")


def test_json_lines_are_approved_line_by_line(tmp_path: Path) -> None:
    lines = [msgspec.json.encode({"id": f"item-{n}", "content": {"title": f"№ {n}"}}).decode() for n in range(3)]
    site = site_of(tmp_path, "\n\n".join(lines), "items/big.jsonl")
    assert len(approve_items(site, "Ann", [ItemId("item-1")])) == 1
    after = (site / "items/big.jsonl").read_text().split("\n\n")
    assert (after[0], after[2]) == (lines[0], lines[2])
    assert load_site(site).waiting == ("item-0", "item-2")


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(
    titles=st.lists(TEXT, min_size=1, max_size=5), by=TEXT.filter(str.strip), style=st.sampled_from([None, True, False])
)
def test_whatever_yaml_writes_can_be_approved(
    tmp_path_factory: pytest.TempPathFactory, titles: list[str], by: str, *, style: bool | None
) -> None:
    items = [{"id": f"i{n}", "content": {"title": title, "n": n}} for n, title in enumerate(titles)]
    text = yaml.safe_dump(items, default_flow_style=style, allow_unicode=True)
    site = site_of(tmp_path_factory.mktemp("site"), text)
    assert len(approve_items(site, by)) == len(titles)
    contents = load_site(site)
    assert contents.waiting == ()
    assert [item.content for item in contents.catalogue.items] == [item["content"] for item in items]


ALWAYS = "{match: all, rules: []}"
WITH_VARIANTS = {
    "block": f"- id: a\n  content: {{title: A}}\n  variants:\n  - name: calm  # no hurry\n    when: {ALWAYS}\n"
    "    content: {title: Calm}\n  - name: quick\n    when:\n      match: all\n      rules: []\n    content:\n"
    "      title: Quick\n- id: b\n  content: {title: B}\n",
    "flow": f"- {{id: a, variants: [{{name: calm, when: {ALWAYS}, content: {{title: Calm}}}}, "
    f"{{content: {{title: Quick}}, when: {ALWAYS}, name: quick}}], content: {{title: A}}}}\n"
    "- {id: b, content: {title: B}}\n",
    "name_last": f"- variants:\n  - when: {ALWAYS}\n    content: {{title: Calm}}\n    name: calm\n"
    f"  - when: {ALWAYS}\n    content: {{title: Quick}}\n    name: quick\n  content: {{title: A}}\n  id: a\n"
    "- id: b\n  content: {title: B}",
}


@pytest.mark.parametrize("layout", WITH_VARIANTS)
def test_every_copy_of_an_item_is_approved_for_itself(tmp_path: Path, layout: str) -> None:
    site = site_of(tmp_path, WITH_VARIANTS[layout])
    assert load_site(site).waiting == ("a", "b")
    approved = [(entry.item, entry.variant) for entry in approve_items(site, "Ann")]
    assert approved == [("a", ""), ("a", "calm"), ("a", "quick"), ("b", "")]
    assert load_site(site).waiting == ()
    path = site / "items/all.yaml"
    path.write_text(path.read_text().replace("title: Quick", "title: Quicker"))
    assert load_site(site).waiting == ("a",), "its own content is approved, one copy waits"
    assert [(entry.item, entry.variant) for entry in approve_items(site, "Bob")] == [("a", "quick")]
    variants = {variant.name: variant for variant in load_site(site).catalogue.items[0].variants}
    assert {name: variant.approved_by for name, variant in variants.items()} == {"calm": "Ann", "quick": "Bob"}
    assert all(variant.approved_sha256 == content_sha256(variant.content) for variant in variants.values())


def test_copies_in_lines_are_approved(tmp_path: Path) -> None:
    every = {"match": "all", "rules": []}
    item = {"id": "a", "content": {"t": 1}, "variants": [{"name": "calm", "when": every, "content": {"t": 2}}]}
    site = site_of(tmp_path, msgspec.json.encode(item).decode() + "\n", "items/all.jsonl")
    assert [entry.variant for entry in approve_items(site, "Ann")] == ["", "calm"]
    assert load_site(site).waiting == ()


REPRESENTED = {
    "block": "- id: a\n  content: {title: A}\n  representations:\n    # as a line of a mail\n    mail:\n"
    "      content:\n        line: A\n    tile: {content: {headline: A}}\n",
    "flow": "- {id: a, content: {title: A}, representations: {mail: {content: {line: A}}, 'tile': {content: {}}}}",
    "line": '{"id":"a","content":{"title":"A"},"representations":{"mail":{"content":{}},"tile":{"content":{"b":1}}}}\n',
}


@pytest.mark.parametrize("layout", REPRESENTED)
def test_every_representation_is_approved_for_itself(tmp_path: Path, layout: str) -> None:
    file = "items/all.jsonl" if layout == "line" else "items/all.yaml"
    site = site_of(tmp_path, REPRESENTED[layout], file)
    assert load_site(site).waiting == ("a",)
    assert [entry.representation for entry in approve_items(site, "Ann")] == ["", "mail", "tile"]
    assert load_site(site).waiting == ()
    (item,) = load_site(site).catalogue.items
    assert {known.approved_sha256 for known in item.representations.values()} == {
        content_sha256(known.content) for known in item.representations.values()
    }
    path = site / file
    path.write_text(path.read_text().replace('"b":1', '"b":2').replace("headline: A", "headline: B"))
    if layout != "flow":
        assert [entry.representation for entry in approve_items(site, "Bob")] == ["tile"]
        assert load_site(site).catalogue.items[0].representations["tile"].approved_by == "Bob"


def test_what_the_check_reads_can_be_approved(tmp_path: Path) -> None:
    """Once by libyaml and once by PyYAML's own reader, which takes no `?` before a comma."""
    site = site_of(tmp_path, "\ufeff- {id: a, content: {subject: Still deciding?, title: Tëa}}\n")
    assert [entry.item for entry in approve_items(site, "Ann")] == ["a"]
    assert load_site(site).waiting == ()
    assert "subject: Still deciding?," in (site / "items/all.yaml").read_text()

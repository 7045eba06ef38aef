"""Who reads closely finds an answer that says one release and shows another's content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.prove.lab import BY
from hub.prove.scenarios.swaps import EDITION, Readers, second_edition
from hub.site.loading import load_site
from hub.site.starting import start_site


def answer(version: int, *titles: str, digest: str = "sha256:a") -> dict[str, Any]:
    items = [{"content": {"title": title}} for title in titles]
    return {"bundle": {"version": version, "digest": digest}, "placements": {"home_list": {"items": items}}}


def test_answers_of_one_release_are_not_mixed() -> None:
    readers = Readers()
    readers.read(answer(1, "Sencha", "Teapot"))
    readers.read(answer(2, f"Sencha{EDITION}", digest="sha256:b"))
    assert (readers.mixed, readers.several_digests) == (0, 0)
    assert readers.answers == {1: 1, 2: 1}


def test_one_item_of_the_other_release_is_enough() -> None:
    readers = Readers()
    readers.read(answer(1, "Sencha", f"Teapot{EDITION}"))
    readers.read(answer(2, f"Sencha{EDITION}", "Teapot"))
    assert readers.mixed == 2


def test_a_release_with_two_digests_is_found() -> None:
    readers = Readers()
    readers.read(answer(1, "Sencha"))
    readers.read(answer(1, "Sencha", digest="sha256:b"))
    assert readers.several_digests == 1


def test_the_second_edition_differs_in_every_title_and_is_approved(tmp_path: Path) -> None:
    site = tmp_path / "site"
    start_site(site, BY)
    first = load_site(site)
    second_edition(site)
    second = load_site(site)
    assert not second.waiting
    titles = {item.id: item.content["title"] for item in first.catalogue.items}
    assert {item.id: item.content["title"] for item in second.catalogue.items} == {
        item: f"{title}{EDITION}" for item, title in titles.items()
    }

"""Contents are held against the limits of every placement that may show them, in the form in which it shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pictures import png

from edgewise.errors import SiteError
from hub.site.approving import approve_items
from hub.site.loading import load_site

PLACEMENT = """
collection: all
arms: {all: {ranking: {method: priority}}}
arm: all
opted_out_arm: all
fallback: [tea]
"""


def site(folder: Path, items: str, placements: Mapping[str, str], pictures: Mapping[str, bytes] | None = None) -> Path:
    files = {
        "site.yaml": "name: shop\n",
        "items/all.yaml": items,
        "collections/all.yaml": "all: true\n",
        **{f"placements/{name}.yaml": PLACEMENT.lstrip() + more for name, more in placements.items()},
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for name, data in (pictures or {}).items():
        (folder / "pictures").mkdir(exist_ok=True)
        (folder / "pictures" / name).write_bytes(data)
    approve_items(folder, "Ann")
    return folder


def problems(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(SiteError) as refused:
        load_site(folder)
    return [(problem.path, problem.message) for problem in refused.value.problems]


def test_what_fits_is_in_order(tmp_path: Path) -> None:
    limits = (
        "limits: {title: {most_characters: 3, required: true}, image: {width: 30, height: {most: 20}, alt: required}}"
    )
    items = "- {id: tea, content: {title: Tea, image: pictures/tea.png, alt: A cup of tea}}\n"
    load_site(site(tmp_path, items, {"hero": limits}, {"tea.png": png(30, 20)}))


def test_every_copy_that_a_placement_shows_has_to_fit_and_no_other(tmp_path: Path) -> None:
    items = """
- id: tea
  content: {title: Much too long}
  variants:
  - {name: calm, when: {match: all, rules: []}, content: {title: Long as well}}
  representations:
    tile: {content: {title: Tea}}
    mail: {content: {title: A line for mails}}
""".lstrip()
    limits = "limits: {title: {most_characters: 4}}\n"
    load_site(site(tmp_path / "tile", items, {"tile": "format: tile\n" + limits}))
    found = problems(site(tmp_path / "hero", items, {"hero": limits, "other": limits}))
    said = [(path, message) for path, message in found if "title" in message]
    assert [path.partition(":")[0] for path, _ in said] == ["items/all.yaml"] * 2, "once, not once a placement"
    assert "content.title: 13 characters, hero takes at most 4; shorten it" in said[0][1]
    assert "variants[0].content.title: 12 characters" in said[1][1]


@pytest.mark.parametrize(
    ("content", "limit", "says"),
    [
        ("{title: T}", "{alt: required}", "no content that is shown here has 'image'"),
        ("{image: 3}", "{alt: required}", "3 is no picture; write its path or URL"),
        ("{image: /images/x.png}", "{alt: required}", "without words for people who do not see it"),
        ("{image: pictures/none.png}", "{most_bytes: 9}", "there is no file pictures/none.png in the site"),
        ("{image: pictures/../site.yaml}", "{most_bytes: 9}", "there is no file pictures/../site.yaml"),
        ("{image: pictures/text.png}", "{most_bytes: 9}", "is no PNG, JPEG, GIF, WebP or AVIF"),
        ("{image: pictures/tea.webp}", "{width: 30}", "is a picture of the kind png; rename it to end in .png"),
        ("{image: pictures/tea.png}", "{most_bytes: 9}", "bytes, hero takes at most 9; compress it"),
        ("{image: pictures/tea.png}", "{width: 31}", "is 30 pixels wide, hero takes 31; resize it"),
        ("{image: pictures/tea.png}", "{height: {least: 21}}", "is 20 pixels high, hero takes at least 21"),
        ("{image: pictures/tea.png}", "{height: {least: 1, most: 19}}", "hero takes 1 to 19"),
        ("{image: ''}", "{required: true}", "no 'image', which hero needs; write one"),
    ],
)
def test_a_picture_that_is_not_as_it_should_be(tmp_path: Path, content: str, limit: str, says: str) -> None:
    pictures = {"tea.png": png(30, 20), "tea.webp": png(30, 20), "text.png": b"no picture"}
    items = f"- {{id: tea, content: {content}}}\n"
    ((_, message),) = problems(site(tmp_path, items, {"hero": f"limits: {{image: {limit}}}"}, pictures))
    assert says in message


def test_a_picture_that_lives_elsewhere_is_not_measured(tmp_path: Path) -> None:
    items = "- {id: tea, content: {image: 'https://cdn.example/tea.png'}}\n"
    load_site(site(tmp_path, items, {"hero": "limits: {image: {width: 31, most_bytes: 1}}"}))

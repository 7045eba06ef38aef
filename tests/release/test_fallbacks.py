"""`edgewise site fallbacks`: what proxies show where no node answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hub_process import edgewise

from edgewise.errors import InputError
from edgewise.ids import PlacementName
from hub.release.fallbacks import rendered_fallbacks, write_fallbacks
from hub.site.loading import SiteContents, load_site
from hub.site.starting import start_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "shop"
    start_site(folder, "ann")
    return folder


@pytest.fixture(scope="module")
def contents(site: Path) -> SiteContents:
    return load_site(site)


def test_every_placement_has_the_items_of_its_fallback(contents: SiteContents) -> None:
    rendered = rendered_fallbacks(contents)
    assert list(rendered) == sorted(contents.policy.placements)
    for name, html in rendered.items():
        placement = contents.policy.placements[name]
        assert f'data-edgewise-placement="{name}"' in html
        assert "data-edgewise-decision" not in html
        shown = re.findall(r'data-edgewise-item="([^"]+)"', html)
        assert shown == placement.fallback[: placement.count]


def test_files_are_whole_and_readable_by_a_proxy(contents: SiteContents, tmp_path: Path) -> None:
    out = tmp_path / "new" / "fallbacks"
    written = write_fallbacks(contents, out)
    again = write_fallbacks(contents, out)
    assert again == written == sorted(out.iterdir())
    for path in written:
        assert path.stat().st_mode & 0o777 == 0o644
        assert path.read_text() == rendered_fallbacks(contents)[PlacementName(path.stem)]


def test_a_folder_that_cannot_be_written_is_refused(contents: SiteContents, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"):
        write_fallbacks(contents, tmp_path / "file" / "fallbacks")


def test_the_command_says_what_it_wrote(capsys: pytest.CaptureFixture[str], site: Path, tmp_path: Path) -> None:
    told = edgewise(capsys, "site", "fallbacks", site, "--out", tmp_path / "out", "--json").told
    assert [Path(path).name for path in told["written"]] == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert edgewise(capsys, "site", "fallbacks", site, "--out", tmp_path / "out", "--quiet")[:2] == (0, "")

"""Every broken site is refused with file, line and cure; the site they were made from is not."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from site_flaws import FLAWS, Flaw

from edgewise.errors import SiteError
from hub.site.loading import load_site
from hub.site.starting import invented_files, write_site


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the invented site, approved by Ann: signing them anew for every flaw is what would take long."""
    folder = tmp_path_factory.mktemp("site")
    write_site(folder, invented_files(), write_key="key", by="Ann")
    return {path: (folder / path).read_bytes() for path in invented_files()}


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)


def write_flawed(folder: Path, files: Mapping[str, bytes], flaw: Flaw) -> None:
    """The site with one flaw."""
    write_files(folder, files)
    path = folder / flaw.file
    path.parent.mkdir(exist_ok=True)
    if flaw.also is not None:
        (folder / flaw.also[0]).parent.mkdir(exist_ok=True)
        (folder / flaw.also[0]).write_text(flaw.also[1])
    if flaw.old is None:
        path.write_bytes(flaw.new.encode("utf-8", "surrogateescape"))
        return
    text = path.read_text()
    if flaw.old.startswith("APPROVAL OF "):
        item = flaw.old.removeprefix("APPROVAL OF ")
        changed = re.sub(rf"(- id: {item}\n)  approved:.*\n", r"\1", text)
    else:
        assert flaw.old in text, "the flaw must fit the site"
        changed = text.replace(flaw.old, flaw.new, 1)
    assert changed != text
    path.write_text(changed)


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.name)
def test_a_flaw_is_refused_with_file_line_and_cure(tmp_path: Path, approved: dict[str, bytes], flaw: Flaw) -> None:
    write_flawed(tmp_path, approved, flaw)
    with pytest.raises(SiteError) as refused:
        load_site(tmp_path)
    problems = refused.value.problems
    file = "placements/home_hero.yaml" if flaw.name.startswith("fallback") else flaw.file
    found = [problem for problem in problems if problem.path == f"{file}:{flaw.line}" and flaw.says in problem.message]
    assert found, problems
    assert flaw.cure in found[0].message
    assert all(flaw.says in problem.message for problem in problems), "one flaw, one problem, wherever it shows"


def test_the_names_are_different() -> None:
    names = [flaw.name for flaw in FLAWS]
    assert len(set(names)) == len(names)


def test_the_site_without_a_flaw_is_in_order(tmp_path: Path, approved: dict[str, bytes]) -> None:
    write_files(tmp_path, approved)
    contents = load_site(tmp_path)
    assert contents.policy.site.name == "kettle-and-bean"
    assert len(contents.catalogue.items) == 20
    assert contents.waiting == ()


def test_a_folder_without_a_site_says_how_to_start(tmp_path: Path) -> None:
    (tmp_path / "unrelated.yaml").write_text("a: 1")
    with pytest.raises(SiteError) as refused:
        load_site(tmp_path)
    (problem,) = refused.value.problems
    assert problem.path == "site.yaml:1"
    assert "edgewise site init" in problem.message


@pytest.mark.parametrize("file", ["items/pipe.yaml", "templates/pipe.html"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, approved: dict[str, bytes], file: str) -> None:
    """Nobody writes into this pipe."""
    write_files(tmp_path, approved)
    (tmp_path / "templates").mkdir(exist_ok=True)
    (tmp_path / "templates" / "pipe.yaml").write_text("variables: {title: {type: text}}\n")
    os.mkfifo(tmp_path / file)
    with pytest.raises(SiteError) as refused:
        load_site(tmp_path)
    said = f"{file}:1: is no file that can be read; write one, or remove it"
    assert said in [f"{problem.path}: {problem.message}" for problem in refused.value.problems]


def test_all_problems_are_said_at_once(tmp_path: Path, approved: dict[str, bytes]) -> None:
    write_files(tmp_path, approved)
    for file in ("placements/home_hero.yaml", "placements/home_list.yaml"):
        path = tmp_path / file
        path.write_text(path.read_text().replace("count: ", "cuont: ").replace("fallback: [", "fallback: [1, "))
    with pytest.raises(SiteError, match="4 problems") as refused:
        load_site(tmp_path)
    assert len(refused.value.problems) == 4


def test_what_the_invented_site_suggests_is_in_order(tmp_path: Path, approved: dict[str, bytes]) -> None:
    write_files(tmp_path, approved)
    path = tmp_path / "features" / "visitor_and_item.yaml"
    before = len(load_site(tmp_path).features.features)
    suggested = path.read_text().count("\n# - {")
    path.write_text(path.read_text().replace("\n# - {", "\n- {"))
    assert suggested == 10
    assert len(load_site(tmp_path).features.features) == before + suggested

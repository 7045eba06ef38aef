"""The pinned file arrives whole and right, or not at all."""

import hashlib
import threading
from pathlib import Path

import pytest

from edgewise.errors import RefusedError, UnavailableError
from hub.datasets.download import (
    PinnedFile,
    default_cache,
    fetch,
    pip_download,
    sha256_of,
    write_beside_and_rename,
)

CONTENT = b"a small package"


def pinned(content: bytes = CONTENT) -> PinnedFile:
    return PinnedFile(
        package="edgewise-test-package",
        version="1.0",
        file_name="package-1.0.tar.gz",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )


class Index:
    """A package index that counts how often it is asked."""

    def __init__(self, content: bytes = CONTENT, file_name: str = "package-1.0.tar.gz") -> None:
        self.content = content
        self.file_name = file_name
        self.asked = 0

    def __call__(self, _wanted: PinnedFile, folder: Path) -> None:
        self.asked += 1
        (folder / self.file_name).write_bytes(self.content)


def offline(_wanted: PinnedFile, _folder: Path) -> None:
    raise UnavailableError("no network")


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_is_downloaded_once_into_a_folder_that_is_made(tmp_path: Path) -> None:
    index = Index()
    cache = tmp_path / "deep" / "cache"
    first = fetch(pinned(), cache, download=index)
    assert first.read_bytes() == CONTENT
    assert fetch(pinned(), cache, download=offline) == first
    assert index.asked == 1
    assert entries(cache) == ["package-1.0.tar.gz"]


def test_another_content_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=pinned().sha256) as refused:
        fetch(pinned(), tmp_path, download=Index(content=b"something else"))
    assert refused.value.code == "wrong_hash"
    assert entries(tmp_path) == []


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"other\.whl"):
        fetch(pinned(), tmp_path, download=Index(file_name="other.whl"))
    assert entries(tmp_path) == []


def test_a_file_that_changed_in_the_cache_is_replaced(tmp_path: Path) -> None:
    place = fetch(pinned(), tmp_path, download=Index())
    place.write_bytes(CONTENT[:-1])
    assert fetch(pinned(), tmp_path, download=Index()).read_bytes() == CONTENT


def test_offline_leaves_the_cache_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no network"):
        fetch(pinned(), tmp_path, download=offline)
    assert entries(tmp_path) == []


def test_a_cache_that_is_a_file_is_the_operators_problem(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(UnavailableError, match="cannot keep"):
        fetch(pinned(), tmp_path / "cache", download=Index())


def test_two_downloads_at_once_are_both_right(tmp_path: Path) -> None:
    both_inside = threading.Barrier(2, timeout=20)

    def slow(_wanted: PinnedFile, folder: Path) -> None:
        both_inside.wait()
        (folder / "package-1.0.tar.gz").write_bytes(CONTENT)

    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(pinned(), tmp_path, download=slow))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert [sha256_of(path) for path in found] == [pinned().sha256] * 2
    assert entries(tmp_path) == ["package-1.0.tar.gz"]


@pytest.mark.process
def test_pip_says_in_one_line_that_there_is_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnavailableError, match=r"cannot be downloaded: .*edgewise-test-package==1\.0") as absent:
        fetch(pinned(), tmp_path / "cache", download=pip_download)
    assert "\n" not in str(absent.value)


@pytest.mark.process
def test_pip_refuses_another_file_before_it_looks_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = tmp_path / "links"
    links.mkdir()
    # No archive at all: had pip opened it, the complaint would be another.
    (links / "edgewise-test-package-1.0.tar.gz").write_bytes(b"an impostor")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    with pytest.raises(RefusedError) as refused:
        fetch(pinned(), tmp_path / "cache", download=pip_download)
    assert refused.value.code == "wrong_hash"


def test_the_cache_follows_xdg() -> None:
    assert default_cache({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/edgewise/datasets")
    assert default_cache({"HOME": "/h"}) == Path("/h/.cache/edgewise/datasets")
    assert default_cache({"XDG_CACHE_HOME": "relative", "HOME": "/h"}) == Path("/h/.cache/edgewise/datasets")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b.csv"
    write_beside_and_rename(place, b"old")
    assert write_beside_and_rename(place, b"new").read_bytes() == b"new"
    assert entries(place.parent) == ["b.csv"]

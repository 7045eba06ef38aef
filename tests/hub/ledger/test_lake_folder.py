"""A lake and its database belong together: with the wrong other, or an older one, nothing is lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hub_records import NOW_MS
from lake_world import ANN, BOB, CANARY, DAY_MS, compact, files, fill, told

from edgewise.errors import UnavailableError
from hub.ledger.dialect import TakenError
from hub.ledger.lake_folder import ASIDE, ASIDE_DAYS, OWNER
from hub.ledger.ledger import Ledger, open_ledger

LATER_MS = NOW_MS + 365 * DAY_MS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with open_ledger(tmp_path) as ledger:
        fill(ledger)
    return tmp_path


@pytest.mark.usefixtures("either_database")
@pytest.mark.parametrize("other_lake", ["none", "its own"])
def test_another_database_touches_nothing(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, other_lake: str
) -> None:
    with open_ledger(folder) as ledger:
        compact(ledger)
        before, lake = told(ledger), files(ledger)
    elsewhere = tmp_path_factory.mktemp("other")
    with open_ledger(elsewhere) as other:
        fill(other)
        if other_lake == "its own":
            compact(other)
        url = other.storage.place
    other = Ledger.of(elsewhere)
    other.storage.shelf._folder = folder / "lake"
    try:
        with pytest.raises(UnavailableError, match=rf"is not the lake of .*it holds {len(lake)} files"):
            compact(other)
        with pytest.raises(UnavailableError, match="is not the lake of"):
            other.scrub()
    finally:
        other.close()
    assert url not in (folder / "lake" / OWNER).read_text()
    with open_ledger(folder) as ledger:
        assert (files(ledger), told(ledger)) == (lake, before)
        compact(ledger)


@pytest.fixture
def older(in_sqlite: None, folder: Path) -> Path:
    """The database was brought back from before the last turn; the folder has the newer one as `newest`."""
    assert in_sqlite is None
    with open_ledger(folder) as ledger:
        compact(ledger, before_ms=NOW_MS + 30 * DAY_MS)
    shutil.copy(folder / "ledger.db", folder / "backup")
    with open_ledger(folder) as ledger:
        assert compact(ledger).records
    shutil.copy(folder / "ledger.db", folder / "newest")
    shutil.copy(folder / "backup", folder / "ledger.db")
    return folder


def test_files_that_are_newer_than_the_database_are_set_aside_and_found_again(older: Path) -> None:
    with open_ledger(older) as ledger:
        before = told(ledger)
        assert compact(ledger, before_ms=0, now_ms=LATER_MS).records == 0
        aside = [name for name in files(ledger) if name.startswith(ASIDE)]
        assert len(aside) > 2
        assert told(ledger) == before
    shutil.copy(older / "newest", older / "ledger.db")
    with open_ledger(older) as ledger:
        compact(ledger, before_ms=0, now_ms=LATER_MS)
        assert told(ledger) == before
        assert files(ledger) == sorted(row.file for row in ledger.lake.partitions())


def test_what_is_set_aside_loses_the_erased_and_ends(older: Path) -> None:
    with open_ledger(older) as ledger:
        compact(ledger, now_ms=NOW_MS)
        held = b"".join(path.read_bytes() for path in (older / "lake" / ASIDE).rglob("*.parquet"))
        assert ANN.encode() in held
        ledger.erase(ANN, NOW_MS)
        aside = list((older / "lake" / ASIDE).rglob("*.parquet"))
        held = b"".join(path.read_bytes() for path in aside)
        assert ANN.encode() not in held
        assert CANARY.encode() not in held
        assert BOB.encode() in held
        for path in aside:
            os.utime(path, (NOW_MS / 1_000, NOW_MS / 1_000))
        compact(ledger, before_ms=0, now_ms=NOW_MS + ASIDE_DAYS * DAY_MS)
        assert ledger.lake.needs_rewriting()
        compact(ledger, before_ms=0, now_ms=NOW_MS + ASIDE_DAYS * DAY_MS + 1)
        assert not ledger.lake.needs_rewriting()


@pytest.mark.usefixtures("in_sqlite")
def test_a_lake_that_nobody_signed_is_known_by_its_files(folder: Path) -> None:
    with open_ledger(folder) as ledger:
        compact(ledger)
        before = told(ledger)
        (folder / "lake" / OWNER).unlink()
        compact(ledger)
        assert (folder / "lake" / OWNER).exists()
        shutil.move(folder / "lake", folder / "moved")
        with pytest.raises(UnavailableError, match="holds 0 files"):
            compact(ledger)
        shutil.rmtree(folder / "lake")
        shutil.move(folder / "moved", folder / "lake")
        compact(ledger)
        assert told(ledger) == before


@pytest.mark.usefixtures("in_sqlite")
def test_one_file_that_two_folders_name_has_one_hub_and_one_lake(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared' / 'all.db'}"
    first, second = Ledger.of(tmp_path / "a", url), Ledger.of(tmp_path / "b", url)
    try:
        with (
            first.storage.serving(),
            pytest.raises(TakenError, match="another hub serves this ledger"),
            second.storage.serving(),
        ):
            pytest.fail("two hubs")
        with second.storage.serving():
            fill(first)
            compact(first)
            assert told(second) == told(first)
            assert first.storage.shelf.folder == second.storage.shelf.folder == tmp_path / "shared" / "all.db.lake"
    finally:
        first.close()
        second.close()

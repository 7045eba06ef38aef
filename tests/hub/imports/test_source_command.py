"""`edgewise import source` for people: a preview that acts on no terminal, refused rows with their places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub_process import edgewise
from sources_world import LINES, written

SOURCE = """kind: offline
currency: GBP
consent: granted
identifiers: {userId: customer}
records:
  - event: Offline Purchase
    time: when
    group: [receipt]
    properties: {note: note}
    products:
      fields:
        product_id: article
        quantity: {column: pieces, type: integer}
        price: {column: price, type: money}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site" / "sources").mkdir(parents=True)
    (tmp_path / "site" / "site.yaml").write_text("name: shop\n")
    (tmp_path / "site" / "sources" / "till.yaml").write_text(SOURCE)
    return tmp_path / "site"


def file(folder: Path) -> Path:
    """Receipts, one of them with a note that would clear a terminal, one that cannot be used."""
    header, *lines = LINES.splitlines()
    noted = [f"{line},\x1b[2J\u202egone" if line.startswith("r2") else f"{line}," for line in lines]
    return written(folder / "x.csv", "\n".join([f"{header},note", *noted, "r9,so\x07on,1,tea,1,1,"]) + "\n")


def test_a_dry_run_shows_calls_and_what_would_be_refused(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    hub = site.parent / "hub"
    words = ("import", "source", "till", file(site.parent), "--site", site, "--data-dir", hub, "--dry-run")
    told = edgewise(capsys, *words)
    assert told.code == 0, told.stderr
    assert "the first 3 of 3" in told.stdout
    assert "order_id" not in told.stdout
    assert "note [2J\\u202egone" in told.stdout
    assert "1 row would be refused" in told.stdout
    assert "so\\x07on" in told.stdout
    assert all(line.isprintable() for line in told.stdout.splitlines())
    assert not hub.exists()
    report = json.loads(edgewise(capsys, *words, "--json").stdout)
    assert (report["dry_run"], report["events"], report["rejected"], report["stored"]) == (True, 3, 1, 0)
    assert report["preview"][0]["properties"]["products"]
    assert edgewise(capsys, *words, "--quiet").stdout == ""


def test_an_import_says_what_became_of_the_rows(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = site.parent / "hub"
    assert edgewise(capsys, "keys", "init", "--data-dir", hub).code == 0
    words = ("import", "source", "till", file(site.parent), "--site", site, "--data-dir", hub)
    told = edgewise(capsys, *words)
    assert told.code == 0, told.stderr
    assert "1 row was refused: when: no date (1); all in" in told.stderr.replace("\n", " ")
    report = json.loads(edgewise(capsys, *words, "--json").stdout)
    assert (report["stored"], report["known"], report["rejected"]) == (0, 3, 1)
    assert report["reasons"] == {"when: no date": 1}
    assert Path(report["rejects_file"]).stat().st_mode & 0o077 == 0


def test_a_site_without_the_source_says_what_there_is(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = edgewise(capsys, "import", "source", "tlil", file(site.parent), "--site", site)
    assert told.code == 1
    assert "did you mean 'till'?" in told.stderr

"""`edgewise facts`: what people type, what they read, and what scripts read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from facts_shop import FactsShop
from hub_process import Finished, edgewise

from edgewise.ids import ItemId


class Facts:
    """The command over one hub's folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys = capsys
        self._data_dir = FactsShop(folder).shop.data_dir

    def __call__(self, *words: str | Path) -> Finished:
        ended = edgewise(self._capsys, "facts", *words, "--data-dir", self._data_dir)
        assert "Traceback" not in ended.stderr
        return ended


@pytest.fixture
def facts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Facts:
    return Facts(capsys, tmp_path)


def test_set_show_and_take_away(facts: Facts) -> None:
    assert facts("show", "--json").told == {
        "version": 0, "halted": False, "issued_ms": None, "expires_ms": None, "items": {},
    }  # fmt: skip
    said = facts("set", "sencha", "stock=0", "--by", "ann", "--json").told
    assert (said["facts"]["version"], said["facts"]["numbers"], said["facts"]["who"]) == (1, 1, "ann")
    assert said["notes"] == []
    assert facts("set", "rooibos", "stock=4", "--by", "ann").stdout == "live facts version 2, 2 numbers\n"
    assert facts("show", "--json").told["items"] == {"sencha": {"stock": 0.0}, "rooibos": {"stock": 4.0}}
    assert facts("show", "sencha", "--json").told["items"] == {"sencha": {"stock": 0.0}}
    assert facts("show", "--version", "1", "--json").told["items"] == {"sencha": {"stock": 0.0}}
    facts("set", "sencha", "stock=", "--by", "ann")
    shown = facts("show").stdout
    assert "version 3, 1 items" in shown
    assert "rooibos" in shown
    assert "sencha" not in shown


def test_import_takes_a_file(facts: Facts, tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("item,stock\nsencha,0\nof-another-shop,3\n")
    said = facts("import", file, "--by", "feed", "--json").told
    assert said["facts"]["numbers"] == 2
    assert said["notes"] == ["1 items are not in the live release 1: of-another-shop"]
    assert facts("show", "--json").told["items"][ItemId("sencha")] == {"stock": 0.0}


def test_halt_and_resume(facts: Facts) -> None:
    facts("set", "sencha", "stock=0", "--by", "ann")
    halted = facts("halt", "--by", "bob")
    assert halted.stdout == "live facts are halted (version 2): nodes serve by the released catalogue alone\n"
    assert facts("show", "--json").told["halted"] is True
    said = facts("set", "sencha", "stock=2", "--by", "ann").stdout
    assert said == "live facts version 3; they are halted, and count after `edgewise facts resume`\n"
    assert facts("resume", "--by", "bob").stdout == "live facts version 4, 1 numbers\n"
    assert facts("show", "--json").told["items"] == {"sencha": {"stock": 2.0}}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("set", "sencha", "stock=many"), 1, "stock=many: 'many'; expected a number"),
        (("set", "sencha"), 2, "Missing argument"),
        (("show", "--version", "9"), 1, "live facts version 9 are not here; none is kept"),
        (("import", "nowhere.csv"), 1, "nowhere.csv: no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(facts: Facts, words: tuple[str, ...], code: int, said: str) -> None:
    ended = facts(*words)
    assert ended.code == code
    assert said in " ".join(ended.stderr.split())


def test_without_a_site_it_says_what_to_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ended = edgewise(capsys, "facts", "set", "sencha", "stock=0", "--data-dir", tmp_path)
    assert ended.code == 1
    assert "run `edgewise site init DIR" in " ".join(ended.stderr.split())
    assert json.dumps(ended.stdout) == '""'

"""What a run prints and draws: every row with its verdict, every reason, every curve as a table and as a plot."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from typing_extensions import override

from edge.bench.machine import this_machine
from edgewise.clock import ManualClock
from edgewise.errors import InputError, UnavailableError
from figures.figure import Bound, Curve, Point, Row, judge, not_measured
from figures.index import CURVES, FIGURES, chosen
from figures.page import page
from figures.peers import VARIABLE, find_peers
from figures.sheet import Sheet, curve_rows, in_tables

KEPT = judge("P1", "throughput", Bound(0.75, 0.9, "x", at_least=True), [0.8])
SHORT = judge("P3", "p99 <at 60 %>", Bound(10.0, 10.0, "ms"), [12.0], short="the disk & its queue")
MISSING = not_measured("P2", "peers", Bound(3.5, 5.0, "x", at_least=True), "no folder of peers")
CURVE = Curve(
    "Cost by trees", "trees", "us", {"decision": [Point(10, 80), Point(100, 300)], "model": [Point(100, 200)]}
)


def sheet(*rows: Row, failed: dict[str, str] | None = None) -> Sheet:
    return Sheet(
        rows=list(rows),
        curves=[CURVE],
        failed=failed or {},
        machine=this_machine(ManualClock(1_760_000_000_000)),
        cores={"server": 0, "load": 1},
        took_s=61.0,
        is_quick=False,
    )


def test_a_terminal_gets_rows_reasons_and_curves() -> None:
    written = io.StringIO()
    console = Console(width=160, file=written)
    for part in in_tables(sheet(KEPT, SHORT, MISSING, failed={"P6": "no hub"})):
        console.print(part)
    said = written.getvalue()
    for expected in (
        "0.8 x",
        ">= 0.75 x",
        "FAIL",
        "the disk & its queue",
        "not measured",
        "no folder of peers",
        "P6 broke: no hub",
    ):
        assert expected in said
    assert "server on core 0" in said
    assert "Cost by trees (us)" in said


def test_a_curve_has_a_row_for_each_x_and_gaps_where_a_line_has_none() -> None:
    assert curve_rows(CURVE) == [["10", "80", "-"], ["100", "300", "200"]]


def test_only_what_falls_short_or_broke_makes_a_run_fail() -> None:
    assert not sheet(KEPT, MISSING).is_short
    assert sheet(KEPT, SHORT).is_short
    assert sheet(KEPT, failed={"P6": "no hub"}).is_short


def test_the_page_needs_nothing_else_and_escapes_what_it_shows() -> None:
    text = page(sheet(KEPT, SHORT, MISSING))
    tags = _tags(text)
    assert tags.count("svg") == 1
    assert tags.count("table") == 2
    assert "script" not in tags
    assert "p99 &lt;at 60 %&gt;" in text
    assert "the disk &amp; its queue" in text
    assert "://" not in text, "nothing is fetched"


def test_a_sheet_is_the_same_after_json() -> None:
    made = sheet(KEPT, SHORT, MISSING)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Sheet) == made


def test_figures_are_chosen_by_id_in_their_usual_order() -> None:
    assert list(chosen([])) == [*FIGURES, CURVES]
    assert list(chosen(["p4", "P1"])) == ["P1", "P4"]
    with pytest.raises(InputError, match="P99: expected one of P1, P2"):
        chosen(["P99"])


def test_peers_are_found_where_they_are_named_or_beside_the_checkout(tmp_path: Path) -> None:
    beside, named = tmp_path / "shared/bench/peers", tmp_path / "mine"
    here = tmp_path / "checkout"
    here.mkdir()
    assert find_peers(None, {}, here) is None
    beside.mkdir(parents=True)
    named.mkdir()
    assert find_peers(None, {}, here) == here / "../shared/bench/peers"
    assert find_peers(None, {VARIABLE: str(named)}, here) == named
    assert find_peers(beside, {VARIABLE: str(named)}, here) == beside
    with pytest.raises(UnavailableError, match="no such folder"):
        find_peers(tmp_path / "nowhere", {}, here)


def _tags(text: str) -> list[str]:
    found: list[str] = []

    class Reader(HTMLParser):
        @override
        def handle_starttag(self, tag: str, attrs: object) -> None:
            found.append(tag)

    Reader().feed(text)
    return found

"""The file between agent and workers: what was kept is read again, in pieces, and damage is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.node import facts_file
from edge.node.facts_file import FactsFile, KeptFacts
from edge.node.layout import NodePaths
from edgewise.bundle.facts import FactSheet
from edgewise.ids import ItemId

columns = st.dictionaries(
    st.sampled_from(["stock", "price"]),
    st.dictionaries(st.text(min_size=1).map(ItemId), st.floats(-1e12, 1e12), min_size=1),
)


def file_in(folder: Path) -> FactsFile:
    paths = NodePaths(folder)
    paths.create()
    return FactsFile(paths)


@given(columns, st.booleans())
def test_what_was_kept_is_read_again(
    tmp_path_factory: pytest.TempPathFactory,
    said: dict[str, dict[ItemId, float]],
    halted: bool,  # noqa: FBT001
) -> None:
    file = file_in(tmp_path_factory.mktemp("node"))
    sheet = FactSheet(3, 1, 2, halted, said)
    file.keep(sheet, "a" * 64)
    assert file.kept() == KeptFacts(sheet, "a" * 64)


def test_no_line_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding one holds a worker's interpreter."""
    monkeypatch.setattr(facts_file, "NUMBERS_A_LINE", 10)
    file = file_in(tmp_path)
    sheet = FactSheet(3, 1, 2, columns={"stock": {ItemId(f"item-{number}"): 1.0 for number in range(95)}})
    file.keep(sheet, "a" * 64)
    assert len((tmp_path / "trust/facts").read_bytes().splitlines()) == 2 + 10
    assert file.sheet() == sheet


def test_every_flipped_or_missing_byte_is_noticed(tmp_path: Path) -> None:
    file = file_in(tmp_path)
    assert file.generation() is None
    file.keep(FactSheet(3, 1, 2, columns={"stock": {ItemId("tea"): 1.0}}), "a" * 64)
    path = tmp_path / "trust/facts"
    whole = path.read_bytes()
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            assert file.kept() is None

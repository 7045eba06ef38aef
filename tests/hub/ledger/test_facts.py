"""Live facts in the ledger: every version that is remembered comes out again to the byte."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import sqlalchemy as sa
from databases import mostly_sqlite
from hub_records import NOW_MS
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.facts import LARGEST, FactSheet, encode_facts
from edgewise.errors import BundleRefused, RefusedError
from edgewise.ids import ItemId
from hub.ledger import tables
from hub.ledger.ledger import Ledger, open_ledger

pytestmark = pytest.mark.usefixtures("either_database")

LIFE_MS = 60_000
TEA, JAM = ItemId("tea"), ItemId("jam")

changes = st.dictionaries(
    st.sampled_from(["stock", "price"]),
    st.dictionaries(st.sampled_from([TEA, JAM, ItemId("oil")]), st.none() | st.sampled_from([0.0, 1.5, -2.0])),
)


def change(ledger: Ledger, said: dict[str, dict[ItemId, float | None]], *, at_ms: int = NOW_MS) -> int:
    row, _ = ledger.change_facts(said, who="ann", now_ms=at_ms, life_ms=LIFE_MS)
    return 0 if row is None else row.version


@mostly_sqlite
@given(st.lists(changes, max_size=8), st.integers(0, 8))
def test_every_version_is_what_a_plain_history_says_also_after_forgetting(
    tmp_path_factory: pytest.TempPathFactory, story: list[dict[str, dict[ItemId, float | None]]], forgotten: int
) -> None:
    holds: dict[str, dict[ItemId, float]] = {}
    history: dict[int, FactSheet] = {}
    with open_ledger(tmp_path_factory.mktemp("hub")) as ledger:
        for turn, said in enumerate(story):
            before = {name: dict(column) for name, column in holds.items()}
            for name, column in said.items():
                for item, value in column.items():
                    if value is None:
                        holds.get(name, {}).pop(item, None)
                    else:
                        holds.setdefault(name, {})[item] = value
            told = {name: dict(column) for name, column in holds.items() if column}
            version = change(ledger, said, at_ms=NOW_MS + turn)
            was = {name: column for name, column in before.items() if column}
            assert (version == max(history, default=0)) is (told == was), (
                "a version where something changed, only there"
            )
            if told != was:
                history[version] = FactSheet(version, NOW_MS + turn, NOW_MS + turn + LIFE_MS, columns=told)
        assert {version: ledger.fact_sheet(version) for version in history} == history
        ledger.prune_facts(NOW_MS + forgotten)
        newest = max(history, default=0)
        for version, sheet in history.items():
            if version == newest or sheet.issued_ms >= NOW_MS + forgotten:
                assert encode_facts(ledger.fact_sheet(version)) == encode_facts(sheet)
            else:
                with pytest.raises(RefusedError, match=rf"version {version} are not here; versions \d+ to {newest}"):
                    ledger.fact_sheet(version)


def test_what_was_forgotten_takes_no_room(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        for turn in range(10):
            change(ledger, {"stock": {TEA: float(turn), JAM: 1.0}}, at_ms=NOW_MS + turn)
        assert ledger.prune_facts(NOW_MS + 8) == 8
        with ledger.storage.reading() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(tables.facts)).scalar_one() == 3


def test_the_switch_is_kept_and_hides_every_number(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        change(ledger, {"stock": {TEA: 0.0}})
        halted, data = ledger.change_facts({}, who="ann", now_ms=NOW_MS, life_ms=LIFE_MS, halted=True)
        assert halted is not None
        assert (halted.version, halted.numbers) == (2, 0)
        assert data == encode_facts(ledger.fact_sheet(2)), "what is to be published is what is remembered"
        again = ledger.change_facts({}, who="ann", now_ms=NOW_MS, life_ms=LIFE_MS, halted=True)
        assert again == (halted, None), "what is known is not to be published again"
        assert change(ledger, {"stock": {JAM: 0.0}}) == 3
        assert ledger.fact_sheet(3).columns == {}
        assert ledger.fact_sheet(3).halted
        ledger.change_facts({}, who="ann", now_ms=NOW_MS, life_ms=LIFE_MS, halted=False)
        assert ledger.fact_sheet(4).columns == {"stock": {TEA: 0.0, JAM: 0.0}}
        assert hashlib.sha256(encode_facts(ledger.fact_sheet(1))).hexdigest() != halted.sha256


def test_what_nodes_would_refuse_changes_nothing(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        change(ledger, {"stock": {TEA: 1.0}})
        with pytest.raises(BundleRefused, match=r"<= 1"):
            change(ledger, {"stock": {TEA: 10 * LARGEST, JAM: 2.0}})
        assert ledger.fact_sheet(1).columns == {"stock": {TEA: 1.0}}
        newest = ledger.newest_facts()
        assert newest is not None
        assert newest.version == 1


def test_numbers_that_somebody_changed_behind_its_back_are_found(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        change(ledger, {"stock": {TEA: 1.0}})
        with ledger.storage.writing() as connection:
            connection.execute(sa.update(tables.facts).values(value=2.0))
        with pytest.raises(RefusedError, match="differ here from what was signed"):
            ledger.fact_sheet(1)

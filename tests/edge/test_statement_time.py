"""The latest time of a statement: it never falls, whoever keeps it and whatever happens to its file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge.node.statement_time import StatementTime


def test_only_a_later_time_is_kept(tmp_path: Path) -> None:
    kept = StatementTime(tmp_path / "time")
    assert kept.latest_ms() == 0
    for time_ms, latest_ms in ((1_700_000_000_000, 1_700_000_000_000), (5, 1_700_000_000_000), (2**62, 2**62)):
        kept.keep(time_ms)
        assert StatementTime(tmp_path / "time").latest_ms() == latest_ms


def test_of_several_who_keep_at_once_the_latest_stays(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(StatementTime(tmp_path / "time").keep, [*range(1, 200), *range(100)]))
    assert StatementTime(tmp_path / "time").latest_ms() == 199


@pytest.mark.parametrize("content", [b"", b"x" * 20, b"17", b"-0000000000000000001", "٣".encode() * 10])
def test_what_cannot_be_read_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "time").write_bytes(content)
    kept = StatementTime(tmp_path / "time")
    assert kept.latest_ms() == 0
    kept.keep(7)
    assert kept.latest_ms() == 7


def test_a_disk_that_fails_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        StatementTime(tmp_path / "nowhere" / "time").keep(7)

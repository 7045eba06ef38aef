"""Moments from web logs, in the spellings that servers use; a line that holds none is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from edge.bench.weblog import moments_of, read_weblog
from edgewise.errors import InputError

COMMON = '203.0.113.9 - - [10/Oct/2026:13:55:{second:02d} +0200] "GET / HTTP/1.1" 200 2326'


def moments(*lines: str) -> list[float]:
    return moments_of(lines, np.random.default_rng(1), name="access.log")


def test_seconds_milliseconds_and_iso_8601_mean_the_same_moment() -> None:
    expected = [1_790_000_000.5]
    assert moments("1790000000.5") == expected
    assert moments("1790000000500") == expected
    assert moments("2026-09-21T14:13:20.5Z") == expected
    assert moments("2026-09-21T16:13:20.5+02:00") == expected
    assert moments("2026-09-21T14:13:20.5") == expected
    assert moments('"1790000000.5",/page,200') == expected


def test_common_log_lines_are_sorted_and_spread_over_their_second() -> None:
    found = moments(*(COMMON.format(second=second) for second in (3, 1, 1, 1)))
    first = 1_791_633_301.0
    assert found == sorted(found)
    assert [int(moment - first) for moment in found] == [0, 0, 0, 2]
    assert len(set(found)) == 4


def test_blank_lines_and_comments_are_passed_over() -> None:
    assert moments("# epoch", "", "1.5", "   ") == [1.5]


@pytest.mark.parametrize("line", ["yesterday", "-5", "nan", "[99/Oct/2026:13:55:36 +0000]", "2026-13-01T00:00:00Z"])
def test_a_line_without_a_moment_is_named(line: str) -> None:
    with pytest.raises(InputError, match=r"access\.log:2: .* expected epoch seconds"):
        moments("1.5", line)


def test_a_log_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no arrivals"):
        moments("", "# nothing")


def test_a_file_may_be_packed_and_damage_is_told(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    packed = tmp_path / "log.gz"
    packed.write_bytes(gzip.compress(b"1.5\n2.5\n"))
    assert read_weblog(packed, draw) == [1.5, 2.5]
    packed.write_bytes(packed.read_bytes()[:-6])
    with pytest.raises(InputError, match=r"log\.gz"):
        read_weblog(packed, draw)
    with pytest.raises(InputError, match="No such file"):
        read_weblog(tmp_path / "none", draw)

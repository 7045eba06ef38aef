"""Files that say themselves whether they are whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.node.digested_file import DigestedFile


def test_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    file = DigestedFile(tmp_path / "facts")
    assert (file.read(), file.generation()) == (None, None)


@given(st.binary(max_size=200))
def test_what_was_written_is_read_and_every_change_of_it_is_seen(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("node") / "facts"
    file = DigestedFile(path)
    file.replace(data)
    assert file.read() == data
    before = file.generation()
    file.replace(data + b"more")
    assert file.generation() != before
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert file.read() is None


def test_more_than_may_be_is_taken_for_damaged(tmp_path: Path) -> None:
    path = tmp_path / "facts"
    DigestedFile(path).replace(b"12345")
    assert DigestedFile(path, most_bytes=5).read() == b"12345"
    assert DigestedFile(path, most_bytes=4).read() is None

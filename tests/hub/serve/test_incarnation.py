"""Which life of the data this is: the same until somebody restores a backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewise.errors import UnavailableError
from hub.incarnation import FILE, incarnation_of


def test_an_incarnation_is_made_once_and_kept(tmp_path: Path) -> None:
    first = incarnation_of(tmp_path)
    assert incarnation_of(tmp_path) == first
    assert incarnation_of(tmp_path / "other") != first


def test_a_damaged_incarnation_is_not_replaced_in_silence(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff torn")
    with pytest.raises(UnavailableError, match="is damaged"):
        incarnation_of(tmp_path)

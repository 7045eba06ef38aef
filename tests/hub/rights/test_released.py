"""Searching what was released: every byte, in small bites, and not again what cannot hold anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewise.ids import SubjectId
from hub.rights.released import WINDOW_BYTES, ReleasedSearch

ANN, BO = SubjectId("a1" * 16), SubjectId("b2" * 16)


@pytest.mark.parametrize("before", [0, *range(2 * WINDOW_BYTES - 34, 2 * WINDOW_BYTES + 3)])
def test_a_subject_is_found_across_the_edge_of_two_windows(tmp_path: Path, before: int) -> None:
    model = tmp_path / "models" / "ranker"
    model.parent.mkdir()
    model.write_bytes(b"x" * before + ANN.encode() + b"x" * 100)
    assert ReleasedSearch(tmp_path).search([BO, ANN]) == (1, 1)


def test_what_changed_is_searched_again_and_what_goes_is_no_error(tmp_path: Path) -> None:
    model = tmp_path / "models" / "ranker"
    model.parent.mkdir()
    (tmp_path / "models" / "empty").touch()
    search = ReleasedSearch(tmp_path)
    model.write_bytes(b"weights" * 9)
    assert search.search([ANN]) == search.search([ANN]) == (2, 0)
    model.write_bytes(b"weights" + BO.encode())
    assert search.search([ANN]) == (2, 0)
    assert search.search([BO]) == (2, 1)  # it was searched for another one, and is not taken for free of all
    model.unlink()
    assert search.search([BO]) == (1, 0)

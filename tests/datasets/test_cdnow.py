"""CDNOW's sample as its authors describe it."""

from __future__ import annotations

import os

import pytest
from needs import lacking

from edgewise.errors import RefusedError, UnavailableError
from hub.datasets import cdnow
from hub.datasets.download import default_cache
from hub.lifetime.purchases import Columns, read_purchases


def test_has_the_published_number_of_customers() -> None:
    try:
        path = cdnow.sample_file(default_cache(os.environ))
    except UnavailableError as absent:
        lacking(f"needs CDNOW's sample: {absent}")
    bought, warnings = read_purchases(path, Columns("customer", "date", "dollars"))
    assert len(bought.names) == 2_357
    assert warnings == []


def test_a_row_of_another_shape_is_refused() -> None:
    with pytest.raises(RefusedError, match="expected 5 columns"):
        cdnow._line(" 00004 19970101  2   29.33")

"""Reports as pages: nothing of what stands in them is run, and a plot takes whatever numbers there are."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from hub.report_page import Bar, Line, bars, in_table, lines, page, sentences

ANY = st.floats(allow_nan=True, allow_infinity=True, width=32)


def test_text_is_text() -> None:
    made = page("<b>", in_table(["<i>"], [["<script>"]]), sentences(["<u>"]), bars("<s>", [Bar("<a>", 1.0)]))
    assert "<script>" not in made
    assert made.count("&lt;") == 7  # the title stands twice
    assert "default-src 'none'" in made


@given(st.lists(st.tuples(ANY, ANY), max_size=8))
def test_lines_take_any_numbers(points: list[tuple[float, float]]) -> None:
    drawn = ET.fromstring(lines("said", "x", "y", [Line("a", points), Line("b", [])], diagonal=True))
    assert drawn.get("aria-label") == "said"
    assert "nan" not in ET.tostring(drawn, "unicode")


@given(st.lists(st.tuples(ANY, ANY, ANY), max_size=8))
def test_bars_take_any_numbers(values: list[tuple[float, float, float]]) -> None:
    drawn = ET.fromstring(bars("said", [Bar("a", *ends) for ends in values]))
    assert "nan" not in ET.tostring(drawn, "unicode")
    shown = sum(math.isfinite(value) for value, _, _ in values)
    assert sum(part.tag == "rect" for part in drawn) == shown


def test_a_point_lies_where_its_marks_say() -> None:
    drawn = ET.fromstring(lines("said", "x", "y", [Line("a", [(0.0, 0.0), (1.0, 1.0)])], diagonal=True))
    ideal, line = (part.get("points") for part in drawn if part.tag == "polyline")
    assert ideal == line

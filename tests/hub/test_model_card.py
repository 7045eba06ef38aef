"""A card in its three forms: what it says, what it owes, and what it must not break."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.model_card import EXPECTED, CardFormat, card_file, card_markdown, card_page, format_of, unstated

WHOLE: dict[str, Any] = {
    "summary": "Ranks the hero.",
    "data": {"from": "2026-01-01", "rows": 120},
    "metrics": {"hit_rate@5": {"estimate": 0.3, "ci_low": 0.25, "ci_high": 0.35}, "rows": 120},
    "features": {"a|b": {"gain_share": 1.0}},
    "consent": {"purposes": ["personalisation"]},
    "fairness": "Nothing was measured.",
    "known_limits": ["new items", "robots"],
}


def test_a_whole_card_owes_nothing_and_an_empty_one_everything() -> None:
    assert unstated(WHOLE) == []
    assert len(unstated({})) == len(EXPECTED)
    assert unstated({**WHOLE, "fairness": ""}) == ["fairness: what was measured for groups of people, and what was not"]


def test_what_a_card_does_not_say_stands_in_it() -> None:
    silent = {name: value for name, value in WHOLE.items() if name != "fairness"}
    for text in (card_markdown("m@1", silent), card_page("m@1", silent)):
        assert "Not stated" in text
        assert "what was measured for groups of people" in text
        assert "Not stated" not in card_markdown("m@1", WHOLE)


def test_markdown_has_a_yaml_header_sections_and_numbers_with_intervals() -> None:
    text = card_markdown("m@1", WHOLE, {"name": "m", "version": 1})
    _, header, body = text.split("---\n", 2)
    assert yaml.safe_load(header) == {"name": "m", "version": 1}
    assert body.startswith("\n# m@1\n\n## Summary\n\nRanks the hero.\n")
    assert "| hit_rate@5 | 0.3 [0.25, 0.35] |\n" in body
    assert "| a\\|b | gain_share 1 |\n" in body
    assert "| purposes | personalisation |\n" in body
    assert "## Known limits\n\n- new items\n- robots\n" in body


def test_the_page_draws_metrics_and_escapes_what_people_wrote() -> None:
    text = card_page("<b>", {**WHOLE, "summary": "<script>alert(1)</script>"})
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert 'role="img"' in text
    assert "0.3 [0.25, 0.35]" in text


def test_json_is_the_card_and_what_identifies_the_version() -> None:
    assert json.loads(card_file(CardFormat.JSON, "m@1", WHOLE)) == WHOLE
    told = json.loads(card_file(CardFormat.JSON, "m@1", WHOLE, {"name": "m"}))
    assert told == {"name": "m", "card": WHOLE}


@given(
    card=st.dictionaries(
        st.text(min_size=1),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_every_plain_card_can_be_written_in_every_form(card: dict[str, Any]) -> None:
    for kind in CardFormat:
        assert card_file(kind, "m@1", card, {"name": "m"})
    assert json.loads(card_file(CardFormat.JSON, "m@1", card)) == card


@pytest.mark.parametrize(
    ("said", "kind"), [(".md", CardFormat.MARKDOWN), (".HTML", CardFormat.HTML), ("json", CardFormat.JSON)]
)
def test_a_form_is_known_by_its_ending(said: str, kind: CardFormat) -> None:
    assert format_of(said) is kind


@pytest.mark.parametrize("said", [".txt", ""])
def test_another_ending_is_an_input_error(said: str) -> None:
    with pytest.raises(InputError, match=r"expected \.md, \.json or \.html"):
        format_of(said)
